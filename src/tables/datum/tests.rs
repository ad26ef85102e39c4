//! Texts of every type: which are kept, which refused, how they compare, and that canonical ones read back.

use std::hash::{BuildHasher, RandomState};

use base::random::Random;

use super::*;

fn text_of(datum: &Datum) -> String {
    let mut out = Vec::new();
    datum.write_text(&mut out);
    String::from_utf8(out).expect("canonical texts of these types are ASCII")
}

fn parse(kind: ColumnType, text: &str) -> Option<Datum> {
    Cell::parse(kind, text.as_bytes()).map(|cell| cell.datum)
}

/// Whether a text is stored, and comes back as it was given.
fn is_kept(kind: ColumnType, text: &str) -> bool {
    let Some(cell) = Cell::parse(kind, text.as_bytes()) else {
        return false;
    };
    let mut back = Vec::new();
    cell.write_text(&mut back);
    assert_eq!(back, text.as_bytes());
    let canonical = text_of(&cell.datum);
    assert_eq!(cell.text.is_none(), canonical == text, "{text} {canonical}");
    true
}

#[test]
fn types_are_named_in_any_case() {
    for kind in ColumnType::ALL {
        assert_eq!(ColumnType::of_word(kind.name().as_bytes()), Some(kind));
        let upper = kind.name().to_uppercase();
        assert_eq!(ColumnType::of_word(upper.as_bytes()), Some(kind));
    }
}

#[test]
fn b18_types_that_do_not_exist_are_refused() {
    for word in ["", "int", "foo", "strin", "strings", "text"] {
        assert_eq!(ColumnType::of_word(word.as_bytes()), None, "{word}");
    }
}

#[test]
fn integers_are_digits_with_a_sign_or_none() {
    for text in [
        "0",
        "5",
        "-5",
        "+5",
        "05",
        "-0",
        "000",
        "9223372036854775807",
        "-9223372036854775808",
    ] {
        assert!(is_kept(ColumnType::Integer, text), "{text}");
    }
    for text in [
        "", "+", "-", "abc", "1.0", "5 ", " 5", "1e3", "--5", "+-5", "1,000", "\u{663}", "0x10",
    ] {
        assert_eq!(parse(ColumnType::Integer, text), None, "{text}");
    }
}

#[test]
fn b18_integers_beyond_64_bits_are_refused() {
    for text in [
        "9223372036854775808",
        "-9223372036854775809",
        "99999999999999999999999",
    ] {
        assert_eq!(parse(ColumnType::Integer, text), None, "{text}");
    }
    let zeros = format!("{}7", "0".repeat(1000));
    assert_eq!(parse(ColumnType::Integer, &zeros), Some(Datum::Integer(7)));
}

#[test]
fn floats_are_digits_with_at_most_one_point() {
    for text in [
        "0",
        "3",
        "3.0",
        "1.5",
        "-1.5",
        "+1.5",
        ".5",
        "5.",
        "-0",
        "-0.0",
        "0.1",
        "00.1",
        "0.10",
        "0.10000000000000000555",
        "0.30000000000000004",
        "9007199254740993",
        "1.2345678901234567",
        "123456789012345678901234567890",
        "0.000000000000000000001",
        "100000000000000000000000",
    ] {
        assert!(is_kept(ColumnType::Float, text), "{text}");
    }
    let huge = format!("1{}", "0".repeat(400));
    for text in [
        "",
        "+",
        "-",
        "abc",
        "1.2.3",
        "1e5",
        "1E-3",
        "nan",
        "inf",
        "-inf",
        "infinity",
        "1,5",
        " 1.5",
        "1.5 ",
        "0x10",
        huge.as_str(),
    ] {
        assert_eq!(parse(ColumnType::Float, text), None, "{text}");
    }
}

#[test]
fn b18_a_point_alone_is_no_float() {
    for text in [".", "-.", "+."] {
        assert_eq!(parse(ColumnType::Float, text), None, "{text}");
    }
}

