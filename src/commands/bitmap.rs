//! Strings as rows of bits: one bit, counting, finding, combining.
//!
//! What bits are and how they are counted is in `types::bitmap`; integers of several bits are in
//! [`crate::bitfield`].

use std::ops::RangeInclusive;

use base::cast::{i64_from, u64_from, usize_from};
use protocol::args::{Args, equals_ignore_case};
use shard::effects::{Change, EventClass};
use shard::keyspace::Expiry;
use types::bitmap::{self, Operation};
use types::string::Origin;

use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec, Plan,
    ShardCommand, Spread,
};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(SETBIT, Spread::OneShard, setbit),
    ShardCommand::new(GETBIT, Spread::OneShard, getbit),
    ShardCommand::new(BITCOUNT, Spread::OneShard, bitcount),
    ShardCommand::new(BITPOS, Spread::OneShard, bitpos),
    ShardCommand::new(BITOP, Spread::Plan(Plan::Lend), bitop),
];

const BYTE_BITS: u64 = 8;

/// The refusal of a word that is no place in a string.
pub(crate) const BAD_OFFSET: CommandError =
    CommandError::Text("ERR bit offset is not an integer or out of range");

/// The event of a string some of whose bits were written.
pub(crate) const SETBIT_EVENT: &str = "setbit";

/// Returns the offset of a bit as a string of at most `bytes_max` bytes may have it.
pub(crate) fn checked_offset(offset: i64, bytes_max: u64) -> Result<u64, CommandError> {
    match u64::try_from(offset) {
        Ok(offset) if offset / BYTE_BITS < bytes_max => Ok(offset),
        Ok(_) | Err(_) => Err(BAD_OFFSET),
    }
}

/// Reads the offset of a bit.
fn bit_offset(context: &Context<'_>, word: &[u8]) -> Result<u64, CommandError> {
    let offset = words::integer(word).ok_or(BAD_OFFSET)?;
    checked_offset(offset, context.shard.options().bulk_bytes_max)
}

fn setbit(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let offset = bit_offset(context, args.word(2))?;
    let on = match args.word(3) {
        b"0" => false,
        b"1" => true,
        _ => {
            return Err(CommandError::Text(
                "ERR bit is not an integer or out of range",
            ));
        }
    };
    let key = context.first_key(args);
    let len_min = usize_from(offset / BYTE_BITS) + 1;
    let mut db = context.shard.db(context.db);
    let was = db.edit_bytes(key, len_min, |bytes, grown| {
        let was = bitmap::set_bit(bytes, offset, on);
        let count = usize::from(grown || was != on);
        (was, Change::of(count, EventClass::STRING, SETBIT_EVENT))
    })?;
    context.reply.integer(i64::from(was));
    Ok(())
}

fn getbit(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let offset = bit_offset(context, args.word(2))?;
    let key = context.first_key(args);
    let bit = match context.shard.db(context.db).lookup(key, context.touch) {
        Some(entry) => bitmap::bit(entry.string()?, offset),
        None => false,
    };
    context.reply.integer(i64::from(bit));
    Ok(())
}

fn bitcount(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    // Without the key nothing else is looked at, not even a word that is none.
    let count = match db.lookup(key, context.touch) {
        Some(entry) => count_bits(entry.string()?, args.from(2))?,
        None => 0,
    };
    context.reply.integer(count.cast_signed());
    Ok(())
}

/// Counts the bits that the words behind the key ask for: `[start end [BYTE|BIT]]`.
fn count_bits(string: &[u8], words: Args<'_>) -> Result<u64, CommandError> {
    match words.len() {
        0 => return Ok(bitmap::count(string)),
        2 | 3 => {}
        _ => return Err(CommandError::Syntax),
    }
    let start = words::integer_or_refuse(words.word(0))?;
    let end = words::integer_or_refuse(words.word(1))?;
    if start < 0 && end < 0 && start > end {
        return Ok(0);
    }
    let unit = Unit::read(words.get(2))?;
    Ok(unit
        .range(string, start, end)
        .map_or(0, |range| bitmap::count_in(string, range)))
}

