//! The table of commands: every declaration of the data plane and the control plane, by name.

use base::cast::{u64_from, usize_from};
use commands::scope::Scope;
use commands::spec::{
    BeginSearch, Declaration, FindKeys, Flags, KeySpec, Plan, ShardCommand, Spread,
};
use commands::wait_form::WaitForm;
use protocol::args::Args;

use crate::command_index::CommandIndex;
use crate::control::{self, ControlRun};

/// A command or a subcommand as the server runs it.
#[derive(Clone, Copy)]
pub struct Command {
    /// Its position.
    pub index: CommandIndex,
    /// `get`, or `config|get` for a subcommand.
    pub full_name: &'static str,
    /// What it declares.
    pub declaration: &'static Declaration,
    /// How it is run.
    pub run: Run,
    /// It has one key, and that is word 1.
    pub has_one_key_first: bool,
    /// It has no subcommands and is for everyone: nothing but the number of words and the session can
    /// keep it from running.
    pub is_plain: bool,
    /// It works on data and takes little time, as far as its words and its reply are few.
    pub is_quick: bool,
    /// Inside MULTI it is run, not queued.
    pub ends_multi: bool,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.full_name)
    }
}

/// How a command is run.
#[derive(Clone, Copy)]
pub enum Run {
    /// On shards.
    Shard(&'static ShardCommand),
    /// On shards, and it may wait for its keys.
    Waiting(&'static ShardCommand, &'static WaitForm),
    /// By the coordinator.
    Control(ControlRun),
}

/// All commands. Built once per core at start; `rename-command` changes only the names.
pub struct CommandTable {
    commands: Vec<Command>,
    top: Vec<CommandIndex>,
    /// Per command, the positions of its subcommands.
    children: Vec<Vec<CommandIndex>>,
    /// Open addressing over lower-case names; a power of two.
    slots: Vec<Option<Slot>>,
}

impl std::fmt::Debug for CommandTable {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CommandTable")
            .field("commands", &self.commands.len())
            .finish()
    }
}

impl CommandTable {
    /// Creates the table. `renames` are pairs of a command and its new name; an empty new name takes
    /// the command away.
    #[must_use]
    pub fn new(renames: &[(String, String)]) -> Self {
        let mut table = Self {
            commands: Vec::new(),
            top: Vec::new(),
            children: Vec::new(),
            slots: (0..SLOTS).map(|_| None).collect(),
        };
        for command in commands::all() {
            let run = match command.wait {
                Some(form) => Run::Waiting(command, form),
                None => Run::Shard(command),
            };
            table.add(&command.declaration, run, renames);
        }
        for command in control::all() {
            table.add(command.declaration, Run::Control(command.run), renames);
        }
        table
    }

    fn add(&mut self, declaration: &'static Declaration, run: Run, renames: &[(String, String)]) {
        let index = self.push(declaration.name, declaration, run);
        self.top.push(index);
        for child in declaration.subcommands {
            // Lives as long as the process: the table is built once per core.
            let full_name = leak(format!("{}|{}", declaration.name, child.name));
            let run = match (declaration.name, child.name) {
                ("memory", "usage") => Run::Shard(&commands::key_object::USAGE),
                _ => run,
            };
            let child = self.push(full_name, child, run);
            self.children[index.index()].push(child);
        }
        let renamed = renames
            .iter()
            .find(|(old, _)| old.eq_ignore_ascii_case(declaration.name));
        match renamed {
            Some((_, new)) if new.is_empty() => {}
            Some((_, new)) => self.insert(&new.to_ascii_lowercase(), index),
            None => self.insert(declaration.name, index),
        }
    }

    fn push(
        &mut self,
        full_name: &'static str,
        declaration: &'static Declaration,
        run: Run,
    ) -> CommandIndex {
        let index = CommandIndex(u16::try_from(self.commands.len()).unwrap_or(u16::MAX));
        self.commands.push(Command {
            index,
            full_name,
            declaration,
            run,
            has_one_key_first: has_one_key_first(declaration, run),
            is_plain: declaration.subcommands.is_empty()
                && !declaration.flags.has(Flags::DEBUGGING),
            is_quick: is_quick(declaration, run),
            ends_multi: control::transaction::ends_multi(full_name),
        });
        self.children.push(Vec::new());
        index
    }

