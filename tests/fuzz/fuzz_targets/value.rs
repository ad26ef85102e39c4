//! Replies: no input panics, skipping agrees with building, and RESP3 values survive re-encoding.

#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::reply::{Reply, Resp};
use protocol::value::{ValueSkipper, parse_value};

fuzz_target!(|data: &[u8]| {
    let skipped = ValueSkipper::new().skip(data);
    match parse_value(data) {
        Ok(Some((value, length))) => {
            assert_eq!(skipped, Ok(Some(length)));
            // Lines are text and doubles have 17 digits once encoded, so the second encoding is the
            // first that must be stable.
            let mut first = Vec::new();
            value.write_to(&mut Reply::new(&mut first, Resp::V3));
            let (again, length) = parse_value(&first).expect("own encoding").expect("whole");
            assert_eq!(length, first.len());
            let mut second = Vec::new();
            again.write_to(&mut Reply::new(&mut second, Resp::V3));
            assert_eq!(second, first);
        }
        Ok(None) => assert_eq!(skipped, Ok(None)),
        Err(_) => {}
    }
});
