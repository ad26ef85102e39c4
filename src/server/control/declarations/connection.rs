//! Declarations of the commands about one's own connection, and of `CLIENT`.
//!
//! Source of the facts: `COMMAND INFO` and `COMMAND DOCS` of Redis 7.0.15, and the documentation of
//! 7.2 where `since` says so. The sentences are ours.

use commands::spec::{Argument, Arity, Category, Declaration, Docs, Flags};

use super::{ANY_TIME, BEFORE_LOGIN, OPERATOR, SESSION};

/// `PING [message]`
pub(crate) const PING: Declaration = Declaration::new(
    "ping",
    Arity::AtLeast(1),
    Flags::FAST.and(Flags::NEEDS_DISK),
)
.categories(&[Category::Connection])
.tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
.docs(
    Docs::new(
        "connection",
        "1.0.0",
        "Answers PONG, or the given message.",
        "O(1)",
    )
    .arguments(&[Argument::text("message").optional()]),
);

/// `ECHO message`
pub(crate) const ECHO: Declaration =
    Declaration::new("echo", Arity::Exactly(2), ANY_TIME.and(Flags::FAST))
        .categories(&[Category::Connection])
        .docs(
            Docs::new(
                "connection",
                "1.0.0",
                "Answers the given message.",
                "O(M), M the bytes of the message",
            )
            .arguments(&[Argument::text("message")]),
        );

/// `QUIT`
pub(crate) const QUIT: Declaration = Declaration::new("quit", Arity::AtLeast(1), BEFORE_LOGIN)
    .categories(&[Category::Connection])
    .docs(Docs::new(
        "connection",
        "1.0.0",
        "Closes this connection after all earlier replies are sent.",
        "O(1)",
    ));

/// `RESET`
pub(crate) const RESET: Declaration = Declaration::new("reset", Arity::Exactly(1), BEFORE_LOGIN)
    .categories(&[Category::Connection])
    .docs(Docs::new(
        "connection",
        "6.2.0",
        "Puts this connection back into the state that it had when it was opened.",
        "O(1)",
    ));

/// `HELLO [protover [AUTH username password] [SETNAME clientname]]`
pub(crate) const HELLO: Declaration = Declaration::new("hello", Arity::AtLeast(1), BEFORE_LOGIN)
    .categories(&[Category::Connection])
    .docs(
        Docs::new(
            "connection",
            "6.0.0",
            "Chooses the protocol version and can log in and name the connection.",
            "O(1)",
        )
        .history(&[(
            "6.2.0",
            "Without a version it only reports the state of the connection.",
        )])
        .arguments(&[Argument::block(
            "arguments",
            &[
                Argument::integer("protover"),
                Argument::block(
                    "username_password",
                    &[Argument::text("username"), Argument::text("password")],
                )
                .with_token("AUTH")
                .optional(),
                Argument::text("clientname")
                    .with_token("SETNAME")
                    .optional(),
            ],
        )
        .optional()]),
    );

/// `AUTH [username] password`
pub(crate) const AUTH: Declaration = Declaration::new("auth", Arity::AtLeast(2), BEFORE_LOGIN)
    .categories(&[Category::Connection])
    .docs(
        Docs::new(
            "connection",
            "1.0.0",
            "Logs this connection in as a user.",
            "O(P), P the number of passwords of the user",
        )
        .history(&[("6.0.0", "A user name may stand before the password.")])
        .arguments(&[
            Argument::text("username").since("6.0.0").optional(),
            Argument::text("password"),
        ]),
    );

/// `SELECT index`
pub(crate) const SELECT: Declaration =
    Declaration::new("select", Arity::Exactly(2), ANY_TIME.and(Flags::FAST))
        .categories(&[Category::Connection])
        .docs(
            Docs::new(
                "connection",
                "1.0.0",
                "Chooses the numbered database of this connection.",
                "O(1)",
            )
            .arguments(&[Argument::integer("index")]),
        );