    fn insert(&mut self, name: &str, index: CommandIndex) {
        let sketch = sketch_of(name.as_bytes());
        let mut position = slot_of(sketch);
        while self.slots[position].is_some() {
            position = (position + 1) % SLOTS;
        }
        let name: Box<[u8]> = name.as_bytes().into();
        let is_sketch_enough = name.len() <= 8 && name.iter().all(u8::is_ascii_lowercase);
        self.slots[position] = Some(Slot {
            sketch,
            is_sketch_enough,
            name,
            index,
        });
    }

    /// Finds a command by its name in any case. Cost: O(length of the name).
    #[must_use]
    pub fn find(&self, name: &[u8]) -> Option<&Command> {
        let slot = self.slot(sketch_of(name), name)?;
        self.commands.get(slot.index.index())
    }

    /// As [`CommandTable::find`], for the requests of a pipeline one after the other: most name the
    /// command that the one before has named, which is kept in `known`.
    #[inline]
    #[must_use]
    pub fn find_again<'t>(
        &'t self,
        name: &[u8],
        known: &mut Option<Known<'t>>,
    ) -> Option<&'t Command> {
        let sketch = sketch_of(name);
        if let Some(known) = known
            && known.sketch == sketch
        {
            return Some(known.command);
        }
        let slot = self.slot(sketch, name)?;
        let command = self.commands.get(slot.index.index())?;
        *known = slot.is_sketch_enough.then_some(Known { sketch, command });
        Some(command)
    }

    #[inline(never)]
    fn slot(&self, sketch: u64, name: &[u8]) -> Option<&Slot> {
        let mut position = slot_of(sketch);
        while let Some(slot) = &self.slots[position] {
            if slot.sketch == sketch && (slot.is_sketch_enough || slot.is_named(name)) {
                return Some(slot);
            }
            position = (position + 1) % SLOTS;
        }
        None
    }

    /// Finds a subcommand of `command` by its name in any case.
    #[must_use]
    pub fn find_child(&self, command: CommandIndex, name: &[u8]) -> Option<&Command> {
        self.children[command.index()]
            .iter()
            .map(|child| &self.commands[child.index()])
            .find(|child| name.eq_ignore_ascii_case(child.declaration.name.as_bytes()))
    }

    /// Returns the subcommand of `command` that `name` names, or `command` itself.
    #[must_use]
    pub fn child_or_self<'t>(&'t self, command: &'t Command, name: &[u8]) -> &'t Command {
        self.find_child(command.index, name).unwrap_or(command)
    }

    /// Returns the command or subcommand that a request names.
    #[must_use]
    pub fn resolve(&self, args: Args<'_>) -> Option<&Command> {
        let command = self.find(args.word(0))?;
        match args.get(1) {
            Some(word) if !command.declaration.subcommands.is_empty() => {
                Some(self.child_or_self(command, word))
            }
            Some(_) | None => Some(command),
        }
    }

    /// Returns a command by its position.
    #[must_use]
    pub fn at(&self, index: CommandIndex) -> &Command {
        &self.commands[index.index()]
    }

    /// Returns how many commands and subcommands there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.commands.len()
    }

    /// Returns whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Returns the declarations of the commands, without subcommands.
    pub fn declarations(&self) -> impl Iterator<Item = &'static Declaration> {
        self.top
            .iter()
            .map(|index| self.commands[index.index()].declaration)
    }

    /// Returns all commands and subcommands in the order of their positions.
    pub fn iter(&self) -> impl Iterator<Item = &Command> {
        self.commands.iter()
    }
}

/// A command that a request has named, by a name that is told apart by its sketch alone.
#[derive(Clone, Copy, Debug)]
pub struct Known<'t> {
    sketch: u64,
    command: &'t Command,
}

/// Bits of a position in the hash table of names.
const SLOT_BITS: u32 = 11;

/// Several times the number of commands.
const SLOTS: usize = 1 << SLOT_BITS;

