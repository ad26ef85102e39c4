//! LOLWUT: a drawing and the versions of the server.
//!
//! The drawing is a trestle bridge over a valley: posts of equal distance, braced crosswise, each
//! standing where the ground is. The ground differs from call to call.

use base::number::parse_i64;
use base::random::Random;
use commands::spec::CommandError;
use protocol::args::{Args, equals_ignore_case};

use super::declarations::server as declared;
use super::{Answer, ControlCommand, ControlContext};
use crate::version;

pub(super) const COMMANDS: &[ControlCommand] = &[ControlCommand {
    declaration: &declared::LOLWUT,
    run: lolwut,
}];

/// Bays of the bridge if the client does not say.
const BAYS: usize = 12;

/// Most bays that are drawn.
const BAYS_MAX: usize = 100;

/// Columns from one post to the next.
const BAY_COLUMNS: usize = 5;

/// Height of the tallest post.
const ROWS: usize = 8;

/// `LOLWUT [VERSION version [bays]]`. There is one drawing for all versions.
fn lolwut(context: &mut ControlContext<'_>, args: Args<'_>) -> Result<Answer, CommandError> {
    let mut bays = BAYS;
    if let Some(word) = args.get(2)
        && equals_ignore_case(args.word(1), "VERSION")
    {
        parse_i64(word).ok_or(CommandError::NotInteger)?;
        if let Some(word) = args.get(3) {
            let wanted = parse_i64(word).ok_or(CommandError::NotInteger)?;
            bays = usize::try_from(wanted).unwrap_or(1).clamp(1, BAYS_MAX);
        }
    }
    let mut text = bridge(bays, &mut context.engine.random);
    text.push_str(&format!(
        "\nTrestle {}, one post per core.\nRedis ver. {}\n",
        version::TRESTLE,
        version::REDIS
    ));
    context.reply().verbatim("txt", text.as_bytes());
    Ok(Answer::Now)
}

/// Draws a bridge of so many bays.
fn bridge(bays: usize, random: &mut Random) -> String {
    let width = bays * BAY_COLUMNS + 1;
    let ground = ground(bays, random);
    let mut text = "=".repeat(width);
    text.push('\n');
    let rows = ground.iter().copied().max().unwrap_or(0);
    for row in 0..rows {
        let line: String = (0..width)
            .map(|column| cell(row, column, &ground))
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Returns how far below the deck the ground is at each post: deeper towards the middle, and by
/// chance a little more or less.
fn ground(bays: usize, random: &mut Random) -> Vec<usize> {
    (0..=bays)
        .map(|post| {
            let to_bank = post.min(bays - post);
            let depth = 2 * ROWS * to_bank / bays.max(1) + random.index(3);
            depth.clamp(1, ROWS)
        })
        .collect()
}

fn cell(row: usize, column: usize, ground: &[usize]) -> char {
    let (bay, within) = (column / BAY_COLUMNS, column % BAY_COLUMNS);
    if within == 0 {
        return match row + 1 {
            above if above < ground[bay] => '|',
            at if at == ground[bay] => '^',
            _ => ' ',
        };
    }
    let depth = ground[bay].min(ground[bay + 1]);
    let is_rising = (row + bay).is_multiple_of(2);
    if row + 1 >= depth {
        ' '
    } else if is_rising && within == 2 {
        '/'
    } else if !is_rising && within == 3 {
        '\\'
    } else {
        ' '
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bridge_has_a_deck_and_stands_on_the_ground() {
        for seed in 0..50 {
            let mut random = Random::new(seed);
            for bays in [1, 2, 7, BAYS_MAX] {
                let text = bridge(bays, &mut random);
                let mut lines = text.lines();
                assert_eq!(lines.next(), Some(&*"=".repeat(bays * BAY_COLUMNS + 1)));
                assert!((1..=ROWS).contains(&lines.count()), "seed {seed}");
                let feet = text.chars().filter(|&it| it == '^').count();
                assert_eq!(feet, bays + 1, "seed {seed}");
            }
        }
    }
}