/// `CLIENT subcommand ...`
pub(crate) const CLIENT: Declaration = Declaration::new("client", Arity::AtLeast(2), Flags::NONE)
    .docs(Docs::new(
        "connection",
        "2.4.0",
        "Groups the subcommands about client connections.",
        "That of the subcommand.",
    ))
    .subcommands(&[
        CLIENT_ID,
        CLIENT_INFO,
        CLIENT_LIST,
        CLIENT_GETNAME,
        CLIENT_SETNAME,
        CLIENT_SETINFO,
        CLIENT_KILL,
        CLIENT_NO_EVICT,
        CLIENT_NO_TOUCH,
        CLIENT_REPLY,
        CLIENT_UNBLOCK,
        CLIENT_PAUSE,
        CLIENT_UNPAUSE,
        CLIENT_CACHING,
        CLIENT_GETREDIR,
        CLIENT_TRACKING,
        CLIENT_TRACKINGINFO,
        CLIENT_HELP,
    ]);

/// `CLIENT ID`
pub(crate) const CLIENT_ID: Declaration = Declaration::new("id", Arity::Exactly(2), SESSION)
    .categories(&[Category::Connection])
    .docs(Docs::new(
        "connection",
        "5.0.0",
        "Answers the number of this connection, unique in the life of the server.",
        "O(1)",
    ));

/// `CLIENT INFO`
pub(crate) const CLIENT_INFO: Declaration = Declaration::new("info", Arity::Exactly(2), SESSION)
    .categories(&[Category::Connection])
    .tips(&["nondeterministic_output"])
    .docs(Docs::new(
        "connection",
        "6.2.0",
        "Answers the line that CLIENT LIST has for this connection.",
        "O(1)",
    ));

/// `CLIENT LIST [TYPE (NORMAL|MASTER|REPLICA|PUBSUB)] [ID client-id ...]`
pub(crate) const CLIENT_LIST: Declaration = Declaration::new("list", Arity::AtLeast(2), OPERATOR)
    .categories(&[Category::Connection])
    .tips(&["nondeterministic_output"])
    .docs(
        Docs::new(
            "connection",
            "2.4.0",
            "Answers one line of facts for each connection.",
            "O(C), C the number of connections",
        )
        .history(&[
            ("2.8.12", "A line has the field `id`."),
            ("5.0.0", "Connections can be chosen with `TYPE`."),
            ("6.0.0", "A line has the field `user`."),
            (
                "6.2.0",
                "New fields `argv-mem`, `tot-mem`, `laddr`, `redir`; `ID` chooses connections.",
            ),
            ("7.0.0", "New fields `resp`, `multi-mem`, `rbs`, `rbp`."),
            ("7.0.3", "A line has the field `ssub`."),
        ])
        .arguments(&[
            Argument::one_of(
                "normal_master_replica_pubsub",
                &[
                    Argument::token("normal", "NORMAL"),
                    Argument::token("master", "MASTER"),
                    Argument::token("replica", "REPLICA"),
                    Argument::token("pubsub", "PUBSUB"),
                ],
            )
            .with_token("TYPE")
            .since("5.0.0")
            .optional(),
            Argument::block("id", &[Argument::integer("client-id").multiple()])
                .with_token("ID")
                .since("6.2.0")
                .optional(),
        ]),
    );

/// `CLIENT GETNAME`
pub(crate) const CLIENT_GETNAME: Declaration =
    Declaration::new("getname", Arity::Exactly(2), SESSION)
        .categories(&[Category::Connection])
        .docs(Docs::new(
            "connection",
            "2.6.9",
            "Answers the name given to this connection, or null.",
            "O(1)",
        ));

/// `CLIENT SETNAME connection-name`
pub(crate) const CLIENT_SETNAME: Declaration =
    Declaration::new("setname", Arity::Exactly(3), SESSION)
        .categories(&[Category::Connection])
        .docs(
            Docs::new(
                "connection",
                "2.6.9",
                "Gives this connection a name that lists show.",
                "O(1)",
            )
            .arguments(&[Argument::text("connection-name")]),
        );

/// `CLIENT SETINFO (LIB-NAME libname|LIB-VER libver)`
pub(crate) const CLIENT_SETINFO: Declaration =
    Declaration::new("setinfo", Arity::Exactly(4), SESSION)
        .categories(&[Category::Connection])
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs(
            Docs::new(
                "connection",
                "7.2.0",
                "Notes the name or the version of the library that the client uses.",
                "O(1)",
            )
            .arguments(&[Argument::one_of(
                "attr",
                &[
                    Argument::text("libname").with_token("LIB-NAME"),
                    Argument::text("libver").with_token("LIB-VER"),
                ],
            )]),
        );

