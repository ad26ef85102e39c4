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
    let at_once = RequestParser::new().parse(frame, &limits, &mut words);
    let found = words.clone();
    if let Ok(progress) = &at_once
        && let Progress::Complete { consumed } | Progress::Unquoted { consumed, .. } = progress
    {
        assert!(0 < *consumed && *consumed <= frame.len());
        // Every range lies inside its buffer.
        let args = Args::new(progress.buffer(&frame[..*consumed]), &words);
        assert!(args.iter().map(<[u8]>::len).sum::<usize>() <= *consumed);
    }

    let mut parser = RequestParser::new();
    let cut = usize::from(choice).min(frame.len());
    let mut in_two = parser.parse(&frame[..cut], &limits, &mut words);
    if matches!(in_two, Ok(Progress::Incomplete { .. })) {
        in_two = parser.parse(frame, &limits, &mut words);
    }
    assert_eq!(in_two, at_once);
    if in_two.is_ok() {
        assert_eq!(words, found);
    }
});
