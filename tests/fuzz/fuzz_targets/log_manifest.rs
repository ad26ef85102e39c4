//! Manifests: those of our log and those of Redis. No input panics; ours is read only with its checksum, and is then
//! written as it was read.

#![no_main]

use libfuzzer_sys::fuzz_target;
use storage::log::manifest::Manifest;
use storage::redis_log::files_of;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(names) = files_of(text) {
        assert!(names.iter().all(|name| !name.is_empty() && !name.contains('/')));
    }
    for text in [text.to_owned(), Manifest::sealed(text)] {
        if let Some(manifest) = Manifest::parse(&text) {
            assert_eq!(Manifest::parse(&manifest.text()), Some(manifest));
        }
    }
});
