//! Append-only files of Redis: no input panics, and in whatever pieces the bytes come the commands are the same.

#![no_main]

use std::io::{self, Read};

use libfuzzer_sys::fuzz_target;
use storage::redis_log::{Commands, Damage};

/// Gives its bytes a few at a time.
struct Pieces<'a>(&'a [u8], usize);

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.1.min(self.0.len()).min(buffer.len());
        let (now, later) = self.0.split_at(count);
        buffer[..count].copy_from_slice(now);
        self.0 = later;
        Ok(count)
    }
}

fn read(bytes: &[u8], piece: usize) -> (Vec<Vec<Vec<u8>>>, Option<Damage>) {
    let mut commands = Commands::new(Pieces(bytes, piece), Vec::new(), 0);
    let mut all = Vec::new();
    loop {
        match commands.command() {
            Ok(Some(words)) => all.push(words.iter().map(|word| word.to_vec()).collect()),
            Ok(None) => return (all, None),
            Err(damage) => return (all, Some(damage)),
        }
    }
}

fuzz_target!(|data: &[u8]| {
    let Some((&piece, file)) = data.split_first() else {
        return;
    };
    assert_eq!(read(file, usize::from(piece) + 1), read(file, usize::MAX));
});
