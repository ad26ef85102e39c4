//! Requests: no input panics, and how the bytes are split makes no difference.
//!
//! The first byte of the input says where it is split and whether the client has logged in.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::args::Args;
use protocol::request::{Progress, RequestLimits, RequestParser};

fuzz_target!(|data: &[u8]| {
    let Some((&choice, frame)) = data.split_first() else {
        return;
    };
    let limits = RequestLimits {
        bulk_bytes_max: 1 << 20,
        authenticated: choice & 1 == 0,
    };
    let mut words = Vec::new();
    let mut whole = frame.to_vec();
    let at_once = RequestParser::new().parse(&mut whole, &limits, &mut words);
    let found: Vec<Vec<u8>> = match at_once {
        Ok(Progress::Complete { consumed }) => {
            assert!(0 < consumed && consumed <= frame.len());
            Args::new(&whole[..consumed], &words)
                .iter()
                .map(<[u8]>::to_vec)
                .collect()
        }
        _ => Vec::new(),
    };

    let mut parser = RequestParser::new();
    let mut buffer = frame[..usize::from(choice).min(frame.len())].to_vec();
    let mut in_two = parser.parse(&mut buffer, &limits, &mut words);
    if matches!(in_two, Ok(Progress::Incomplete { .. })) {
        buffer.extend_from_slice(&frame[buffer.len()..]);
        in_two = parser.parse(&mut buffer, &limits, &mut words);
    }
    assert_eq!(in_two, at_once);
    if let Ok(Progress::Complete { consumed }) = in_two {
        assert!(
            Args::new(&buffer[..consumed], &words)
                .iter()
                .eq(found.iter().map(Vec::as_slice))
        );
    }
});
