//! Declarations of the commands around `MULTI`.
//!
//! Source of the facts: `COMMAND INFO` and `COMMAND DOCS` of Redis 7.0.15, and the documentation of
//! 7.2 where `since` says so. The sentences are ours.
//!
//! Not here: which commands may stand in a transaction; their own flags say so.

use commands::spec::{Argument, Arity, Category, Declaration, Docs, Flags, KeySpec};

use super::SESSION;

/// `MULTI`
pub(crate) const MULTI: Declaration = Declaration::new(
    "multi",
    Arity::Exactly(1),
    SESSION.and(Flags::FAST).and(Flags::ALLOW_BUSY),
)
.categories(&[Category::Transaction])
.docs(Docs::new(
    "transactions",
    "1.2.0",
    "Begins a transaction: the requests that follow are queued.",
    "O(1)",
));

/// `EXEC`
pub(crate) const EXEC: Declaration =
    Declaration::new("exec", Arity::Exactly(1), SESSION.and(Flags::SKIP_SLOWLOG))
        .categories(&[Category::Transaction])
        .docs(Docs::new(
            "transactions",
            "1.2.0",
            "Runs the queued requests as one, unless a watched key was changed.",
            "The sum of the queued requests",
        ));

/// `DISCARD`
pub(crate) const DISCARD: Declaration = Declaration::new(
    "discard",
    Arity::Exactly(1),
    SESSION.and(Flags::FAST).and(Flags::ALLOW_BUSY),
)
.categories(&[Category::Transaction])
.docs(Docs::new(
    "transactions",
    "2.0.0",
    "Drops the queued requests and ends the transaction.",
    "O(Q), Q the number of queued requests",
));

/// `WATCH key ...`
pub(crate) const WATCH: Declaration = Declaration::new(
    "watch",
    Arity::AtLeast(2),
    SESSION.and(Flags::FAST).and(Flags::ALLOW_BUSY),
)
.categories(&[Category::Transaction])
.keys(&[KeySpec::range(1, -1, 1, &["RO"])])
.docs(
    Docs::new(
        "transactions",
        "2.2.0",
        "Notes keys; if one is changed before EXEC, the transaction does not run.",
        "O(K), K the number of keys",
    )
    .arguments(&[Argument::KEY.multiple()]),
);

/// `UNWATCH`
pub(crate) const UNWATCH: Declaration = Declaration::new(
    "unwatch",
    Arity::Exactly(1),
    SESSION.and(Flags::FAST).and(Flags::ALLOW_BUSY),
)
.categories(&[Category::Transaction])
.docs(Docs::new(
    "transactions",
    "2.2.0",
    "Forgets the watched keys of this connection.",
    "O(1)",
));
