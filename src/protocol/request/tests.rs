//! The cases were sent to `redis-server` 7.0.15; what is expected here is what it answered.

use super::{Progress, ProtocolError, RequestLimits, RequestParser};
use crate::args::{Args, WordRange};

const OPEN: RequestLimits = RequestLimits {
    bulk_bytes_max: 512 * 1024 * 1024,
    authenticated: true,
};
const STRANGER: RequestLimits = RequestLimits {
    authenticated: false,
    ..OPEN
};

fn parse(input: &[u8], limits: &RequestLimits) -> Result<(Progress, Vec<Vec<u8>>), ProtocolError> {
    let mut words = Vec::new();
    let progress = RequestParser::new().parse(input, limits, &mut words)?;
    let found = Args::new(progress.buffer(input), &words)
        .iter()
        .map(<[u8]>::to_vec)
        .collect();
    Ok((progress, found))
}

#[track_caller]
fn check_words(input: &[u8], expected: &[&[u8]]) {
    let (progress, words) = parse(input, &OPEN).unwrap();
    assert_eq!(words, expected);
    let (Progress::Complete { consumed } | Progress::Unquoted { consumed, .. }) = progress else {
        panic!("incomplete: {progress:?}");
    };
    assert_eq!(consumed, input.len());
}

#[track_caller]
fn check_error(input: &[u8], limits: &RequestLimits, text: &str) {
    let error = parse(input, limits).unwrap_err();
    assert_eq!(error.text(), format!("Protocol error: {text}"));
}

#[track_caller]
fn check_incomplete(input: &[u8], limits: &RequestLimits, missing: usize) {
    assert_eq!(
        parse(input, limits).unwrap().0,
        Progress::Incomplete { missing }
    );
}

fn with_filler(front: &[u8], filler: u8, count: usize, back: &[u8]) -> Vec<u8> {
    [front, &vec![filler; count], back].concat()
}

#[test]
fn multibulk_words_are_found() {
    check_words(
        b"*2\r\n$3\r\nGET\r\n$16\r\n0123456789abcdef\r\n",
        &[b"GET", b"0123456789abcdef"],
    );
    check_words(b"*1\r\n$0\r\n\r\n", &[b""]);
    check_words(b"*2\r\n$1\r\n\r\r\n$2\r\n\r\n\r\n", &[b"\r", b"\r\n"]);
    check_words(
        &with_filler(b"*1\r\n$100\r\n", b'x', 100, b"\r\n"),
        &[&[b'x'; 100]],
    );
    let eleven = [&b"*11\r\n"[..], &b"$1\r\na\r\n".repeat(11)].concat();
    check_words(&eleven, &[&b"a"[..]; 11]);
}

#[test]
fn bytes_in_place_of_line_feeds_are_not_looked_at() {
    check_words(b"*1\rx$4\rxPINGxx", &[b"PING"]);
}

#[test]
fn counts_below_one_are_empty_requests() {
    for input in [&b"*0\r\n"[..], b"*-1\r\n", b"*-9223372036854775808\r\n"] {
        check_words(input, &[]);
    }
}

#[test]
fn inline_words_are_unquoted_as_redis_does() {
    check_words(b"GET key\r\n", &[b"GET", b"key"]);
    check_words(b"  GET\t key \n", &[b"GET", b"key"]);
    check_words(b"\r\n", &[]);
    check_words(b"\n", &[]);
    check_words(b"  \r\n", &[]);
    check_words(
        b"\"\\x41b\\n\\r\\t\\b\\a\\q\\xzz\"\n",
        &[b"Ab\n\r\t\x08\x07qxzz"],
    );
    check_words(b"'a\\'b\\n' x\r\n", &[b"a'b\\n", b"x"]);
    check_words(b"a\"b c\" a'b c'\r\n", &[b"ab c", b"ab c"]);
    check_words(b"\"\" ''\r\n", &[b"", b""]);
    check_words(b"a\rb\r\n", &[b"a", b"b"]);
    check_words(b"a\r\r\n", &[b"a"]);
    check_words(b"\x0ba\x0bb\x0c\r\n", &[b"a\x0bb\x0c"]);
    check_words(b"\"a\"\x0bb\r\n", &[b"a", b"b"]);
    check_words(b"\x85a \xa0\r\n", &[b"\x85a", b"\xa0"]);
}

