//! BITFIELD: integers of any width inside a string.
//!
//! All words are read before anything is done, so a request either does all its operations, one after
//! the other, or none. What fields are is in `types::bitfield`.

use base::cast::usize_from;
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::Reply;
use shard::effects::{Change, EventClass};
use types::bitfield::{Kind, Overflow};

use crate::bitmap::{BAD_OFFSET, SETBIT_EVENT, checked_offset};
use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec,
    ShardCommand, Spread,
};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[
    ShardCommand::new(BITFIELD, Spread::OneShard, bitfield),
    ShardCommand::new(BITFIELD_RO, Spread::OneShard, bitfield_ro),
];

/// One operation on one field.
struct Step {
    kind: Kind,
    /// The first bit of the field.
    offset: u64,
    action: Action,
}

enum Action {
    Read,
    Write(i64, Overflow),
    Add(i64, Overflow),
}

impl Step {
    fn is_read(&self) -> bool {
        matches!(self.action, Action::Read)
    }

    /// Returns how long a string has to be for the field, in bytes.
    fn len_min(&self) -> usize {
        usize_from((self.offset + u64::from(self.kind.bits()) - 1) / 8) + 1
    }

    /// Writes the field as the operation says, and replies. Returns whether that counts as a change:
    /// in a string that has `grown` for it, every value written does.
    fn run(&self, bytes: &mut [u8], grown: bool, reply: &mut Reply<'_>) -> bool {
        let old = self.kind.load(bytes, self.offset);
        let (new, shown) = match self.action {
            Action::Read => (Some(old), old),
            Action::Write(value, overflow) => (self.kind.fit(value, overflow), old),
            Action::Add(increment, overflow) => {
                let sum = self.kind.sum(old, increment, overflow);
                (sum, sum.unwrap_or_default())
            }
        };
        let Some(new) = new else {
            reply.null();
            return false;
        };
        reply.integer(shown);
        if new != old {
            self.kind.store(bytes, self.offset, new);
        }
        new != old || (grown && !self.is_read())
    }
}

fn bitfield(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let steps = parse(args, context.shard.options().bulk_bytes_max)?;
    let written = steps.iter().filter(|step| !step.is_read());
    match written.map(Step::len_min).max() {
        None => read(context, args, &steps),
        Some(len_min) => write(context, args, &steps, len_min),
    }
}

fn bitfield_ro(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let steps = parse(args, context.shard.options().bulk_bytes_max)?;
    if !steps.iter().all(Step::is_read) {
        return Err(CommandError::Text(
            "ERR BITFIELD_RO only supports the GET subcommand",
        ));
    }
    read(context, args, &steps)
}

fn read(context: &mut Context<'_>, args: Args<'_>, steps: &[Step]) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let string = match db.lookup(key, context.touch) {
        Some(entry) => entry.string()?,
        None => &[],
    };
    context.reply.array(steps.len());
    for step in steps {
        context.reply.integer(step.kind.load(string, step.offset));
    }
    Ok(())
}

/// Carries out the steps, some of which write: the string has to reach the last of them, though none
/// may have an effect.
fn write(
    context: &mut Context<'_>,
    args: Args<'_>,
    steps: &[Step],
    len_min: usize,
) -> Result<(), CommandError> {
    let key = context.first_key(args);
    let mut db = context.shard.db(context.db);
    let reply = &mut context.reply;
    db.edit_bytes(key, len_min, |bytes, grown| {
        reply.array(steps.len());
        let changes = steps.iter().filter(|step| step.run(bytes, grown, reply));
        let change = Change::of(changes.count(), EventClass::STRING, SETBIT_EVENT);
        ((), change)
    })?;
    Ok(())
}

/// Reads the operations of a request.
fn parse(args: Args<'_>, bytes_max: u64) -> Result<Vec<Step>, CommandError> {
    let mut steps = Vec::new();
    let mut overflow = Overflow::default();
    let mut index = 2;
    while let Some(word) = args.get(index) {
        let rest = args.len() - index - 1;
        if equals_ignore_case(word, "OVERFLOW") && rest >= 1 {
            overflow = parse_overflow(args.word(index + 1))?;
            index += 2;
            continue;
        }
        let action: fn(i64, Overflow) -> Action;
        let word_count;
        if equals_ignore_case(word, "GET") && rest >= 2 {
            (action, word_count) = (|_, _| Action::Read, 3);
        } else if equals_ignore_case(word, "SET") && rest >= 3 {
            (action, word_count) = (Action::Write, 4);
        } else if equals_ignore_case(word, "INCRBY") && rest >= 3 {
            (action, word_count) = (Action::Add, 4);
        } else {
            return Err(CommandError::Syntax);
        }
        let kind = parse_kind(args.word(index + 1))?;
        let offset = parse_offset(args.word(index + 2), kind, bytes_max)?;
        let value = if word_count == 4 {
            words::integer_or_refuse(args.word(index + 3))?
        } else {
            0
        };
        steps.push(Step {
            kind,
            offset,
            action: action(value, overflow),
        });
        index += word_count;
    }
    Ok(steps)
}

