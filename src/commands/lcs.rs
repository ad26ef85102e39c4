//! LCS: the longest common subsequence of two strings.
//!
//! The classic table: cell (i, j) holds the length for the first i bytes of one string and the first
//! j of the other. One answer is read back from its last cell; where two ways are equally good, the
//! way is the one Redis takes, so that positions agree.
//!
//! The table takes four bytes for each pair of bytes and is refused above `proto-max-bulk-len`, as in
//! Redis; that bounds the time too.

use base::cast::{i64_from, u64_from, usize_from_u32};
use protocol::args::{Args, equals_ignore_case};
use protocol::reply::Reply;

use crate::spec::{
    Argument, Arity, Category, CommandError, Context, Declaration, Docs, Flags, KeySpec, Plan,
    ShardCommand, Spread,
};
use crate::words;

/// The commands of this family.
pub const COMMANDS: &[ShardCommand] = &[ShardCommand::new(LCS, Spread::Plan(Plan::Lend), lcs)];

/// The refusal if one of the keys holds no string; it comes before every check of options.
const NOT_STRINGS: CommandError =
    CommandError::Text("ERR The specified keys must contain string values");

/// The options of LCS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Options {
    /// Reply with the length only.
    length_only: bool,
    /// Reply with the positions of the common pieces.
    positions: bool,
    /// Leave out pieces shorter than this many bytes.
    piece_bytes_min: i64,
    /// Say how long each piece is.
    with_lengths: bool,
}

fn lcs(context: &mut Context<'_>, args: Args<'_>) -> Result<(), CommandError> {
    let ids = [1, 2].map(|word| context.borrow(args.word(word), true));
    let loans = &context.loans;
    let strings = ids.map(|id| loans.get(id).string().or(Err(NOT_STRINGS)));
    let [first, second] = strings;
    let (first, second) = (first?.unwrap_or_default(), second?.unwrap_or_default());
    let options = parse_options(args)?;
    let bytes_max = context.shard.options().bulk_bytes_max;
    reply_with(&mut context.reply, first, second, options, bytes_max)
}

/// Reads the options behind both keys of an LCS request.
///
/// # Errors
///
/// [`CommandError::Syntax`], [`CommandError::NotInteger`], or a text if `LEN` and `IDX` are both there.
fn parse_options(args: Args<'_>) -> Result<Options, CommandError> {
    let mut options = Options::default();
    let mut index = 3;
    while let Some(word) = args.get(index) {
        index += 1;
        if equals_ignore_case(word, "IDX") {
            options.positions = true;
        } else if equals_ignore_case(word, "LEN") {
            options.length_only = true;
        } else if equals_ignore_case(word, "WITHMATCHLEN") {
            options.with_lengths = true;
        } else if equals_ignore_case(word, "MINMATCHLEN") {
            let word = args.get(index).ok_or(CommandError::Syntax)?;
            options.piece_bytes_min = words::integer_or_refuse(word)?.max(0);
            index += 1;
        } else {
            return Err(CommandError::Syntax);
        }
    }
    if options.positions && options.length_only {
        return Err(CommandError::Text(
            "ERR If you want both the length and indexes, please just use IDX.",
        ));
    }
    Ok(options)
}

/// Replies with what `options` ask about `first` and `second`. O(N*M) time and 4*N*M bytes, N and M
/// being their lengths; the bytes are at most `bytes_max`.
///
/// # Errors
///
/// A text if the strings are too long; nothing is written then.
fn reply_with(
    reply: &mut Reply<'_>,
    first: &[u8],
    second: &[u8],
    options: Options,
    bytes_max: u64,
) -> Result<(), CommandError> {
    let table = Table::build(first, second, bytes_max)?;
    let len = usize_from_u32(table.at(first.len(), second.len()));
    if options.length_only {
        reply.integer(i64_from(len));
        return Ok(());
    }
    let (common, pieces) = read_back(&table, first, second, len);
    if !options.positions {
        reply.bulk(&common);
        return Ok(());
    }
    let shown = |piece: &&Piece| i64_from(piece.len) >= options.piece_bytes_min;
    reply.map(2);
    reply.bulk(b"matches");
    reply.array(pieces.iter().filter(shown).count());
    for piece in pieces.iter().filter(shown) {
        reply.array(if options.with_lengths { 3 } else { 2 });
        for start in [piece.first, piece.second] {
            reply.array(2);
            reply.integer(i64_from(start));
            reply.integer(i64_from(start + piece.len - 1));
        }
        if options.with_lengths {
            reply.integer(i64_from(piece.len));
        }
    }
    reply.bulk(b"len");
    reply.integer(i64_from(len));
    Ok(())
}

