//! Files of the log: no input panics; what is read from a mangled file is a beginning of what was written; effects
//! of any bytes are effects or are refused.
//!
//! The input says how a good file is changed: it is short pieces that are put in the place of others. The same bytes
//! are read as a file as they are, and as effects.

#![no_main]

use base::clock::UnixMillis;
use libfuzzer_sys::fuzz_target;
use storage::log::record::{Head, Reader, write};
use types::effect::Effects;

const RECORDS: u64 = 12;

fn effects_of(number: u64) -> Vec<u8> {
    let length = usize::try_from(number * 37 % 100).unwrap_or(0);
    number.to_le_bytes().into_iter().cycle().take(length).collect()
}

/// Reads all records; nothing if the file is refused.
fn read(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut reader = Reader::open(bytes).ok()?;
    let mut records = Vec::new();
    while let Some(record) = reader.record().ok()? {
        records.push(record.effects.to_vec());
    }
    assert_eq!(
        usize::try_from(reader.offset() + reader.torn_bytes()),
        Ok(bytes.len())
    );
    Some(records)
}

fuzz_target!(|data: &[u8]| {
    drop(read(data));
    for effect in Effects::new(data) {
        if effect.is_err() {
            break;
        }
    }
    let head = Head {
        shard: 1,
        shards: 2,
        generation: 3,
        first: 1,
    };
    let mut file = head.bytes();
    let written: Vec<Vec<u8>> = (1..=RECORDS).map(effects_of).collect();
    for (number, effects) in (1..).zip(&written) {
        write(&mut file, number, UnixMillis(5), effects);
    }
    // Two bytes say where, one how many go, one how many come.
    let mut left = data;
    while let [low, high, gone, come, rest @ ..] = left {
        let at = usize::from(u16::from_le_bytes([*low, *high])).min(file.len());
        let end = (at + usize::from(*gone)).min(file.len());
        let come = usize::from(*come).min(rest.len());
        drop(file.splice(at..end, rest[..come].iter().copied()));
        left = &rest[come..];
    }
    if let Some(records) = read(&file) {
        assert!(written.starts_with(&records));
    }
});