#[test]
fn unpaired_quotes_are_refused() {
    let inputs = [
        &b"\"a\r\n"[..],
        b"\"a\"b\r\n",
        b"'a'b\r\n",
        b"\"a\\\"\r\n",
        b"\"a\\\n",
        b"'a\\'\n",
    ];
    for input in inputs {
        check_error(input, &OPEN, "unbalanced quotes in request");
    }
}

#[test]
fn counts_and_lengths_are_checked() {
    let numbers = [
        "",
        "x",
        "01",
        "+1",
        "-0",
        " 1",
        "2147483648",
        "99999999999999999999",
    ];
    for number in numbers {
        let input = format!("*{number}\r\n");
        check_error(input.as_bytes(), &OPEN, "invalid multibulk length");
    }
    for number in [
        "",
        "x",
        "01",
        "+1",
        "-0",
        " 1",
        "-1",
        "536870913",
        "99999999999999999999",
    ] {
        let input = format!("*1\r\n${number}\r\n");
        check_error(input.as_bytes(), &OPEN, "invalid bulk length");
    }
    let short = RequestLimits {
        bulk_bytes_max: 8,
        ..OPEN
    };
    check_error(b"*1\r\n$9\r\n", &short, "invalid bulk length");
    check_incomplete(b"*1\r\n$8\r\n", &short, 10);
    check_incomplete(b"*2147483647\r\n", &OPEN, 0);
}

#[test]
fn words_begin_with_a_dollar() {
    check_error(b"*1\r\n:1\r\n", &OPEN, "expected '$', got ':'");
    check_error(b"*1\r\n\r\n", &OPEN, "expected '$', got ' '");
    check_error(b"*1\r\n\n\r\n", &OPEN, "expected '$', got ' '");
    check_error(b"*1\r\n\xff\r\n", &OPEN, "expected '$', got '?'");
    // Nothing is said before the line ends.
    check_incomplete(b"*1\r\nx", &OPEN, 0);
}

#[test]
fn strangers_may_send_only_little() {
    check_incomplete(b"*10\r\n", &STRANGER, 0);
    check_error(b"*11\r\n", &STRANGER, "unauthenticated multibulk length");
    check_incomplete(b"*1\r\n$16384\r\n", &STRANGER, 16_386);
    check_error(
        b"*1\r\n$16385\r\n",
        &STRANGER,
        "unauthenticated bulk length",
    );
    check_error(b"*2147483648\r\n", &STRANGER, "invalid multibulk length");
    check_error(b"*1\r\n$536870913\r\n", &STRANGER, "invalid bulk length");
}

#[test]
fn lines_are_bounded() {
    check_incomplete(&with_filler(b"", b'a', 65_536, b""), &OPEN, 0);
    check_error(
        &with_filler(b"", b'a', 65_537, b""),
        &OPEN,
        "too big inline request",
    );
    check_error(
        &with_filler(b"", b'a', 65_537, b"\n"),
        &OPEN,
        "too big inline request",
    );
    check_words(&with_filler(b"", b'a', 65_536, b"\n"), &[&[b'a'; 65_536]]);
    check_incomplete(&with_filler(b"*", b'1', 65_535, b""), &OPEN, 0);
    check_error(
        &with_filler(b"*", b'1', 65_536, b""),
        &OPEN,
        "too big mbulk count string",
    );
    check_incomplete(&with_filler(b"*1\r\n$", b'1', 65_535, b""), &OPEN, 0);
    check_error(
        &with_filler(b"*1\r\n$", b'1', 65_536, b""),
        &OPEN,
        "too big bulk count string",
    );
}

