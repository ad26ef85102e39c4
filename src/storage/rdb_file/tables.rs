//! What a file has of tables: data of a module that no Redis has, so that it refuses the file.
//!
//! ```text
//!   247 | id, length | 2 | when, length | 2 | checksum, length | 5 | string | 0
//! ```
//!
//! The id has the name `tr-tables` and the version of the format. A string is a piece of `tables::bytes::section`;
//! the checksum is its CRC-32C, also in files without one of their own (`rdbchecksum no`).
//!
//! Not here: what the pieces say (crate `tables`).

use crc_fast::crc32_iscsi;
use types::rdb::extent::{Begins, Stop, length, string};

use super::module;
use super::opcode;

/// The version that is written, and read. An id has 10 bits for it.
const VERSION: u64 = 1;

/// The name of the module, as Redis shows it.
pub(super) const NAME: &str = "tr-tables";

const UNSIGNED: u64 = 2;
const STRING: u64 = 5;
const END: u64 = 0;

/// Rows come behind the keys of a file, and modules say so.
const WHEN: u64 = 2;

/// A piece that was found.
pub(super) struct Found {
    /// Where its string begins, behind the code of the part, and how many bytes it takes.
    pub(super) at: usize,
    pub(super) len: usize,
    pub(super) checksum: u64,
}

/// What a part of a module has.
pub(super) enum Part {
    /// Nothing about tables.
    Other,
    /// Tables in a version that is not known here.
    Version(u64),
    Piece(Found),
}

/// Returns the id that parts of tables have.
fn id() -> u64 {
    module::id_of(NAME.as_bytes()) | VERSION
}

/// Returns what a part of a module begins with, its code passed over; how many bytes it takes is said of pieces
/// only.
pub(super) fn part(bytes: &[u8]) -> Begins<Part> {
    let (found, mut at) = length(bytes)?;
    if module::name_of(found) != NAME {
        return Ok((Part::Other, 0));
    }
    if found != id() {
        return Ok((Part::Version(found & module::VERSION_MASK), 0));
    }
    let next = |at: &mut usize| {
        let (value, taken) = length(&bytes[*at..])?;
        *at += taken;
        Ok(value)
    };
    let expect = |at: &mut usize, expected| {
        if next(at)? == expected {
            Ok(())
        } else {
            Err(Stop::Wrong)
        }
    };
    expect(&mut at, UNSIGNED)?;
    next(&mut at)?;
    expect(&mut at, UNSIGNED)?;
    let checksum = next(&mut at)?;
    expect(&mut at, STRING)?;
    let len = string(&bytes[at..])?.len();
    let found = Found { at, len, checksum };
    at += len;
    expect(&mut at, END)?;
    Ok((Part::Piece(found), at))
}

/// Returns whether a piece has this checksum.
pub(super) fn is_whole(piece: &[u8], checksum: u64) -> bool {
    u64::from(crc32_iscsi(piece)) == checksum
}

/// Appends a piece.
pub(super) fn write(out: &mut types::rdb::Writer, piece: &[u8]) {
    out.put(&[opcode::MODULE]);
    out.length(id());
    out.length(UNSIGNED);
    out.length(WHEN);
    out.length(UNSIGNED);
    out.length(u64::from(crc32_iscsi(piece)));
    out.length(STRING);
    out.string(piece);
    out.length(END);
}
