//! The numbers of this crate against what Redis answered, and against themselves.

use super::long_double::{LongDouble, TEXT_BYTES_MAX};
use super::{parse_f64, parse_i64, parse_u64, write_f64, write_i64, write_u64};
use crate::random::Random;

fn seed() -> u64 {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    println!("SEED={seed}");
    seed
}

/// Returns the lines of the table that begin with `kind`, without that word.
fn vectors(kind: &str) -> Vec<Vec<&'static str>> {
    let lines = include_str!("vectors.txt")
        .lines()
        .map(|line| line.split(' '));
    lines
        .filter_map(|mut words| (words.next() == Some(kind)).then(|| words.collect()))
        .collect()
}

fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8(out).unwrap()
}

fn double_text(value: f64) -> String {
    written(|out| write_f64(out, value))
}

fn sum(first: &[u8], second: &[u8]) -> String {
    let (Some(first), Some(second)) = (LongDouble::parse(first), LongDouble::parse(second)) else {
        return "refused".to_owned();
    };
    let sum = first + second;
    if sum.is_finite() {
        written(|out| sum.write(out))
    } else {
        "nonfinite".to_owned()
    }
}

#[test]
fn long_double_sums_are_those_of_redis() {
    let vectors = vectors("add");
    assert!(
        vectors.len() >= 150,
        "the table is cut short: {}",
        vectors.len()
    );
    for words in vectors {
        assert_eq!(
            sum(words[0].as_bytes(), words[1].as_bytes()),
            words[2],
            "{words:?}"
        );
    }
}

#[test]
fn doubles_read_and_print_as_in_redis() {
    let vectors = vectors("double");
    assert!(
        vectors.len() >= 100,
        "the table is cut short: {}",
        vectors.len()
    );
    for words in vectors {
        let found = parse_f64(words[0].as_bytes()).map_or("refused".to_owned(), double_text);
        assert_eq!(found, words[1], "{words:?}");
    }
}

#[test]
fn integers_read_as_in_redis() {
    let vectors = vectors("integer");
    assert!(
        vectors.len() >= 20,
        "the table is cut short: {}",
        vectors.len()
    );
    for words in vectors {
        let found = parse_i64(words[0].as_bytes()).map_or("refused".to_owned(), |value| {
            written(|out| write_i64(out, value))
        });
        assert_eq!(found, words[1], "{words:?}");
    }
}

#[test]
fn integers_have_one_spelling() {
    for text in [&b""[..], b" 1", b"1 ", b"1\0", b"1\n", b"- 1", b"\xb21"] {
        assert_eq!(parse_i64(text), None, "{text:?}");
        assert_eq!(parse_u64(text), None, "{text:?}");
    }
    assert_eq!(parse_u64(b"18446744073709551615"), Some(u64::MAX));
    assert_eq!(parse_u64(b"18446744073709551616"), None);
    assert_eq!(parse_u64(b"-1"), None);
    let mut random = Random::new(seed());
    for _ in 0..10_000 {
        let bits = random.next_u64() >> random.below(64);
        assert_eq!(
            parse_u64(written(|out| write_u64(out, bits)).as_bytes()),
            Some(bits)
        );
        for value in [bits.cast_signed(), bits.cast_signed().wrapping_neg()] {
            assert_eq!(
                parse_i64(written(|out| write_i64(out, value)).as_bytes()),
                Some(value)
            );
        }
    }
}

#[test]
fn floats_with_spaces_or_zero_bytes_are_refused() {
    for text in [
        &b""[..],
        b" 1",
        b"1 ",
        b"\t1",
        b"1\0",
        b"\0",
        b"1\n",
        b"0x 1",
        b"1e 5",
    ] {
        assert_eq!(parse_f64(text), None, "{text:?}");
        assert!(LongDouble::parse(text).is_none(), "{text:?}");
    }
}

#[test]
fn printed_doubles_read_back_to_the_same_bits() {
    let mut random = Random::new(seed());
    for _ in 0..20_000 {
        let value = f64::from_bits(random.next_u64());
        if !value.is_nan() {
            let text = double_text(value);
            let back = parse_f64(text.as_bytes()).unwrap();
            assert_eq!(back.to_bits(), value.to_bits(), "{text}");
            assert!(text.len() <= 24, "{text}");
        }
    }
    assert_eq!(double_text(f64::NAN), "nan");
    assert_eq!(double_text(-0.0), "-0");
}

#[test]
fn exponents_far_from_zero_count_together_with_the_zeros_of_the_digits() {
    let zeros = "0".repeat(1_000_000);
    assert_eq!(
        parse_f64(format!("0.{zeros}25e1000001").as_bytes()),
        Some(2.5)
    );
    assert_eq!(
        parse_f64(format!("25{zeros}e-1000001").as_bytes()),
        Some(2.5)
    );
    assert_eq!(parse_f64(format!("25{zeros}").as_bytes()), None);
    assert_eq!(parse_f64(format!("0.{zeros}25").as_bytes()), None);
    assert_eq!(
        parse_f64(format!("0.{zeros}e-1000000").as_bytes()),
        Some(0.0)
    );
    assert_eq!(parse_f64(b"0e-99999999999999999999"), Some(0.0));
    assert_eq!(parse_f64(format!("0x{zeros}1p-1").as_bytes()), Some(0.5));
    assert_eq!(
        parse_f64(format!("0x1{zeros}p-4000000").as_bytes()),
        Some(1.0)
    );
}

#[test]
fn long_double_texts_end_at_the_limit() {
    let text = vec![b'0'; TEXT_BYTES_MAX];
    assert_eq!(sum(&text, b"1"), "1");
    assert_eq!(sum(&[&text[..], b"0"].concat(), b"1"), "refused");
}

#[test]
fn largest_long_double_prints_in_full() {
    let text = sum(b"1.18973149535723176502e4932", b"0");
    assert_eq!(text.len(), 4933);
    assert!(
        text.starts_with("118973149535723176502126385303097"),
        "{text}"
    );
    let negative = sum(b"-1.18973149535723176502e4932", b"-1");
    assert_eq!(negative, format!("-{text}"));
    assert_eq!(sum(text.as_bytes(), text.as_bytes()), "nonfinite");
}

#[test]
fn infinities_and_nan_print_as_in_c() {
    let infinity = LongDouble::parse(b"inf").unwrap();
    let negative = LongDouble::parse(b"-inf").unwrap();
    let print = |value: LongDouble| written(|out| value.write(out));
    assert_eq!(print(infinity + infinity), "inf");
    assert_eq!(print(LongDouble::from_i64(1) + negative), "-inf");
    assert_eq!(print(infinity + negative), "-nan");
    assert!(!(infinity + negative + infinity).is_finite());
}

#[test]
fn integers_become_long_doubles_exactly() {
    let mut random = Random::new(seed());
    for value in [0, 1, -1, i64::MAX, i64::MIN] {
        let text = written(|out| LongDouble::from_i64(value).write(out));
        assert_eq!(text, value.to_string());
    }
    for _ in 0..10_000 {
        // Two numbers of 63 bits have a sum of 64 bits at most, which the mantissa holds.
        let [first, second] = [random.next_u64(), random.next_u64()].map(u64::cast_signed);
        let sum = LongDouble::from_i64(first) + LongDouble::from_i64(second);
        let expected = i128::from(first) + i128::from(second);
        assert_eq!(written(|out| sum.write(out)), expected.to_string());
    }
}