fn parse_overflow(word: &[u8]) -> Result<Overflow, CommandError> {
    if equals_ignore_case(word, "WRAP") {
        Ok(Overflow::Wrap)
    } else if equals_ignore_case(word, "SAT") {
        Ok(Overflow::Saturate)
    } else if equals_ignore_case(word, "FAIL") {
        Ok(Overflow::Fail)
    } else {
        Err(CommandError::Text("ERR Invalid OVERFLOW type specified"))
    }
}

/// Reads a type: `i` or `u`, and the number of bits.
fn parse_kind(word: &[u8]) -> Result<Kind, CommandError> {
    let kind = match word {
        [b'i', bits @ ..] => words::integer(bits).and_then(|bits| Kind::new(true, bits)),
        [b'u', bits @ ..] => words::integer(bits).and_then(|bits| Kind::new(false, bits)),
        _ => None,
    };
    kind.ok_or(CommandError::Text(
        "ERR Invalid bitfield type. Use something like i16 u8. \
         Note that u64 is not supported but i64 is.",
    ))
}

/// Reads where a field begins: a bit, or after `#` a number of fields of the same type.
fn parse_offset(word: &[u8], kind: Kind, bytes_max: u64) -> Result<u64, CommandError> {
    let offset = match word {
        // A product beyond 64 bits loses its highest ones, as in Redis.
        [b'#', count @ ..] => {
            words::integer(count).map(|count| count.wrapping_mul(i64::from(kind.bits())))
        }
        bit => words::integer(bit),
    };
    checked_offset(offset.ok_or(BAD_OFFSET)?, bytes_max)
}

const FIELD: &[Argument] = &[Argument::text("encoding"), Argument::integer("offset")];

const BITFIELD: Declaration = Declaration::new(
    "bitfield",
    Arity::AtLeast(2),
    Flags::WRITE.and(Flags::DENY_OOM),
)
.categories(&[Category::Bitmap])
.keys(&[
    KeySpec::at(1, &["RW", "access", "update", "variable_flags"])
        .with_notes("Only read if every operation is a GET."),
])
.docs(
    Docs::new(
        "bitmap",
        "3.2.0",
        "Reads, writes and adds to integers of any width inside a string.",
        "O(1) for each operation.",
    )
    .arguments(&[
        Argument::KEY,
        Argument::one_of(
            "operation",
            &[
                Argument::block("encoding_offset", FIELD).with_token("GET"),
                Argument::block(
                    "write",
                    &[
                        Argument::one_of(
                            "wrap_sat_fail",
                            &[
                                Argument::token("wrap", "WRAP"),
                                Argument::token("sat", "SAT"),
                                Argument::token("fail", "FAIL"),
                            ],
                        )
                        .with_token("OVERFLOW")
                        .optional(),
                        Argument::one_of(
                            "write_operation",
                            &[
                                Argument::block(
                                    "encoding_offset_value",
                                    &[
                                        Argument::text("encoding"),
                                        Argument::integer("offset"),
                                        Argument::integer("value"),
                                    ],
                                )
                                .with_token("SET"),
                                Argument::block(
                                    "encoding_offset_increment",
                                    &[
                                        Argument::text("encoding"),
                                        Argument::integer("offset"),
                                        Argument::integer("increment"),
                                    ],
                                )
                                .with_token("INCRBY"),
                            ],
                        ),
                    ],
                ),
            ],
        )
        .optional()
        .multiple(),
    ]),
);

const BITFIELD_RO: Declaration = Declaration::new(
    "bitfield_ro",
    Arity::AtLeast(2),
    Flags::READONLY.and(Flags::FAST),
)
.categories(&[Category::Bitmap])
.keys(&[KeySpec::at(1, &["RO", "access"])])
.docs(
    Docs::new(
        "bitmap",
        "6.0.0",
        "Reads integers of any width inside a string.",
        "O(1) for each operation.",
    )
    .arguments(&[
        Argument::KEY,
        Argument {
            multiple_token: true,
            ..Argument::block("encoding_offset", FIELD)
                .with_token("GET")
                .optional()
                .multiple()
        },
    ]),
);
