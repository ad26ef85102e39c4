//! What `COMMAND DOCS` says of a command.

/// What `COMMAND DOCS` says of a command.
#[derive(Clone, Copy, Debug)]
pub struct Docs {
    /// One sentence.
    pub summary: &'static str,
    /// The Redis version that brought the command.
    pub since: &'static str,
    /// The group of commands it belongs to, in Redis's spelling (`string`, `generic`, `server`...).
    pub group: &'static str,
    /// Cost, every letter named.
    pub complexity: &'static str,
    /// Version and what changed in it.
    pub history: &'static [(&'static str, &'static str)],
    /// Since when one should use something else, and what; empty if not deprecated.
    pub deprecated: Option<(&'static str, &'static str)>,
    /// The arguments after the name.
    pub arguments: &'static [Argument],
}

impl Docs {
    /// Creates documentation without history and arguments.
    #[must_use]
    pub const fn new(
        group: &'static str,
        since: &'static str,
        summary: &'static str,
        complexity: &'static str,
    ) -> Self {
        Self {
            summary,
            since,
            group,
            complexity,
            history: &[],
            deprecated: None,
            arguments: &[],
        }
    }

    /// Sets the history: version and what changed in it.
    #[must_use]
    pub const fn history(mut self, history: &'static [(&'static str, &'static str)]) -> Self {
        self.history = history;
        self
    }

    /// Marks the command as deprecated since a version, and says what replaces it.
    #[must_use]
    pub const fn deprecated(mut self, since: &'static str, replaced_by: &'static str) -> Self {
        self.deprecated = Some((since, replaced_by));
        self
    }

    /// Sets the arguments after the name.
    #[must_use]
    pub const fn arguments(mut self, arguments: &'static [Argument]) -> Self {
        self.arguments = arguments;
        self
    }
}

/// One argument of a command.
#[derive(Clone, Copy, Debug)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What it is.
    pub kind: ArgumentKind,
    /// The word that introduces it, if any.
    pub token: Option<&'static str>,
    /// Since when it is there, if later than the command.
    pub since: Option<&'static str>,
    /// Since when it is deprecated.
    pub deprecated_since: Option<&'static str>,
    /// May be left out.
    pub optional: bool,
    /// May be repeated.
    pub multiple: bool,
    /// Its token is repeated with it.
    pub multiple_token: bool,
}

/// What an argument is.
#[derive(Clone, Copy, Debug)]
pub enum ArgumentKind {
    /// Any bytes.
    Text,
    /// A whole number.
    Integer,
    /// A floating point number.
    Double,
    /// A key, by the index of its key specification.
    Key(u8),
    /// A glob pattern.
    Pattern,
    /// A pattern of keys, by the index of the key specification that speaks of them.
    KeyPattern(u8),
    /// Seconds or milliseconds since 1970.
    UnixTime,
    /// Only its token.
    PureToken,
    /// One of several.
    OneOf(&'static [Argument]),
    /// Several that belong together.
    Block(&'static [Argument]),
}

impl Argument {
    /// The first key of a command, named `key`.
    pub const KEY: Self = Self::key("key", 0);

    /// Creates a mandatory argument without a token.
    #[must_use]
    pub const fn new(name: &'static str, kind: ArgumentKind) -> Self {
        Self {
            name,
            kind,
            token: None,
            since: None,
            deprecated_since: None,
            optional: false,
            multiple: false,
            multiple_token: false,
        }
    }

    /// Creates a mandatory key, which the key specification of that index finds.
    #[must_use]
    pub const fn key(name: &'static str, spec: u8) -> Self {
        Self::new(name, ArgumentKind::Key(spec))
    }

    /// Creates a mandatory argument of any bytes.
    #[must_use]
    pub const fn text(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Text)
    }

    /// Creates a mandatory whole number.
    #[must_use]
    pub const fn integer(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Integer)
    }

    /// Creates a mandatory floating point number.
    #[must_use]
    pub const fn double(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Double)
    }

    /// Creates a mandatory glob pattern.
    #[must_use]
    pub const fn pattern(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::Pattern)
    }

    /// Creates a mandatory point in Unix time.
    #[must_use]
    pub const fn unix_time(name: &'static str) -> Self {
        Self::new(name, ArgumentKind::UnixTime)
    }

    /// Creates a choice of exactly one of `choices`.
    #[must_use]
    pub const fn one_of(name: &'static str, choices: &'static [Self]) -> Self {
        Self::new(name, ArgumentKind::OneOf(choices))
    }

    /// Creates a group of arguments that belong together.
    #[must_use]
    pub const fn block(name: &'static str, parts: &'static [Self]) -> Self {
        Self::new(name, ArgumentKind::Block(parts))
    }

    /// Creates an argument that consists of its token only.
    #[must_use]
    pub const fn token(name: &'static str, token: &'static str) -> Self {
        Self::new(name, ArgumentKind::PureToken).with_token(token)
    }

    /// Adds the word that introduces the argument.
    #[must_use]
    pub const fn with_token(mut self, token: &'static str) -> Self {
        self.token = Some(token);
        self
    }

    /// Makes the argument optional.
    #[must_use]
    pub const fn optional(mut self) -> Self {
        self.optional = true;
        self
    }

    /// Makes the argument repeatable.
    #[must_use]
    pub const fn multiple(mut self) -> Self {
        self.multiple = true;
        self
    }

    /// Says since which version the argument is there.
    #[must_use]
    pub const fn since(mut self, version: &'static str) -> Self {
        self.since = Some(version);
        self
    }

    /// Says since which version the argument should no longer be used.
    #[must_use]
    pub const fn deprecated_since(mut self, version: &'static str) -> Self {
        self.deprecated_since = Some(version);
        self
    }
}
