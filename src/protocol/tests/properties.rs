//! Properties of the parsers and the encoder over random input.
//!
//! Each test prints its seed; `SEED=n` repeats a run.

#![expect(clippy::print_stdout, reason = "a failed run must tell its seed")]

use base::cast::{u64_from, usize_from, usize_from_u32};
use protocol::args::{Args, WordRange};
use protocol::reply::{Reply, Resp};
use protocol::request::{Progress, ProtocolError, RequestLimits, RequestParser};
use protocol::value::{Value, ValueSkipper, parse_value};

const LIMITS: RequestLimits = RequestLimits {
    bulk_bytes_max: 1 << 29,
    authenticated: true,
};

/// A `SplitMix64` generator.
struct Random(u64);

impl Random {
    fn new() -> Self {
        let seed = match std::env::var("SEED") {
            Ok(text) => text.parse().expect("SEED is a number"),
            Err(_) => 0x5eed_0001,
        };
        println!("SEED={seed}");
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize_from(self.next() % u64_from(bound))
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// Mostly short, now and then long enough for every width of length.
    fn bytes(&mut self) -> Vec<u8> {
        let len = match self.below(20) {
            0 => self.below(3000),
            1..=3 => self.below(150),
            _ => self.below(12),
        };
        (0..len).map(|_| self.byte()).collect()
    }
}

fn encode_multibulk(words: &[Vec<u8>]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

fn encode_inline(words: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let mut out = Vec::new();
    for word in words {
        out.extend(std::iter::repeat_n(b' ', 1 + random.below(3)));
        let is_plain = !word.is_empty()
            && word
                .iter()
                .all(|&byte| byte.is_ascii_alphanumeric() || byte >= 0x80);
        if is_plain {
            out.extend_from_slice(word);
            continue;
        }
        out.push(b'"');
        for &byte in word {
            match byte {
                b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
                0..=31 => out.extend_from_slice(format!("\\x{byte:02x}").as_bytes()),
                _ => out.push(byte),
            }
        }
        out.push(b'"');
    }
    out.extend_from_slice(if random.below(2) == 0 { b"\r\n" } else { b"\n" });
    out
}

/// Feeds `input` in random pieces, and asserts that only the last piece completes the request.
fn parse_in_pieces(
    input: &[u8],
    random: &mut Random,
    parser: &mut RequestParser,
    words: &mut Vec<WordRange>,
) -> Result<(usize, Vec<Vec<u8>>), ProtocolError> {
    let mut buffer = Vec::new();
    loop {
        let left = input.len() - buffer.len();
        let piece = if random.below(3) == 0 {
            left
        } else {
            random.below(left + 1)
        };
        buffer.extend_from_slice(&input[buffer.len()..buffer.len() + piece]);
        let progress = parser.parse(&buffer, &LIMITS, words)?;
        match progress {
            Progress::Complete { consumed } | Progress::Unquoted { consumed, .. } => {
                assert!(0 < consumed && consumed <= buffer.len());
                let args = Args::new(progress.buffer(&buffer[..consumed]), words);
                return Ok((consumed, args.iter().map(<[u8]>::to_vec).collect()));
            }
            Progress::Incomplete { missing } => {
                assert!(
                    missing <= input.len() - buffer.len(),
                    "promises more than there is"
                );
            }
        }
    }
}

#[test]
fn requests_split_anywhere_parse_to_the_same_words() {
    let mut random = Random::new();
    let mut parser = RequestParser::new();
    let mut ranges = Vec::new();
    for _ in 0..20_000 {
        let words: Vec<Vec<u8>> = (0..=random.below(14)).map(|_| random.bytes()).collect();
        let encoded = match random.below(3) {
            0 => encode_inline(&words, &mut random),
            _ => encode_multibulk(&words),
        };
        let parsed = parse_in_pieces(&encoded, &mut random, &mut parser, &mut ranges);
        assert_eq!(parsed, Ok((encoded.len(), words)));
    }
}

#[test]
fn pipelined_requests_are_taken_one_by_one() {
    let mut random = Random::new();
    let requests: Vec<Vec<Vec<u8>>> = (0..500)
        .map(|_| (0..=random.below(4)).map(|_| random.bytes()).collect())
        .collect();
    let input: Vec<u8> = requests
        .iter()
        .flat_map(|words| encode_multibulk(words))
        .collect();
    let mut parser = RequestParser::new();
    let mut ranges = Vec::new();
    let mut rest = input.as_slice();
    for request in &requests {
        let progress = parser.parse(rest, &LIMITS, &mut ranges);
        let Ok(Progress::Complete { consumed }) = progress else {
            panic!("incomplete: {progress:?}");
        };
        assert!(
            Args::new(rest, &ranges)
                .iter()
                .eq(request.iter().map(Vec::as_slice))
        );
        rest = &rest[consumed..];
    }
    assert!(rest.is_empty());
}

/// The work of a resumed parse shows in what it reads: bytes behind the position are overwritten
/// here, so that a parser which went back would see other words or an error.
#[test]
fn resumed_requests_never_look_back() {
    let words: Vec<Vec<u8>> = (0..20_000)
        .map(|index| format!("word{index}").into())
        .collect();
    let input = encode_multibulk(&words);
    let mut buffer = Vec::new();
    let mut parser = RequestParser::new();
    let mut ranges = Vec::new();
    let mut seen = 0;
    for piece in input.chunks(1024) {
        buffer.extend_from_slice(piece);
        match parser.parse(&buffer, &LIMITS, &mut ranges).unwrap() {
            Progress::Complete { consumed } => assert_eq!(consumed, input.len()),
            Progress::Unquoted { .. } => panic!("a multibulk request has no quotes"),
            Progress::Incomplete { .. } => {
                for range in &ranges[seen..] {
                    let end = usize_from_u32(range.end);
                    let start = usize_from_u32(range.start);
                    assert_eq!(&buffer[start..end], &input[start..end]);
                }
                if let Some(last) = ranges.last() {
                    let end = usize_from_u32(last.end);
                    buffer[..end].fill(b'?');
                }
                seen = ranges.len();
            }
        }
    }
    assert_eq!(ranges.len(), words.len());
}

#[test]
fn mutated_requests_never_panic_and_split_makes_no_difference() {
    const ALPHABET: &[u8] = b"*$\r\n0123456789-+ \"'\\xa\0\xff";
    let mut random = Random::new();
    let mut parser = RequestParser::new();
    let mut ranges = Vec::new();
    for _ in 0..100_000 {
        let words: Vec<Vec<u8>> = (0..=random.below(4)).map(|_| random.bytes()).collect();
        let mut frame = match random.below(3) {
            0 => encode_inline(&words, &mut random),
            _ => encode_multibulk(&words),
        };
        for _ in 0..=random.below(4) {
            // Most of a frame is payload; its front is where the grammar is.
            let reach = if random.below(2) == 0 {
                frame.len().min(16)
            } else {
                frame.len()
            };
            let at = random.below(reach.max(1)).min(frame.len());
            let byte = ALPHABET[random.below(ALPHABET.len())];
            match random.below(3) {
                0 => frame.insert(at, byte),
                1 if at < frame.len() => frame[at] = byte,
                _ => frame.truncate(at.max(1)),
            }
        }
        let whole = parser.parse(&frame, &LIMITS, &mut ranges);
        let whole_words = ranges.clone();
        if let Ok(Progress::Complete { consumed } | Progress::Unquoted { consumed, .. }) = whole {
            assert!(0 < consumed && consumed <= frame.len());
            let end = ranges.last().map_or(0, |range| usize_from_u32(range.end));
            assert!(end <= consumed);
        }
        parser = RequestParser::new();
        let cut = random.below(frame.len() + 1);
        let mut buffer = frame[..cut].to_vec();
        let mut split = parser.parse(&buffer, &LIMITS, &mut ranges);
        if let Ok(Progress::Incomplete { .. }) = split {
            buffer.extend_from_slice(&frame[cut..]);
            split = parser.parse(&buffer, &LIMITS, &mut ranges);
        }
        assert_eq!(split, whole, "{}", frame.escape_ascii());
        if split.is_ok() {
            assert_eq!(ranges, whole_words, "{}", frame.escape_ascii());
        }
        parser = RequestParser::new();
    }
}

fn random_text(random: &mut Random) -> Vec<u8> {
    (0..random.below(20))
        .map(|_| b' ' + random.byte() % 95)
        .collect()
}

fn random_pairs(random: &mut Random, depth: usize) -> Vec<(Value, Value)> {
    (0..random.below(5))
        .map(|_| (random_value(random, depth), random_value(random, depth)))
        .collect()
}

fn random_values(random: &mut Random, depth: usize) -> Vec<Value> {
    (0..random.below(12))
        .map(|_| random_value(random, depth))
        .collect()
}

fn random_value(random: &mut Random, depth: usize) -> Value {
    let kinds = if depth == 0 { 10 } else { 15 };
    let deeper = depth.saturating_sub(1);
    match random.below(kinds) {
        0 => Value::Simple(random_text(random)),
        1 => Value::Error(random_text(random)),
        2 => Value::Integer(i64::from_le_bytes(random.next().to_le_bytes())),
        3 => Value::Integer(i64::from(random.byte())),
        4 => Value::Bulk(random.bytes()),
        5 => Value::Null,
        6 => {
            let double = f64::from_bits(random.next());
            Value::Double(if double.is_nan() { 0.5 } else { double })
        }
        7 => Value::Boolean(random.below(2) == 0),
        8 => Value::BigNumber(format!("-{}{}", random.next(), random.next()).into()),
        9 => Value::Verbatim(*b"txt", random.bytes()),
        10 => Value::Array(random_values(random, deeper)),
        11 => Value::Map(random_pairs(random, deeper)),
        12 => Value::Set(random_values(random, deeper)),
        13 => Value::Push(random_values(random, deeper)),
        _ => {
            let pairs = random_pairs(random, deeper);
            Value::Attributed(pairs, Box::new(random_value(random, deeper)))
        }
    }
}

#[test]
fn values_survive_encoding_in_resp3() {
    let mut random = Random::new();
    for _ in 0..5_000 {
        let value = random_value(&mut random, 3);
        let mut out = Vec::new();
        value.write_to(&mut Reply::new(&mut out, Resp::V3));
        let end = out.len();
        out.extend_from_slice(b":1\r\n");
        assert_eq!(parse_value(&out), Ok(Some((value, end))));
        let cut = random.below(end);
        let mut skipper = ValueSkipper::new();
        assert_eq!(skipper.skip(&out[..cut]), Ok(None));
        assert_eq!(skipper.skip(&out), Ok(Some(end)));
    }
}

#[test]
fn values_in_resp2_are_whole_replies_of_resp2_types() {
    let mut random = Random::new();
    for _ in 0..2_000 {
        let value = random_value(&mut random, 3);
        let mut out = Vec::new();
        value.write_to(&mut Reply::new(&mut out, Resp::V2));
        let (read, length) = parse_value(&out).unwrap().unwrap();
        assert_eq!(length, out.len());
        let mut again = Vec::new();
        read.write_to(&mut Reply::new(&mut again, Resp::V2));
        assert_eq!(again, out);
    }
}

#[test]
fn mutated_values_never_panic() {
    const ALPHABET: &[u8] = b"*$%~>|,#(_=!:+-\r\n0123456789tf\0\xff";
    let mut random = Random::new();
    for _ in 0..100_000 {
        let mut out = Vec::new();
        random_value(&mut random, 2).write_to(&mut Reply::new(&mut out, Resp::V3));
        for _ in 0..=random.below(3) {
            let at = random.below(out.len().clamp(1, 64)).min(out.len());
            let byte = ALPHABET[random.below(ALPHABET.len())];
            match random.below(3) {
                0 => out.insert(at, byte),
                1 if at < out.len() => out[at] = byte,
                _ => out.truncate(at),
            }
        }
        let skipped = ValueSkipper::new().skip(&out);
        match parse_value(&out) {
            Ok(Some((_, length))) => assert_eq!(skipped, Ok(Some(length))),
            Ok(None) => assert_eq!(skipped, Ok(None)),
            Err(_) => {}
        }
        if let Ok(Some(length)) = skipped {
            assert!(0 < length && length <= out.len());
        }
    }
}