fn bitpos(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let wanted = match words::integer_or_refuse(args.word(2))? {
        0 => false,
        1 => true,
        _ => {
            return Err(CommandError::Text("ERR The bit argument must be 1 or 0."));
        }
    };
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let found = match db.lookup(key, context.touch) {
        Some(entry) => find_bit(entry.string()?, wanted, args.from(3))?,
        // A row of zeros without an end.
        None => (!wanted).then_some(0),
    };
    context.reply.integer(found.map_or(-1, u64::cast_signed));
    Ok(())
}

/// Finds the first such bit where the words behind it ask for: `[start [end [BYTE|BIT]]]`.
fn find_bit(string: &[u8], wanted: bool, words: Args<'_>) -> Result<Option<u64>, CommandError> {
    if words.len() > 3 {
        return Err(CommandError::Syntax);
    }
    let start = words.get(0).map_or(Ok(0), words::integer_or_refuse)?;
    let unit = Unit::read(words.get(2))?;
    let end = words.get(1).map_or(Ok(-1), words::integer_or_refuse)?;
    let Some(range) = unit.range(string, start, end) else {
        return Ok(None);
    };
    let found = bitmap::find(string, wanted, range);
    if found.is_none() && !wanted && words.len() < 2 {
        // Without an end the string goes on with zeros.
        return Ok(Some(bit_len(string)));
    }
    Ok(found)
}

/// What positions count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Bytes,
    Bits,
}

impl Unit {
    fn read(word: Option<&[u8]>) -> Result<Self, CommandError> {
        match word {
            None => Ok(Self::Bytes),
            Some(word) if equals_ignore_case(word, "BYTE") => Ok(Self::Bytes),
            Some(word) if equals_ignore_case(word, "BIT") => Ok(Self::Bits),
            Some(_) => Err(CommandError::Syntax),
        }
    }

    /// Returns the bits of a string from position `start` to position `end`, both inclusive; `None` if
    /// there are none. Negative positions count from the end, and what lies outside is cut off.
    fn range(self, string: &[u8], start: i64, end: i64) -> Option<RangeInclusive<u64>> {
        let (len, unit_bits) = match self {
            Self::Bytes => (u64_from(string.len()), BYTE_BITS),
            Self::Bits => (bit_len(string), 1),
        };
        let place = |position: i64| match u64::try_from(position) {
            Ok(position) => position,
            Err(_) => len.saturating_sub(position.unsigned_abs()),
        };
        let (start, end) = (place(start), place(end).min(len.checked_sub(1)?));
        (start <= end).then(|| start * unit_bits..=end * unit_bits + unit_bits - 1)
    }
}

fn bit_len(string: &[u8]) -> u64 {
    u64_from(string.len()) * BYTE_BITS
}

fn bitop(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    // NOT is a combination with nothing, and inverted at the end.
    let operation = match args.word(1) {
        word if equals_ignore_case(word, "AND") => Some(Operation::And),
        word if equals_ignore_case(word, "OR") => Some(Operation::Or),
        word if equals_ignore_case(word, "XOR") => Some(Operation::Xor),
        word if equals_ignore_case(word, "NOT") => None,
        _ => return Err(CommandError::Syntax),
    };
    if operation.is_none() && args.len() != 4 {
        return Err(CommandError::Text(
            "ERR BITOP NOT must be called with a single source key.",
        ));
    }
    let sources = context.borrow_all(args.from(3).iter(), true);
    let mut strings = Vec::with_capacity(sources.len());
    for source in sources {
        strings.push(context.loans.get(source).string()?.unwrap_or_default());
    }
    let result = combined(operation, &strings);
    let len = result.len();
    let key = context.shard.key(args.word(2));
    let mut db = context.shard.db(context.db);
    if result.is_empty() {
        if db.remove(key) {
            db.event(EventClass::GENERIC, "del", key);
        }
    } else {
        db.set_string_owned(key, result, Expiry::Clear, Origin::Edited);
        db.event(EventClass::STRING, "set", key);
    }
    context.reply.integer(i64_from(len));
    Ok(())
}

