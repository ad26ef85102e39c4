//! Tests of the reply scanner.

use super::*;

/// Scans `stream` in one go and then cut at every byte, alone and in three pieces, and expects the
/// same sums each time.
#[track_caller]
fn check(stream: &[u8], replies: u64, nulls: u64, errors: u64) {
    let expected = Scanned {
        replies,
        nulls,
        errors,
    };
    assert_eq!(sum(&[stream]), Ok(expected), "whole");
    for cut in 0..=stream.len() {
        let (front, back) = stream.split_at(cut);
        assert_eq!(sum(&[front, back]), Ok(expected), "cut at {cut}");
        let (middle, end) = back.split_at(back.len() / 2);
        assert_eq!(
            sum(&[front, middle, end]),
            Ok(expected),
            "cut at {cut} and the middle"
        );
    }
    let bytes: Vec<&[u8]> = stream.chunks(1).collect();
    assert_eq!(sum(&bytes), Ok(expected), "byte by byte");
}

fn sum(pieces: &[&[u8]]) -> Result<Scanned, BadReply> {
    let mut scanner = ReplyScanner::new();
    let mut total = Scanned::default();
    for piece in pieces {
        let found = scanner.scan(piece)?;
        total.replies += found.replies;
        total.nulls += found.nulls;
        total.errors += found.errors;
    }
    assert_eq!(
        (scanner.place, scanner.pending),
        (Place::Kind, 0),
        "ends between replies"
    );
    Ok(total)
}

#[test]
fn scalars_of_both_protocols_count_once_each() {
    check(
        b"+OK\r\n+PONG\r\n:1\r\n:-7\r\n$3\r\nabc\r\n$0\r\n\r\n",
        6,
        0,
        0,
    );
    check(
        b",3.25\r\n#t\r\n(12345678901234567890123\r\n=7\r\ntxt:abc\r\n",
        4,
        0,
        0,
    );
}

#[test]
fn nulls_of_both_protocols_are_told_apart() {
    check(b"$-1\r\n*-1\r\n_\r\n$3\r\nabc\r\n+OK\r\n", 5, 3, 0);
}

#[test]
fn null_inside_an_array_is_not_a_null_reply() {
    check(b"*1\r\n$-1\r\n", 1, 0, 0);
    check(b"*3\r\n$-1\r\n_\r\n$1\r\na\r\n", 1, 0, 0);
}

#[test]
fn nested_aggregates_count_as_one_reply() {
    check(
        b"*2\r\n*2\r\n:1\r\n*0\r\n%2\r\n+a\r\n:1\r\n+b\r\n~2\r\n:1\r\n:2\r\n+OK\r\n",
        2,
        0,
        0,
    );
    check(b"*0\r\n*1\r\n*1\r\n*1\r\n*1\r\n$2\r\nhi\r\n", 2, 0, 0);
}

#[test]
fn bulk_that_looks_like_replies_is_jumped_over() {
    check(
        b"$12\r\n+OK\r\n:1\r\n\r\n\n\r\n*1\r\n$5\r\n-ERR\n\r\n",
        2,
        0,
        0,
    );
}

#[test]
fn pushes_are_not_replies() {
    check(
        b">2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\na\r\n+OK\r\n>1\r\n+x\r\n",
        1,
        0,
        0,
    );
}

#[test]
fn attribute_belongs_to_the_reply_after_it() {
    check(
        b"|1\r\n+key\r\n:9\r\n*2\r\n:1\r\n|1\r\n+a\r\n+b\r\n:2\r\n+OK\r\n",
        2,
        0,
        0,
    );
    check(b"|1\r\n+key\r\n:9\r\n-ERR\r\n|0\r\n_\r\n", 2, 1, 1);
}

#[test]
fn errors_count_and_keep_their_text() {
    check(b"+OK\r\n-ERR no such key\r\n!9\r\nERR other\r\n", 3, 0, 2);
    let mut scanner = ReplyScanner::new();
    scanner.scan(b"-ERR first\r\n-MOVED 3").unwrap();
    scanner.scan(b"999 127.0.0.1:6381\r\n").unwrap();
    assert_eq!(scanner.error_text(), b"MOVED 3999 127.0.0.1:6381");
    scanner.scan(b"!9\r\nERR o").unwrap();
    scanner.scan(b"ther\r\n").unwrap();
    assert_eq!(scanner.error_text(), b"ERR other");
}

#[test]
fn long_error_text_is_cut() {
    let mut scanner = ReplyScanner::new();
    let mut stream = vec![b'x'; 5_000];
    stream[0] = b'-';
    stream.extend_from_slice(b"\r\n");
    assert_eq!(scanner.scan(&stream).unwrap().errors, 1);
    assert_eq!(scanner.error_text().len(), ERROR_BYTES_MAX);
}

#[test]
fn error_inside_an_array_is_not_an_error_reply() {
    check(b"*2\r\n-ERR inner\r\n+OK\r\n", 1, 0, 0);
}

#[test]
fn malformed_streams_are_refused() {
    assert_eq!(sum(&[b"PONG\r\n"]), Err(BadReply::Kind(b'P')));
    assert_eq!(sum(&[b"$abc\r\n"]), Err(BadReply::Length));
    assert_eq!(sum(&[b"$\r\n"]), Err(BadReply::Length));
    assert_eq!(sum(&[b"$99999999999999999999\r\n"]), Err(BadReply::Length));
    assert_eq!(sum(&[b"*999999999999999999\r\n"]), Err(BadReply::Length));
    assert_eq!(sum(&[b"$3\r\nabcd\r\n"]), Err(BadReply::End));
    assert_eq!(sum(&[b"$3\r\nabc\r", b"x"]), Err(BadReply::End));
}

#[test]
fn random_bytes_never_panic() {
    let seed = std::env::var("SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(7);
    println!("SEED={seed}");
    let mut random = crate::random::Random::new(seed);
    let alphabet = b"+-:$*%~>|_#,(=!0123456789\r\n\r\nab";
    for _ in 0..20_000 {
        let mut scanner = ReplyScanner::new();
        for _ in 0..4 {
            let length = random.draw_below(24);
            let input: Vec<u8> = (0..length)
                .map(|_| alphabet[base::cast::usize_from_u32(random.draw_below(31))])
                .collect();
            if scanner.scan(&input).is_err() {
                break;
            }
        }
    }
}
