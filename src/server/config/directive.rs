//! What a declaration of a directive says, and how one is found by name.
//!
//! Not here: the declarations themselves (`directives`).

use super::directives;
use super::settings::Settings;
use super::value::{Kind, Value};

/// Puts a value, checked before, into the settings.
pub type Setter = fn(&mut Settings, &Value);

/// One directive, declared once; everything else about it follows from here.
#[derive(Clone, Copy)]
pub struct Directive {
    /// Name in redis.conf, on the command line and in CONFIG.
    pub name: &'static str,
    /// Other names in the same places; CONFIG GET shows the ones Redis shows too.
    pub aliases: &'static [&'static str],
    /// Paths in a TOML file, the first one is written. Empty: `redis.<name>`.
    pub toml: &'static [&'static str],
    /// A path in a TOML file whose `true` means `no` and the reverse; empty if there is none.
    pub toml_inverted: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// Default, as one would write it in redis.conf.
    pub default: &'static str,
    /// When it may change.
    pub change: Change,
    /// Whether it does something.
    pub status: Status,
    /// True if CONFIG does not know it.
    pub is_file_only: bool,
    /// One sentence about it.
    pub summary: &'static str,
}

/// When a directive may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// At any time, with CONFIG SET or a reload.
    Live,
    /// At start only.
    Start,
    /// At start only; Redis has a word of its own for these.
    Protected,
}

/// Whether a directive does something.
#[derive(Clone, Copy)]
pub enum Status {
    /// The server follows it.
    Works(Setter),
    /// Only the default is accepted, since the feature is not built yet.
    NotYet(&'static str),
    /// Tunes what the directive `switch` turns on. Every valid value is kept, because it has no
    /// effect while the switch is off in Redis either; turning the switch on is refused.
    Dormant {
        /// Name of the directive that turns the feature on.
        switch: &'static str,
    },
    /// Can have no effect here, for the reason given; accepted, shown, and warned about at start.
    Meaningless(&'static str),
}

impl Directive {
    /// Declares a directive that may change at any time.
    pub(super) const fn live(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        status: Status,
        summary: &'static str,
    ) -> Self {
        Self {
            name,
            aliases: &[],
            toml: &[],
            toml_inverted: "",
            kind,
            default,
            change: Change::Live,
            status,
            is_file_only: false,
            summary,
        }
    }

    /// Declares a directive that counts at start only.
    pub(super) const fn start(
        name: &'static str,
        kind: Kind,
        default: &'static str,
        status: Status,
        summary: &'static str,
    ) -> Self {
        let mut directive = Self::live(name, kind, default, status, summary);
        directive.change = Change::Start;
        directive
    }

    /// Gives it paths in a TOML file.
    pub(super) const fn toml(mut self, paths: &'static [&'static str]) -> Self {
        self.toml = paths;
        self
    }

    /// Gives it a path in a TOML file that says the opposite.
    pub(super) const fn toml_inverted(mut self, path: &'static str) -> Self {
        self.toml_inverted = path;
        self
    }

    /// Gives it more names.
    pub(super) const fn alias(mut self, aliases: &'static [&'static str]) -> Self {
        self.aliases = aliases;
        self
    }

    /// Hides it from CONFIG.
    pub(super) const fn file_only(mut self) -> Self {
        self.is_file_only = true;
        self
    }

    /// Marks it as one of Redis's protected directives.
    pub(super) const fn protected(mut self) -> Self {
        self.change = Change::Protected;
        self
    }

    /// Returns the value it has when nobody sets it.
    ///
    /// # Panics
    ///
    /// The declaration's default is not one of its own values.
    #[must_use]
    pub fn default_value(&self) -> Value {
        let nothing = Value::Words(Vec::new());
        if matches!(self.kind, Kind::Renames) {
            return Value::Renames(Vec::new());
        }
        self.kind
            .parse(&[self.default], &nothing)
            .expect("a declared default is a valid value")
    }

    /// Returns the path it has in a TOML file that CONFIG REWRITE extends.
    #[must_use]
    pub fn toml_path(&self) -> String {
        match self.toml.first() {
            Some(path) => (*path).to_owned(),
            None => format!("redis.{}", self.name),
        }
    }

    /// True if `name` is one of its names, in any case.
    #[must_use]
    pub fn is_named(&self, name: &str) -> bool {
        self.names().any(|known| known.eq_ignore_ascii_case(name))
    }

    /// True if `path` is one of its paths in a TOML file, the inverted one left out.
    #[must_use]
    pub fn is_at(&self, path: &str) -> bool {
        self.toml.contains(&path)
            || path
                .strip_prefix("redis.")
                .is_some_and(|name| self.is_named(name))
    }

    /// Returns all names, the canonical one first.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        std::iter::once(self.name).chain(self.aliases.iter().copied())
    }

    /// Says why `value` is refused although it is valid, or `None` if it is accepted.
    #[must_use]
    pub fn refusal(&self, value: &Value) -> Option<String> {
        match self.status {
            Status::NotYet(feature) if *value != self.default_value() => Some(not_built(feature)),
            Status::NotYet(_)
            | Status::Works(_)
            | Status::Dormant { .. }
            | Status::Meaningless(_) => None,
        }
    }
}

fn not_built(feature: &str) -> String {
    format!("{feature} is not built yet")
}

/// Returns every directive, in the order of the documentation.
pub fn all() -> impl Iterator<Item = &'static Directive> {
    directives::GROUPS.iter().flat_map(|group| group.directives)
}

/// Finds a directive by one of its names, or by its path in a TOML file if there is a dot in it.
#[must_use]
pub fn find(name: &str) -> Option<&'static Directive> {
    all()
        .find(|directive| directive.is_named(name) || (name.contains('.') && directive.is_at(name)))
}

/// Returns the candidate nearest to `word`, if it is near enough to be what was meant.
///
/// Near enough: at most one edit in three letters. Cost: O(candidates * length of both).
pub fn nearest(word: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    let word = word.to_ascii_lowercase();
    candidates
        .map(|candidate| (edit_distance(&word, &candidate), candidate))
        .filter(|(distance, candidate)| *distance * 3 <= candidate.len().max(word.len()))
        .min()
        .map(|(_, candidate)| candidate)
}

/// Returns how many letters must be inserted, removed, replaced or swapped with their neighbour to
/// turn one word into the other, no letter twice.
fn edit_distance(from: &str, to: &str) -> usize {
    let (from, to) = (from.as_bytes(), to.as_bytes());
    // A row holds the distances between the first letters of `from`, their number fixed, and the
    // first j letters of `to` for each j. The last three rows are enough.
    let mut above_that: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
    let swapped = |i: usize, j: usize| {
        i > 0 && j > 0 && from.get(i - 1) == to.get(j) && from.get(i) == to.get(j - 1)
    };
    for (i, letter) in from.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, other) in to.iter().enumerate() {
            let mut best = at(&above, j) + usize::from(letter != other);
            best = best.min(at(&above, j + 1) + 1).min(at(&row, j) + 1);
            if swapped(i, j) {
                best = best.min(at(&above_that, j - 1) + 1);
            }
            row.push(best);
        }
        above_that = std::mem::replace(&mut above, row);
    }
    at(&above, to.len())
}