/// Combines strings, at least one; without an operation inverts the only one. O(bytes of all).
fn combined(operation: Option<Operation>, strings: &[&[u8]]) -> Vec<u8> {
    let (first, others) = strings.split_first().expect("BITOP has a source");
    let len = strings.iter().map(|string| string.len()).max().unwrap_or(0);
    let mut result = Vec::with_capacity(len);
    result.extend_from_slice(first);
    match operation {
        None => bitmap::invert(&mut result),
        Some(operation) => {
            for string in others {
                bitmap::combine(&mut result, string, operation);
            }
        }
    }
    result
}

const UNITS: &[Argument] = &[
    Argument::token("byte", "BYTE"),
    Argument::token("bit", "BIT"),
];

const SETBIT: Declaration = Declaration::new(
    "setbit",
    Arity::Exactly(4),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::Bitmap])
.keys(&[KeySpec::at(1, &["RW", "access", "update"])])
.docs(
    Docs::new(
        "bitmap",
        "2.2.0",
        "Writes one bit of a string, which grows as far as it has to, and returns what it was.",
        "O(1), O(N) when the string has to grow to N bytes.",
    )
    .arguments(&[
        Argument::KEY,
        Argument::integer("offset"),
        Argument::integer("value"),
    ]),
);

const GETBIT: Declaration = Declaration::new(
    "getbit",
    Arity::Exactly(3),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::Bitmap])
.keys(&[KeySpec::at(1, &["RO", "access"])])
.docs(
    Docs::new("bitmap", "2.2.0", "Returns one bit of a string.", "O(1)")
        .arguments(&[Argument::KEY, Argument::integer("offset")]),
);

const BITCOUNT: Declaration = Declaration::new("bitcount", Arity::AtLeast(2), Flags::READONLY)
    .categories(&[Category::Bitmap])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "bitmap",
            "2.6.0",
            "Counts the bits that are set in a string, or in a part of it.",
            "O(N), N being the number of bytes looked at.",
        )
        .history(&[("7.0.0", "Positions may count bits, with `BIT`.")])
        .arguments(&[
            Argument::KEY,
            Argument::block(
                "index",
                &[
                    Argument::integer("start"),
                    Argument::integer("end"),
                    Argument::one_of("index_unit", UNITS)
                        .since("7.0.0")
                        .optional(),
                ],
            )
            .optional(),
        ]),
    );

const BITPOS: Declaration = Declaration::new("bitpos", Arity::AtLeast(3), Flags::READONLY)
    .categories(&[Category::Bitmap])
    .keys(&[KeySpec::at(1, &["RO", "access"])])
    .docs(
        Docs::new(
            "bitmap",
            "2.8.7",
            "Finds the first bit of a string, or of a part of it, that is set or that is not.",
            "O(N), N being the number of bytes looked at.",
        )
        .history(&[("7.0.0", "Positions may count bits, with `BIT`.")])
        .arguments(&[
            Argument::KEY,
            Argument::integer("bit"),
            Argument::block(
                "index",
                &[
                    Argument::integer("start"),
                    Argument::block(
                        "end_index",
                        &[
                            Argument::integer("end"),
                            Argument::one_of("index_unit", UNITS)
                                .since("7.0.0")
                                .optional(),
                        ],
                    )
                    .optional(),
                ],
            )
            .optional(),
        ]),
    );

const BITOP: Declaration = Declaration::new(
    "bitop",
    Arity::AtLeast(4),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::Bitmap])
.keys(&[
    KeySpec::at(2, &["OW", "update"]),
    KeySpec::range(3, -1, 1, &["RO", "access"]),
])
.docs(
    Docs::new(
        "bitmap",
        "2.6.0",
        "Stores the bits of several strings, combined by AND, OR or XOR, or of one, inverted.",
        "O(N), N being the number of bytes of all sources.",
    )
    .arguments(&[
        Argument::text("operation"),
        Argument::key("destkey", 0),
        Argument::key("key", 1).multiple(),
    ]),
);