/// `CLIENT KILL ip:port`, or
/// `CLIENT KILL [ID client-id] [TYPE type] [USER username] [ADDR ip:port] [LADDR ip:port] ...`
pub(crate) const CLIENT_KILL: Declaration = Declaration::new("kill", Arity::AtLeast(3), OPERATOR)
    .categories(&[Category::Connection])
    .docs(
        Docs::new(
            "connection",
            "2.4.0",
            "Closes the connections that the filters choose.",
            "O(C), C the number of connections",
        )
        .history(&[
            ("2.8.12", "Filters are pairs of a word and its value."),
            ("2.8.12", "Connections can be chosen by `ID`."),
            ("3.2.0", "`TYPE` knows `master`."),
            (
                "5.0.0",
                "`TYPE` prefers `replica` to `slave` and still takes both.",
            ),
            ("6.2.0", "Connections can be chosen by `LADDR`."),
        ])
        .arguments(&[Argument::one_of(
            "filter",
            &[
                Argument::text("ip:port").deprecated_since("2.8.12"),
                Argument::one_of(
                    "new-format",
                    &[
                        Argument::integer("client-id")
                            .with_token("ID")
                            .since("2.8.12")
                            .optional(),
                        Argument::one_of(
                            "normal_master_slave_pubsub",
                            &[
                                Argument::token("normal", "NORMAL"),
                                Argument::token("master", "MASTER").since("3.2.0"),
                                Argument::token("slave", "SLAVE"),
                                Argument::token("replica", "REPLICA").since("5.0.0"),
                                Argument::token("pubsub", "PUBSUB"),
                            ],
                        )
                        .with_token("TYPE")
                        .since("2.8.12")
                        .optional(),
                        Argument::text("username").with_token("USER").optional(),
                        Argument::text("ip:port").with_token("ADDR").optional(),
                        Argument::text("ip:port")
                            .with_token("LADDR")
                            .since("6.2.0")
                            .optional(),
                        Argument::text("yes/no").with_token("SKIPME").optional(),
                    ],
                )
                .multiple(),
            ],
        )]),
    );

/// `CLIENT NO-EVICT (ON|OFF)`
pub(crate) const CLIENT_NO_EVICT: Declaration =
    Declaration::new("no-evict", Arity::Exactly(3), OPERATOR)
        .categories(&[Category::Connection])
        .docs(
            Docs::new(
                "connection",
                "7.0.0",
                "Spares this connection when client memory runs short, or stops sparing it.",
                "O(1)",
            )
            .arguments(&[Argument::one_of(
                "enabled",
                &[Argument::token("on", "ON"), Argument::token("off", "OFF")],
            )]),
        );

/// `CLIENT NO-TOUCH (ON|OFF)`
pub(crate) const CLIENT_NO_TOUCH: Declaration =
    Declaration::new("no-touch", Arity::Exactly(3), SESSION)
        .categories(&[Category::Connection])
        .docs(
            Docs::new(
                "connection",
                "7.2.0",
                "Chooses whether reads of this connection count as accesses of keys.",
                "O(1)",
            )
            .arguments(&[Argument::one_of(
                "enabled",
                &[Argument::token("on", "ON"), Argument::token("off", "OFF")],
            )]),
        );

/// `CLIENT REPLY (ON|OFF|SKIP)`
pub(crate) const CLIENT_REPLY: Declaration = Declaration::new("reply", Arity::Exactly(3), SESSION)
    .categories(&[Category::Connection])
    .docs(
        Docs::new(
            "connection",
            "3.2.0",
            "Switches the replies to this connection on, off, or off for one request.",
            "O(1)",
        )
        .arguments(&[Argument::one_of(
            "on_off_skip",
            &[
                Argument::token("on", "ON"),
                Argument::token("off", "OFF"),
                Argument::token("skip", "SKIP"),
            ],
        )]),
    );

/// `CLIENT CACHING (YES|NO)`
pub(crate) const CLIENT_CACHING: Declaration =
    Declaration::new("caching", Arity::Exactly(3), SESSION)
        .categories(&[Category::Connection])
        .docs(
            Docs::new(
                "connection",
                "6.0.0",
                "Chooses whether the keys that the next command reads are remembered.",
                "O(1)",
            )
            .arguments(&[Argument::one_of(
                "mode",
                &[Argument::token("yes", "YES"), Argument::token("no", "NO")],
            )]),
        );