/// A run of bytes that is common, by its start in both strings.
struct Piece {
    first: usize,
    second: usize,
    len: usize,
}

/// Walks from the end of both strings to their start. Returns the common bytes, `len` of them, and
/// the pieces, last one first.
fn read_back(table: &Table, first: &[u8], second: &[u8], len: usize) -> (Vec<u8>, Vec<Piece>) {
    let mut common = vec![0; len];
    let mut pieces: Vec<Piece> = Vec::new();
    let mut missing = len;
    let (mut i, mut j) = (first.len(), second.len());
    while missing > 0 {
        if first[i - 1] == second[j - 1] {
            (i, j) = (i - 1, j - 1);
            missing -= 1;
            common[missing] = first[i];
            match pieces.last_mut() {
                Some(piece) if piece.first == i + 1 && piece.second == j + 1 => {
                    *piece = Piece {
                        first: i,
                        second: j,
                        len: piece.len + 1,
                    };
                }
                Some(_) | None => pieces.push(Piece {
                    first: i,
                    second: j,
                    len: 1,
                }),
            }
        } else if table.at(i - 1, j) > table.at(i, j - 1) {
            i -= 1;
        } else {
            j -= 1;
        }
    }
    (common, pieces)
}

/// Lengths for all pairs of prefixes, row by row.
struct Table {
    cells: Vec<u32>,
    width: usize,
}

impl Table {
    fn build(first: &[u8], second: &[u8], bytes_max: u64) -> Result<Self, CommandError> {
        let length_max = usize_from_u32(u32::MAX - 1);
        if first.len() >= length_max || second.len() >= length_max {
            return Err(CommandError::Text("ERR String too long for LCS"));
        }
        let width = second.len() + 1;
        let cell_count = u128::from(u64_from(first.len() + 1)) * u128::from(u64_from(width));
        if cell_count * 4 > u128::from(bytes_max) {
            return Err(CommandError::Text(
                "ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len",
            ));
        }
        let mut cells = Vec::new();
        let cell_count = width * (first.len() + 1);
        cells
            .try_reserve_exact(cell_count)
            .or(Err(CommandError::Text(
                "ERR Insufficient memory, failed allocating transient memory for LCS",
            )))?;
        cells.resize(cell_count, 0);
        let mut table = Self { cells, width };
        table.fill(first, second);
        Ok(table)
    }

    fn fill(&mut self, first: &[u8], second: &[u8]) {
        let mut rows = self.cells.chunks_exact_mut(self.width);
        let Some(mut above) = rows.next() else { return };
        for (byte, row) in first.iter().zip(rows) {
            for (j, other) in second.iter().enumerate() {
                row[j + 1] = if byte == other {
                    above[j] + 1
                } else {
                    above[j + 1].max(row[j])
                };
            }
            above = row;
        }
    }

    fn at(&self, i: usize, j: usize) -> u32 {
        self.cells[i * self.width + j]
    }
}

const LCS: Declaration = Declaration::new("lcs", Arity::AtLeast(3), Flags::READONLY)
    .categories(&[Category::String])
    .keys(&[KeySpec::range(1, 1, 1, &["RO", "access"])])
    .docs(
        Docs::new(
            "string",
            "7.0.0",
            "Finds the longest sequence of bytes that two strings have in common.",
            "O(N*M), N and M being the lengths of both strings.",
        )
        .arguments(&[
            Argument::key("key1", 0),
            Argument::key("key2", 0),
            Argument::token("len", "LEN").optional(),
            Argument::token("idx", "IDX").optional(),
            Argument::integer("len")
                .with_token("MINMATCHLEN")
                .optional(),
            Argument::token("withmatchlen", "WITHMATCHLEN").optional(),
        ]),
    );