#[test]
fn nul_hides_the_end_of_a_line() {
    check_incomplete(b"PI\0NG\r\nPING\r\n", &OPEN, 0);
    check_incomplete(b"*1\0\r\n", &OPEN, 0);
    check_incomplete(b"*1\r\n$1\0\r\n", &OPEN, 0);
    let stuck = with_filler(b"*1\0\r\n", b'x', 66_000, b"");
    check_error(&stuck, &OPEN, "too big mbulk count string");
}

#[test]
fn requests_end_before_four_gibibytes() {
    let unbounded = RequestLimits {
        bulk_bytes_max: u64::MAX,
        authenticated: true,
    };
    check_error(b"*1\r\n$4294967296\r\n", &unbounded, "too big request");
    check_error(b"*1\r\n$4294967280\r\n", &unbounded, "too big request");
    check_incomplete(b"*1\r\n$4294967270\r\n", &unbounded, 4_294_967_272);
    check_error(
        b"*1\r\n$9223372036854775807\r\n",
        &unbounded,
        "too big request",
    );
}

#[test]
fn declared_words_cost_nothing_until_they_arrive() {
    let mut words: Vec<WordRange> = Vec::new();
    let input = b"*2000000\r\n$1\r\na\r\n";
    let progress = RequestParser::new().parse(input, &OPEN, &mut words);
    assert_eq!(progress, Ok(Progress::Incomplete { missing: 0 }));
    assert!(words.capacity() < 16);
}

#[test]
fn parser_is_usable_after_an_error() {
    let mut parser = RequestParser::new();
    let mut words = Vec::new();
    parser
        .parse(b"*3\r\n$1\r\na\r\n$x\r\n", &OPEN, &mut words)
        .unwrap_err();
    let progress = parser.parse(b"PING\r\n", &OPEN, &mut words);
    assert_eq!(progress, Ok(Progress::Complete { consumed: 6 }));
    assert_eq!(words, [WordRange { start: 0, end: 4 }]);
}

#[test]
fn only_quoted_lines_leave_the_input() {
    let mut words = Vec::new();
    let mut parser = RequestParser::new();
    let plain = parser.parse(b"GET key\r\n", &OPEN, &mut words).unwrap();
    assert_eq!(plain, Progress::Complete { consumed: 9 });
    let quoted = parser.parse(b"GET 'a b'\r\n", &OPEN, &mut words).unwrap();
    assert_eq!(
        quoted,
        Progress::Unquoted {
            consumed: 11,
            bytes: (*b"GETa b").into()
        }
    );
}

#[test]
fn a_word_may_be_received_elsewhere() {
    let mut words = Vec::new();
    let mut parser = RequestParser::new();
    let head = b"*4\r\n$3\r\nSET\r\n$1\r\nk\r\n$1000\r\n";
    let progress = parser.parse(head, &OPEN, &mut words).unwrap();
    assert_eq!(progress, Progress::Incomplete { missing: 1002 });
    assert_eq!(parser.open_word(), Some((head.len(), 1000)));
    assert_eq!(parser.skip_open_word(&mut words), None, "a word follows");
    assert_eq!(parser.open_word(), None);
    let whole = [&head[..], b"$2\r\nNX\r\n"].concat();
    let progress = parser.parse(&whole, &OPEN, &mut words).unwrap();
    let consumed = whole.len();
    assert_eq!(progress, Progress::Complete { consumed });
    let found: Vec<&[u8]> = Args::new(&whole, &words).iter().collect();
    assert_eq!(found, [&b"SET"[..], b"k", b"", b"NX"]);
}

#[test]
fn the_last_word_may_be_received_elsewhere() {
    let mut words = Vec::new();
    let mut parser = RequestParser::new();
    let head = b"*2\r\n$1\r\nX\r\n$1000\r\n";
    parser.parse(head, &OPEN, &mut words).unwrap();
    assert_eq!(parser.skip_open_word(&mut words), Some(head.len()));
    let found: Vec<&[u8]> = Args::new(head, &words).iter().collect();
    assert_eq!(found, [&b"X"[..], b""]);
    let progress = parser.parse(b"PING\r\n", &OPEN, &mut words);
    assert_eq!(progress, Ok(Progress::Complete { consumed: 6 }));
}