/// A name in the hash table.
struct Slot {
    /// [`sketch_of`] the name.
    sketch: u64,
    /// No other word has this sketch: the name is all letters, and all of them are in it.
    is_sketch_enough: bool,
    name: Box<[u8]>,
    index: CommandIndex,
}

impl Slot {
    fn is_named(&self, name: &[u8]) -> bool {
        *self.name == *name || self.name.eq_ignore_ascii_case(name)
    }
}

/// Sets the bit that tells lower from upper case in each byte.
const LOWER: u64 = 0x2020_2020_2020_2020;

/// Returns up to eight bytes of a name, first and last ones among them, without their case, and its
/// length. Equal names in any case have equal sketches.
#[inline]
fn sketch_of(name: &[u8]) -> u64 {
    let word = match *name {
        [] => 0,
        [only] => u64::from(only),
        [first, second] => u64::from(u16::from_le_bytes([first, second])),
        [first, second, third] => u64::from(u32::from_le_bytes([first, second, third, 0])),
        [a, b, c, d, ..] => {
            let head = u32::from_le_bytes([a, b, c, d]);
            let tail = match name {
                [.., w, x, y, z] => u32::from_le_bytes([*w, *x, *y, *z]),
                _ => 0,
            };
            u64::from(head) | u64::from(tail) << 32
        }
    };
    (word | LOWER) ^ u64_from(name.len()) << 59
}

/// Returns where a name of this sketch is looked for first.
#[inline]
fn slot_of(sketch: u64) -> usize {
    usize_from(sketch.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (u64::BITS - SLOT_BITS))
}

fn has_one_key_first(declaration: &Declaration, run: Run) -> bool {
    let Run::Shard(command) = run else {
        return false;
    };
    let is_first = matches!(
        declaration.keys,
        [KeySpec {
            begin: BeginSearch::Index(1),
            find: FindKeys::Range { last: 0, .. },
            ..
        }]
    );
    is_first && command.spread == Spread::OneShard
}

fn is_quick(declaration: &Declaration, run: Run) -> bool {
    let Run::Shard(command) = run else {
        return false;
    };
    // A statement about rows that takes long is handed back.
    let is_statement = matches!(command.spread, Spread::Plan(Plan::Table(Scope::Rows(_))));
    is_statement || declaration.flags.has(Flags::FAST) || declaration.docs.complexity == "O(1)"
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_is_found_in_any_case_and_nothing_else_is() {
        let table = CommandTable::new(&[]);
        for declaration in table.declarations() {
            let name = declaration.name;
            for word in [name.to_owned(), name.to_uppercase()] {
                let found = table.find(word.as_bytes()).expect("a command by its name");
                assert_eq!(found.declaration.name, name);
            }
            for index in 0..name.len() {
                for change in [0x80_u8, 0x40, 0x01] {
                    let mut word = name.as_bytes().to_vec();
                    word[index] ^= change;
                    let found = table.find(&word).map(|it| it.declaration.name.as_bytes());
                    assert!(
                        found.is_none_or(|it| it.eq_ignore_ascii_case(&word)),
                        "{word:?}"
                    );
                }
            }
            assert!(
                table
                    .find(&name.as_bytes()[1..])
                    .is_none_or(|it| it.full_name != name)
            );
        }
    }

    #[test]
    fn what_the_request_before_has_named_makes_no_difference() {
        let table = CommandTable::new(&[]);
        let mut known = None;
        let names: Vec<&str> = table.declarations().map(|it| it.name).collect();
        for (index, name) in names.iter().enumerate() {
            for word in [name, names[index / 2], name, &name[1..]] {
                let found = table.find_again(word.as_bytes(), &mut known);
                let expected = table.find(word.as_bytes());
                assert_eq!(found.map(|it| it.index), expected.map(|it| it.index));
            }
        }
    }

    #[test]
    fn a_renamed_command_has_its_new_name_only() {
        let renames = [
            ("get".to_owned(), "Fetch".to_owned()),
            ("set".to_owned(), String::new()),
        ];
        let table = CommandTable::new(&renames);
        assert!(table.find(b"fetch").is_some());
        assert!(table.find(b"get").is_none());
        assert!(table.find(b"set").is_none());
    }
}
