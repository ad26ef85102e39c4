//! Selectors as rules, and refusals as texts, word by word as Redis 7.0.15 has them.

use super::catalog::Catalog;
use super::selector::{Reason, Selector};
use super::user::Denied;
use commands::spec::Category;
use protocol::args::Args;

impl Denied {
    /// Returns the error of a request.
    pub(crate) fn text(self, full_name: &str) -> String {
        match self.reason {
            Reason::Command | Reason::Auth => {
                format!("NOPERM this user has no permissions to run the '{full_name}' command")
            }
            Reason::Key => {
                "NOPERM this user has no permissions to access one of the keys used as arguments"
                    .to_owned()
            }
            Reason::Channel => {
                "NOPERM this user has no permissions to access one of the channels used as arguments"
                    .to_owned()
            }
        }
    }

    /// Returns the error of a command that was allowed when it was queued.
    pub(crate) fn exec_text(self) -> String {
        let why = match self.reason {
            Reason::Command | Reason::Auth => "no permission to execute the command or subcommand",
            Reason::Key => "no permission to touch the specified keys",
            Reason::Channel => "no permission to access one of the channels used as arguments",
        };
        format!(
            "NOPERM ACLs rules changed between the moment the transaction was accumulated and the \
             EXEC call. This command is no longer allowed for the following reason: {why}"
        )
    }

    /// Returns the error that a script gets.
    pub(crate) fn script_text(self) -> &'static str {
        match self.reason {
            Reason::Command | Reason::Auth => {
                "ERR The user executing the script can't run this command or subcommand"
            }
            Reason::Key => {
                "ERR The user executing the script can't access at least one of the keys mentioned in \
                 the command arguments"
            }
            Reason::Channel => {
                "ERR The user executing the script can't publish to the channel mentioned in the command"
            }
        }
    }

    /// Returns what ACL DRYRUN says.
    pub(crate) fn dry_run_text(self, full_name: &str, args: Args<'_>) -> Vec<u8> {
        let what: Vec<u8> = match self.reason {
            Reason::Command | Reason::Auth => format!("run the '{full_name}' command").into_bytes(),
            Reason::Key => [b"access the '", args.word(self.word), b"' key"].concat(),
            Reason::Channel => [b"access the '", args.word(self.word), b"' channel"].concat(),
        };
        [b"This user has no permissions to ", &what[..]].concat()
    }
}

impl Selector {
    /// Appends the rules about commands that give what this selector allows: all or nothing, then the categories that
    /// come nearest, then single commands. They need not be those that it was made from, as in Redis 7.0.
    pub(crate) fn write_commands(&self, catalog: &Catalog, out: &mut Vec<u8>) {
        let begins_with_all = self.allows_future();
        out.extend_from_slice(if begins_with_all { b"+@all" } else { b"-@all" });
        let mut made = Self::default();
        if begins_with_all {
            made.allow_all();
        }
        let (mark, inverse) = if begins_with_all {
            (b'-', true)
        } else {
            (b'+', false)
        };
        // What is described is taken out of here, so that it counts for no other category.
        let mut left = self.clone();
        while let Some(category) = left.nearest_category(!begins_with_all, catalog) {
            out.extend_from_slice(&[b' ', mark, b'@']);
            out.extend_from_slice(category.name().as_bytes());
            made.set_all_of(category, !begins_with_all, catalog);
            left.set_all_of(category, inverse, catalog);
        }
        for known in catalog.iter() {
            let is_allowed = self.allows(known.index.index());
            if made.allows(known.index.index()) != is_allowed {
                out.extend_from_slice(if is_allowed { b" +" } else { b" -" });
                out.extend_from_slice(known.full_name.as_bytes());
                made.set(known, is_allowed, catalog);
            }
            if !is_allowed {
                for word in self.words_of(known.index) {
                    out.extend_from_slice(b" +");
                    out.extend_from_slice(known.full_name.as_bytes());
                    out.push(b'|');
                    out.extend_from_slice(word);
                }
            }
        }
    }

    /// Returns the category whose commands are mostly as `is_allowed` says, with the fewest that are not, and of
    /// those the one with the most that are.
    fn nearest_category(&self, is_allowed: bool, catalog: &Catalog) -> Option<Category> {
        let mut best: Option<(usize, usize, Category)> = None;
        for category in Category::ALL {
            let members = catalog.iter();
            let members = members.filter(|known| known.declaration.is_in(category));
            let (mut same, mut other) = (0, 0);
            for known in members {
                if self.allows(known.index.index()) == is_allowed {
                    same += 1;
                } else {
                    other += 1;
                }
            }
            let is_better = best.is_none_or(|(best_other, best_same, _)| {
                other < best_other || other == best_other && same > best_same
            });
            if same > other && is_better {
                best = Some((other, same, category));
            }
        }
        best.map(|(_, _, category)| category)
    }
}
