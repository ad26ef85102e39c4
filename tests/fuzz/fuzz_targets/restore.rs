//! Payloads of RESTORE: no input panics, and what is read is written and read as the same value.
//!
//! The input is a type and an object; its footer is added here, as no input would guess a checksum.

#![no_main]

use base::clock::UnixMillis;
use libfuzzer_sys::fuzz_target;
use types::Limits;
use types::rdb::{self, Object, Surroundings, VERSION_MAX};

const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

fuzz_target!(|data: &[u8]| {
    let limits = Limits::default();
    let surroundings = Surroundings {
        limits: &limits,
        hash_seed: (1, 2),
        now: NOW,
    };
    let mut payload = data.to_vec();
    payload.extend_from_slice(&VERSION_MAX.to_le_bytes());
    let crc = rdb::crc64(&payload);
    payload.extend_from_slice(&crc.to_le_bytes());
    let Ok(value) = rdb::restore(&payload, &surroundings) else {
        return;
    };
    if value.is_void() {
        return;
    }
    let written = rdb::dump(Object::Value(&value), NOW);
    let length = rdb::object_bytes(Object::Value(&value), NOW);
    assert_eq!(length + 11, written.len());
    let again = rdb::restore(&written, &surroundings).expect("own bytes are a value");
    let rewritten = rdb::dump(Object::Value(&again), NOW);
    assert!(again == value || rewritten == written);
});