#[test]
fn floats_are_compared_with_exponents_and_infinities_too() {
    let operand = |text: &str| Datum::operand(ColumnType::Float, text.as_bytes());
    assert_eq!(operand("2.4e0"), Some(Datum::Float(2.4)));
    assert_eq!(operand("1E-3"), Some(Datum::Float(0.001)));
    assert_eq!(operand("inf"), Some(Datum::Float(f64::INFINITY)));
    assert_eq!(operand("-Infinity"), Some(Datum::Float(f64::NEG_INFINITY)));
}

#[test]
fn b19_operands_that_are_no_values_are_refused() {
    let refused = |kind, text: &str| {
        assert_eq!(Datum::operand(kind, text.as_bytes()), None, "{text}");
    };
    for text in ["abc", "1.9", "", "=1", ">1", " 5"] {
        refused(ColumnType::Integer, text);
    }
    for text in [
        "x", "nan", "-nan", "1e", "e5", "1e5.0", "1e999", "0x10", "infin", "1e+-5", " 1",
    ] {
        refused(ColumnType::Float, text);
    }
    for text in ["2024", "2024-06", "junk"] {
        refused(ColumnType::Date, text);
    }
}

#[test]
fn b18_impossible_dates_are_refused() {
    for text in [
        "2024-02-30",
        "2023-02-29",
        "9999-99-99",
        "2024-00-10",
        "2024-01-00",
        "2024-13-01",
    ] {
        assert_eq!(parse(ColumnType::Date, text), None, "{text}");
    }
    for text in [
        "",
        "2024/01/15",
        "24-01-15",
        "2024-01-1x",
        "-024-01-15",
        "2024-01-155",
        "2024-1-1",
    ] {
        assert_eq!(parse(ColumnType::Date, text), None, "{text}");
    }
    for text in ["2024-02-29", "0000-01-01", "9999-12-31", "1970-01-01"] {
        assert!(is_kept(ColumnType::Date, text), "{text}");
    }
}

#[test]
fn booleans_have_two_spellings_each() {
    for (text, value) in [("true", true), ("1", true), ("FALSE", false), ("0", false)] {
        assert!(is_kept(ColumnType::Bool, text));
        assert_eq!(parse(ColumnType::Bool, text), Some(Datum::Bool(value)));
    }
    for text in ["", "yes", "no", "t", "2", "01"] {
        assert_eq!(parse(ColumnType::Bool, text), None, "{text}");
    }
}

#[test]
fn timestamps_are_iso_8601_or_milliseconds() {
    let at = |text: &str| match parse(ColumnType::Timestamp, text) {
        Some(Datum::Timestamp(millis)) => Some(millis),
        _ => None,
    };
    let noon = 1_705_320_000_000;
    for text in [
        "2024-01-15T12:00:00Z",
        "2024-01-15T12:00:00",
        "2024-01-15 12:00:00",
        "2024-01-15T12:00",
        "2024-01-15t12:00:00z",
        "2024-01-15T12:00:00.000Z",
        "2024-01-15T14:30:00+02:30",
        "2024-01-15T07:00:00-0500",
        "1705320000000",
        "2024-01-15T12:00:00.0004",
    ] {
        assert_eq!(at(text), Some(noon), "{text}");
        assert!(is_kept(ColumnType::Timestamp, text));
    }
    assert_eq!(at("2024-01-15"), Some(noon - calendar::DAY_MS / 2));
    assert_eq!(at("1970-01-01T00:00:00.123456789Z"), Some(123));
    assert_eq!(at("-1"), Some(-1));
    for text in [
        "",
        "2024-01-15T",
        "2024-01-15T24:00:00Z",
        "2024-01-15T12:60:00Z",
        "2024-01-15T12:00:60Z",
        "2024-01-15T12",
        "2024-01-15T12:00:00.Z",
        "2024-01-15T12:00:00.1234567890Z",
        "2024-02-30T12:00:00Z",
        "2024-01-15T12:00:00ZZ",
        "2024-01-15T12:00:00+24:00",
        "2024-01-15T12:00:00+2",
        "2024-01-15Z ",
        "9223372036854775807",
        "0000-01-01T00:00:00+00:01",
        "T12:00",
        "2024-01-15X12:00:00",
        "2024-01-1\u{663}T00",
    ] {
        assert_eq!(at(text), None, "{text}");
    }
}

