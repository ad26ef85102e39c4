//! Files of Redis: no input panics, and no key is handed on that is not a value.
//!
//! The first byte says in which pieces the file comes; the checksum is not compared, as no input would
//! guess it.

#![no_main]

use base::clock::UnixMillis;
use libfuzzer_sys::fuzz_target;
use storage::rdb_file::{Part, Reader};
use types::Limits;
use types::rdb::Surroundings;

fuzz_target!(|data: &[u8]| {
    let Some((&piece, file)) = data.split_first() else {
        return;
    };
    let limits = Limits::default();
    let surroundings = Surroundings {
        limits: &limits,
        hash_seed: (1, 2),
        now: UnixMillis(1_700_000_000_000),
    };
    let mut reader = Reader::new(false);
    let mut pieces = file.chunks(usize::from(piece) + 1);
    loop {
        match reader.part() {
            Ok(Some(Part::End)) | Err(_) => return,
            Ok(Some(Part::Entry(entry))) => drop(entry.read(&surroundings)),
            Ok(Some(_)) => {}
            Ok(None) => match pieces.next() {
                Some(bytes) => reader.feed(bytes),
                None => reader.end(),
            },
        }
    }
});
