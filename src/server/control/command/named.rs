//! Looking commands up by the names that clients use.

use commands::spec::Declaration;
use protocol::args::Args;

/// The declarations of all commands, subcommands inside their containers.
pub(crate) type Table<'t> = &'t [&'static Declaration];

/// A command or subcommand with what its full name needs.
#[derive(Clone, Copy)]
pub(super) struct Named {
    container: Option<&'static str>,
    pub(super) declaration: &'static Declaration,
}

impl Named {
    pub(super) const fn top(declaration: &'static Declaration) -> Self {
        Self {
            container: None,
            declaration,
        }
    }

    /// Finds a command by `name` or `container|name`. O(commands).
    pub(super) fn find(table: Table<'_>, full_name: &[u8]) -> Option<Self> {
        let mut parts = full_name.splitn(2, |&byte| byte == b'|');
        let name = parts.next()?;
        let command = Self::top(
            table
                .iter()
                .find(|declaration| is_named(declaration, name))?,
        );
        match parts.next() {
            Some(subcommand) => command.subcommand(subcommand),
            None => Some(command),
        }
    }

    /// Finds the command that a request runs. O(commands).
    pub(super) fn of_request(table: Table<'_>, request: Args<'_>) -> Option<Self> {
        let name = request.get(0)?;
        let command = Self::top(
            table
                .iter()
                .find(|declaration| is_named(declaration, name))?,
        );
        match request.get(1) {
            Some(word) if !command.declaration.subcommands.is_empty() => command.subcommand(word),
            _ => Some(command),
        }
    }

    fn subcommand(self, name: &[u8]) -> Option<Self> {
        let declaration = self.declaration.subcommand(name)?;
        Some(Self {
            container: Some(self.declaration.name),
            declaration,
        })
    }

    pub(super) fn subcommands(self) -> impl Iterator<Item = Self> {
        let container = Some(self.declaration.name);
        let subcommands = self.declaration.subcommands.iter();
        subcommands.map(move |declaration| Self {
            container,
            declaration,
        })
    }

    pub(super) fn full_name(self) -> String {
        match self.container {
            Some(container) => format!("{container}|{}", self.declaration.name),
            None => self.declaration.name.to_owned(),
        }
    }
}

fn is_named(declaration: &Declaration, word: &[u8]) -> bool {
    word.eq_ignore_ascii_case(declaration.name.as_bytes())
}
