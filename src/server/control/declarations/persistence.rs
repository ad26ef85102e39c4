//! Declarations of the commands that save data.

use commands::spec::{Argument, Arity, Category, Declaration, Docs, Flags};

use super::ANY_TIME;

/// `SAVE`
pub(crate) const SAVE: Declaration = Declaration::new(
    "save",
    Arity::Exactly(1),
    Flags::ADMIN
        .and(Flags::NO_SCRIPT)
        .and(Flags::NO_ASYNC_LOADING)
        .and(Flags::NO_MULTI),
)
.docs(Docs::new(
    "server",
    "1.0.0",
    "Saves the data to the RDB file, and answers when it is on the disk.",
    "O(N), N the number of keys of all databases",
));

/// `BGSAVE [SCHEDULE]`
pub(crate) const BGSAVE: Declaration = Declaration::new(
    "bgsave",
    Arity::AtLeast(1),
    Flags::ADMIN
        .and(Flags::NO_SCRIPT)
        .and(Flags::NO_ASYNC_LOADING),
)
.docs(
    Docs::new(
        "server",
        "1.0.0",
        "Saves the data to the RDB file while the answer is given.",
        "O(1)",
    )
    .history(&[("3.2.2", "`SCHEDULE` is new.")])
    .arguments(&[Argument::token("schedule", "SCHEDULE")
        .since("3.2.2")
        .optional()]),
);

/// `BGREWRITEAOF`
pub(crate) const BGREWRITEAOF: Declaration = Declaration::new(
    "bgrewriteaof",
    Arity::Exactly(1),
    Flags::ADMIN
        .and(Flags::NO_SCRIPT)
        .and(Flags::NO_ASYNC_LOADING),
)
.docs(Docs::new(
    "server",
    "1.0.0",
    "Makes the log of changes anew, from the data as it is.",
    "O(1)",
));

/// `LASTSAVE`
pub(crate) const LASTSAVE: Declaration =
    Declaration::new("lastsave", Arity::Exactly(1), ANY_TIME.and(Flags::FAST))
        .categories(&[Category::Admin, Category::Dangerous])
        .tips(&["nondeterministic_output"])
        .docs(Docs::new(
            "server",
            "1.0.0",
            "Answers when the data was last saved, in seconds since 1970.",
            "O(1)",
        ));

/// `BACKUP NOW`
pub(crate) const BACKUP: Declaration = Declaration::new(
    "backup",
    Arity::Exactly(2),
    Flags::ADMIN
        .and(Flags::NO_SCRIPT)
        .and(Flags::NO_ASYNC_LOADING)
        .and(Flags::NO_MULTI),
)
.docs(
    Docs::new(
        "server",
        "7.4.0",
        "Makes a backup, and answers with its file when that is on the disk.",
        "O(N), N the number of keys of all databases",
    )
    .arguments(&[Argument::token("now", "NOW")]),
);