#[test]
fn b16_an_empty_text_is_a_string_and_nothing_else() {
    for kind in ColumnType::ALL {
        assert_eq!(Cell::parse(kind, b"").is_some(), kind == ColumnType::String);
    }
}

#[test]
fn b12_values_are_equal_by_what_they_mean() {
    let state = RandomState::new();
    let pairs = [
        (ColumnType::Integer, "5", "+05"),
        (ColumnType::Integer, "0", "-0"),
        (ColumnType::Float, "1", "1.0"),
        (ColumnType::Float, "0", "-0.0"),
        (ColumnType::Bool, "true", "1"),
        (ColumnType::Timestamp, "1970-01-01", "0"),
    ];
    for (kind, one, other) in pairs {
        let one = parse(kind, one).expect("a value");
        let other = parse(kind, other).expect("a value");
        assert_eq!(one, other);
        assert_eq!(state.hash_one(&one), state.hash_one(&other));
    }
    assert_ne!(
        parse(ColumnType::String, "x\0y"),
        parse(ColumnType::String, "x\0z")
    );
}

#[test]
fn missing_values_come_first_and_the_order_is_total() {
    let ordered = [
        Datum::Null,
        Datum::Bool(false),
        Datum::Bool(true),
        Datum::Integer(i64::MIN),
        Datum::Integer(-1),
        Datum::Integer(2),
        Datum::Float(f64::NEG_INFINITY),
        Datum::Float(-1.5),
        Datum::Float(0.0),
        Datum::Float(f64::INFINITY),
        Datum::Date(-1),
        Datum::Date(1),
        Datum::Timestamp(0),
        Datum::String(Box::from(*b"")),
        Datum::String(Box::from(*b"a\0")),
        Datum::String(Box::from(*b"ab")),
        Datum::String(Box::from([0xff])),
    ];
    for (i, a) in ordered.iter().enumerate() {
        for (j, b) in ordered.iter().enumerate() {
            assert_eq!(a.cmp(b), i.cmp(&j), "{a:?} {b:?}");
        }
    }
    assert_eq!(Datum::Float(-0.0), Datum::Float(0.0));
}

#[test]
fn canonical_texts_read_back_as_the_same_value() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    for _ in 0..20_000 {
        let bits = random.next_u64();
        let float = f64::from_bits(bits);
        let small = bits.cast_signed() >> random.below(64);
        let data = [
            Datum::Integer(small),
            Datum::float(if float.is_finite() { float } else { 0.5 }),
            Datum::Date(
                i32::try_from(small.rem_euclid(3_652_425)).expect("a small number")
                    + calendar::FIRST_DAY,
            ),
            Datum::Timestamp(
                small.rem_euclid(calendar::LAST_MOMENT - calendar::FIRST_MOMENT)
                    + calendar::FIRST_MOMENT,
            ),
            Datum::Bool(small & 1 == 0),
        ];
        for datum in data {
            let text = text_of(&datum);
            let kind = datum.kind().expect("not missing");
            let cell = Cell::parse(kind, text.as_bytes()).expect("canonical texts are accepted");
            assert_eq!(cell.datum, datum, "{text}");
            assert_eq!(cell.text, None, "{text}");
        }
    }
}

#[test]
fn random_texts_are_kept_or_refused() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(1);
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let alphabet = b"0123456789+-.:TZ eEinftrualsx\0\xff";
    for _ in 0..50_000 {
        let length = random.index(24);
        let text: Vec<u8> = (0..length)
            .map(|_| alphabet[random.index(alphabet.len())])
            .collect();
        for kind in ColumnType::ALL {
            if let Some(cell) = Cell::parse(kind, &text) {
                let mut back = Vec::new();
                cell.write_text(&mut back);
                assert_eq!(back, text);
                assert_eq!(Datum::operand(kind, &text), Some(cell.datum));
            }
        }
    }
}
