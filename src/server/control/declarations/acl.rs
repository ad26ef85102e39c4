//! Declarations of `ACL`.
//!
//! Source of the facts: `COMMAND INFO` and `COMMAND DOCS` of Redis 7.0.15. The sentences are ours.

use commands::spec::{Argument, Arity, Declaration, Docs, Flags};

use super::{ANY_TIME, OPERATOR, SESSION};

/// `ACL subcommand ...`
pub(crate) const ACL: Declaration = Declaration::new("acl", Arity::AtLeast(2), Flags::NONE)
    .docs(Docs::new(
        "server",
        "6.0.0",
        "Groups the subcommands about users and their rules.",
        "That of the subcommand.",
    ))
    .subcommands(&[
        CAT, DELUSER, DRYRUN, GENPASS, GETUSER, HELP, LIST, LOAD, LOG, SAVE, SETUSER, USERS, WHOAMI,
    ]);

/// Complexity of what goes over all users.
const ALL_USERS: &str = "O(U), U the number of users";

/// `ACL CAT [categoryname]`
const CAT: Declaration = Declaration::new("cat", Arity::AtLeast(2), SESSION).docs(
    Docs::new(
        "server",
        "6.0.0",
        "Answers the categories of commands, or the commands of one.",
        "O(C), C the number of commands",
    )
    .arguments(&[Argument::text("categoryname").optional()]),
);

/// `ACL DELUSER username [username ...]`
const DELUSER: Declaration = Declaration::new("deluser", Arity::AtLeast(3), OPERATOR).docs(
    Docs::new(
        "server",
        "6.0.0",
        "Removes users and closes their connections.",
        "O(U+C), U the number of users and C that of clients",
    )
    .arguments(&[Argument::text("username").multiple()]),
);

/// `ACL DRYRUN username command [arg ...]`
const DRYRUN: Declaration = Declaration::new("dryrun", Arity::AtLeast(4), OPERATOR).docs(
    Docs::new(
        "server",
        "7.0.0",
        "Answers whether a user may run a request, without running it.",
        "O(R*K), R the number of the user's rules and K that of keys",
    )
    .arguments(&[
        Argument::text("username"),
        Argument::text("command"),
        Argument::text("arg").optional().multiple(),
    ]),
);

/// `ACL GENPASS [bits]`
const GENPASS: Declaration = Declaration::new("genpass", Arity::AtLeast(2), SESSION).docs(
    Docs::new(
        "server",
        "6.0.0",
        "Answers a password made by chance, in hexadecimal digits.",
        "O(1)",
    )
    .arguments(&[Argument::integer("bits").optional()]),
);

/// `ACL GETUSER username`
const GETUSER: Declaration = Declaration::new("getuser", Arity::Exactly(3), OPERATOR).docs(
    Docs::new(
        "server",
        "6.0.0",
        "Answers the rules of a user.",
        "O(R), R the number of the user's rules",
    )
    .history(&[
        ("6.2.0", "Tells the patterns of channels."),
        (
            "7.0.0",
            "Tells the selectors, and patterns as they are written in rules.",
        ),
    ])
    .arguments(&[Argument::text("username")]),
);

/// `ACL HELP`
const HELP: Declaration = Declaration::new("help", Arity::Exactly(2), ANY_TIME).docs(Docs::new(
    "server",
    "6.0.0",
    "Lists the subcommands of ACL.",
    "O(1)",
));

/// `ACL LIST`
const LIST: Declaration = Declaration::new("list", Arity::Exactly(2), OPERATOR).docs(Docs::new(
    "server",
    "6.0.0",
    "Answers all users with their rules, as lines of a file.",
    ALL_USERS,
));

/// `ACL LOAD`
const LOAD: Declaration = Declaration::new("load", Arity::Exactly(2), OPERATOR).docs(Docs::new(
    "server",
    "6.0.0",
    "Replaces all users by those of the file of users.",
    ALL_USERS,
));

/// `ACL LOG [count|RESET]`
const LOG: Declaration = Declaration::new("log", Arity::AtLeast(2), OPERATOR).docs(
    Docs::new(
        "server",
        "6.0.0",
        "Answers what was refused to users, the newest first, or forgets it.",
        "O(E), E the number of entries returned",
    )
    .arguments(&[Argument::one_of(
        "operation",
        &[
            Argument::integer("count"),
            Argument::token("reset", "RESET"),
        ],
    )
    .optional()]),
);

/// `ACL SAVE`
const SAVE: Declaration = Declaration::new("save", Arity::Exactly(2), OPERATOR).docs(Docs::new(
    "server",
    "6.0.0",
    "Writes all users to the file of users.",
    ALL_USERS,
));

/// `ACL SETUSER username [rule ...]`
const SETUSER: Declaration = Declaration::new("setuser", Arity::AtLeast(3), OPERATOR).docs(
    Docs::new(
        "server",
        "6.0.0",
        "Makes a user, or changes its rules.",
        "O(R+C), R the number of rules and C that of clients",
    )
    .history(&[
        ("6.2.0", "Takes patterns of channels."),
        (
            "7.0.0",
            "Takes selectors, and patterns of keys for reading or writing.",
        ),
    ])
    .arguments(&[
        Argument::text("username"),
        Argument::text("rule").optional().multiple(),
    ]),
);

/// `ACL USERS`
const USERS: Declaration = Declaration::new("users", Arity::Exactly(2), OPERATOR).docs(Docs::new(
    "server",
    "6.0.0",
    "Answers the names of all users.",
    ALL_USERS,
));

/// `ACL WHOAMI`
const WHOAMI: Declaration = Declaration::new("whoami", Arity::Exactly(2), SESSION).docs(Docs::new(
    "server",
    "6.0.0",
    "Answers the name of this connection's user.",
    "O(1)",
));
