//! Data that modules have beside their keys: passed over, if it is nothing.
//!
//! ```text
//!   id, length | 2, length | when: 1 before the keys, 2 behind | item ... | 0
//!   item   1 length   2 length   3 f32   4 f64   5 string          their codes are lengths too
//!   id     9 names of 6 bits, from the highest on, and 10 bits of version
//! ```
//!
//! Not here: values of modules, of which only the name of their type is read.

use types::rdb::extent::{Begins, Stop, length, string};
use types::rdb::read_string;

const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
/// Letters of a name.
const NAME_LEN: usize = 9;
/// Bits of the version, behind the name.
const VERSION_BITS: u32 = 10;
/// These bits of an id.
pub(super) const VERSION_MASK: u64 = (1 << VERSION_BITS) - 1;

const END: u64 = 0;
const SIGNED: u64 = 1;
const UNSIGNED: u64 = 2;
const FLOAT: u64 = 3;
const DOUBLE: u64 = 4;
const STRING: u64 = 5;

/// What a module has written beside its keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ModuleData {
    pub(super) module: String,
    /// All of it is zeros and empty strings.
    pub(super) is_blank: bool,
}

/// Returns the name of a type of a module.
pub(super) fn name_of(id: u64) -> String {
    let letters = (0..NAME_LEN).rev().map(|place| {
        let shift = VERSION_BITS + 6 * u32::try_from(place).unwrap_or(0);
        char::from(LETTERS[base::cast::usize_from(id >> shift & 63)])
    });
    letters.collect()
}

/// Returns the id of a type of a module, its version 0. A name has nine letters.
pub(super) fn id_of(name: &[u8]) -> u64 {
    let place = |letter: &u8| LETTERS.iter().position(|known| known == letter);
    let letters = name.iter().map(|letter| place(letter).unwrap_or(0));
    let id = letters.fold(0, |id, place| id << 6 | base::cast::u64_from(place));
    id << VERSION_BITS
}

/// Returns what bytes begin with: data of a module, the code of the part passed over.
pub(super) fn data(bytes: &[u8]) -> Begins<ModuleData> {
    let mut at = 0;
    let next = |at: &mut usize| {
        let (value, taken) = length(&bytes[*at..])?;
        *at += taken;
        Ok(value)
    };
    let id = next(&mut at)?;
    let code = next(&mut at)?;
    let _when = next(&mut at)?;
    if code != UNSIGNED {
        return Err(Stop::Wrong);
    }
    let mut is_blank = true;
    loop {
        let code = next(&mut at)?;
        if code == END {
            let module = name_of(id);
            return Ok((ModuleData { module, is_blank }, at));
        }
        let (is_nothing, taken) = item(code, &bytes[at..])?;
        is_blank &= is_nothing;
        at += taken;
    }
}

/// Returns whether the item that bytes begin with is nothing.
fn item(code: u64, bytes: &[u8]) -> Begins<bool> {
    match code {
        SIGNED | UNSIGNED => length(bytes).map(|(value, taken)| (value == 0, taken)),
        FLOAT => zeros(bytes, 4),
        DOUBLE => zeros(bytes, 8),
        STRING => {
            let string = string(bytes)?;
            let text = read_string(string).ok_or(Stop::Wrong)?;
            Ok((text.is_empty(), string.len()))
        }
        _ => Err(Stop::Wrong),
    }
}

fn zeros(bytes: &[u8], count: usize) -> Begins<bool> {
    let number = bytes.get(..count).ok_or(Stop::Short)?;
    Ok((number.iter().all(|&byte| byte == 0), count))
}