/// `CLIENT GETREDIR`
pub(crate) const CLIENT_GETREDIR: Declaration =
    Declaration::new("getredir", Arity::Exactly(2), SESSION)
        .categories(&[Category::Connection])
        .docs(Docs::new(
            "connection",
            "6.0.0",
            "Answers which client is told of changes in place of this one.",
            "O(1)",
        ));

/// `CLIENT TRACKING (ON|OFF) [REDIRECT client-id] [PREFIX prefix ...] [BCAST] [OPTIN] [OPTOUT] [NOLOOP]`
pub(crate) const CLIENT_TRACKING: Declaration =
    Declaration::new("tracking", Arity::AtLeast(3), SESSION)
        .categories(&[Category::Connection])
        .docs(
            Docs::new(
                "connection",
                "6.0.0",
                "Begins or ends to tell this connection of changes of keys that it has read.",
                "O(1), for prefixes O(P), P their number",
            )
            .arguments(&[
                Argument::one_of(
                    "status",
                    &[Argument::token("on", "ON"), Argument::token("off", "OFF")],
                ),
                Argument::integer("client-id")
                    .with_token("REDIRECT")
                    .optional(),
                Argument {
                    multiple_token: true,
                    ..Argument::text("prefix")
                        .with_token("PREFIX")
                        .optional()
                        .multiple()
                },
                Argument::token("bcast", "BCAST").optional(),
                Argument::token("optin", "OPTIN").optional(),
                Argument::token("optout", "OPTOUT").optional(),
                Argument::token("noloop", "NOLOOP").optional(),
            ]),
        );

/// `CLIENT TRACKINGINFO`
pub(crate) const CLIENT_TRACKINGINFO: Declaration =
    Declaration::new("trackinginfo", Arity::Exactly(2), SESSION)
        .categories(&[Category::Connection])
        .docs(Docs::new(
            "connection",
            "6.2.0",
            "Answers how this connection is told of changes.",
            "O(P), P the number of its prefixes",
        ));

/// `CLIENT PAUSE timeout [WRITE|ALL]`
pub(crate) const CLIENT_PAUSE: Declaration = Declaration::new("pause", Arity::AtLeast(3), OPERATOR)
    .categories(&[Category::Connection])
    .docs(
        Docs::new(
            "connection",
            "2.9.50",
            "Holds up writes, or all requests, of all clients for some time.",
            "O(C), C the number of connections",
        )
        .history(&[("6.2.0", "`WRITE` holds up writes only.")])
        .arguments(&[
            Argument::integer("timeout"),
            Argument::one_of(
                "mode",
                &[
                    Argument::token("write", "WRITE"),
                    Argument::token("all", "ALL"),
                ],
            )
            .since("6.2.0")
            .optional(),
        ]),
    );

/// `CLIENT UNPAUSE`
pub(crate) const CLIENT_UNPAUSE: Declaration =
    Declaration::new("unpause", Arity::Exactly(2), OPERATOR)
        .categories(&[Category::Connection])
        .docs(Docs::new(
            "connection",
            "6.2.0",
            "Ends CLIENT PAUSE; what was held up runs.",
            "O(C), C the number of connections",
        ));

/// `CLIENT UNBLOCK client-id [TIMEOUT|ERROR]`
pub(crate) const CLIENT_UNBLOCK: Declaration =
    Declaration::new("unblock", Arity::AtLeast(3), OPERATOR)
        .categories(&[Category::Connection])
        .docs(
            Docs::new(
                "connection",
                "5.0.0",
                "Ends the waiting of a client, as if its time were over or with an error.",
                "O(log N), N the number of clients that wait with a limit",
            )
            .arguments(&[
                Argument::integer("client-id"),
                Argument::one_of(
                    "timeout_error",
                    &[
                        Argument::token("timeout", "TIMEOUT"),
                        Argument::token("error", "ERROR"),
                    ],
                )
                .optional(),
            ]),
        );

/// `CLIENT HELP`
pub(crate) const CLIENT_HELP: Declaration = Declaration::new("help", Arity::Exactly(2), ANY_TIME)
    .categories(&[Category::Connection])
    .docs(Docs::new(
        "connection",
        "5.0.0",
        "Answers a short description of each subcommand.",
        "O(1)",
    ));
