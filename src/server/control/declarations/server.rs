//! Declarations of the commands about the server as a whole: `INFO`, `CONFIG`, `COMMAND`...
//!
//! Source of the facts: `COMMAND INFO` and `COMMAND DOCS` of Redis 7.0.15, and the documentation of
//! 7.2 where `since` says so. The sentences are ours.
//!
//! Not here: what is asked when something is slow or large (`diagnostics`).

use commands::spec::{Argument, Arity, Category, Declaration, Docs, Flags};

use super::{ANY_TIME, OPERATOR, SESSION};

/// `COMMAND subcommand ...`
pub(crate) const COMMAND: Declaration = Declaration::new("command", Arity::AtLeast(1), ANY_TIME)
    .categories(&[Category::Connection])
    .tips(&["nondeterministic_output_order"])
    .docs(Docs::new(
        "server",
        "2.8.13",
        "Answers the facts of every command; groups the subcommands about commands.",
        "O(C), C the number of commands",
    ))
    .subcommands(&[
        COMMAND_COUNT,
        COMMAND_DOCS,
        COMMAND_GETKEYS,
        COMMAND_GETKEYSANDFLAGS,
        COMMAND_HELP,
        COMMAND_INFO,
        COMMAND_LIST,
    ]);

/// `COMMAND COUNT`
pub(crate) const COMMAND_COUNT: Declaration =
    Declaration::new("count", Arity::Exactly(2), ANY_TIME)
        .categories(&[Category::Connection])
        .docs(Docs::new(
            "server",
            "2.8.13",
            "Answers how many commands there are.",
            "O(1)",
        ));

/// `COMMAND DOCS [command-name ...]`
pub(crate) const COMMAND_DOCS: Declaration = Declaration::new("docs", Arity::AtLeast(2), ANY_TIME)
    .categories(&[Category::Connection])
    .tips(&["nondeterministic_output_order"])
    .docs(
        Docs::new(
            "server",
            "7.0.0",
            "Answers the documentation of the named commands, or of all.",
            "O(C), C the number of commands asked for",
        )
        .arguments(&[Argument::text("command-name").optional().multiple()]),
    );

/// `COMMAND GETKEYS`
pub(crate) const COMMAND_GETKEYS: Declaration =
    Declaration::new("getkeys", Arity::AtLeast(4), ANY_TIME)
        .categories(&[Category::Connection])
        .docs(Docs::new(
            "server",
            "2.8.13",
            "Answers the keys of a request, without running it.",
            "O(W), W the number of words of the request",
        ));

/// `COMMAND GETKEYSANDFLAGS`
pub(crate) const COMMAND_GETKEYSANDFLAGS: Declaration =
    Declaration::new("getkeysandflags", Arity::AtLeast(4), ANY_TIME)
        .categories(&[Category::Connection])
        .docs(Docs::new(
            "server",
            "7.0.0",
            "Answers the keys of a request and how it would use them.",
            "O(W), W the number of words of the request",
        ));

/// `COMMAND HELP`
pub(crate) const COMMAND_HELP: Declaration = Declaration::new("help", Arity::Exactly(2), ANY_TIME)
    .categories(&[Category::Connection])
    .docs(Docs::new(
        "server",
        "5.0.0",
        "Answers a short description of each subcommand.",
        "O(1)",
    ));

/// `COMMAND INFO [command-name ...]`
pub(crate) const COMMAND_INFO: Declaration = Declaration::new("info", Arity::AtLeast(2), ANY_TIME)
    .categories(&[Category::Connection])
    .tips(&["nondeterministic_output_order"])
    .docs(
        Docs::new(
            "server",
            "2.8.13",
            "Answers the facts of the named commands, or of all.",
            "O(C), C the number of commands asked for",
        )
        .history(&[("7.0.0", "No name means every command.")])
        .arguments(&[Argument::text("command-name").optional().multiple()]),
    );

/// `COMMAND LIST [FILTERBY (MODULE module-name|ACLCAT category|PATTERN pattern)]`
pub(crate) const COMMAND_LIST: Declaration = Declaration::new("list", Arity::AtLeast(2), ANY_TIME)
    .categories(&[Category::Connection])
    .tips(&["nondeterministic_output_order"])
    .docs(
        Docs::new(
            "server",
            "7.0.0",
            "Answers the names of all commands, or of those that the filter lets through.",
            "O(C), C the number of commands",
        )
        .arguments(&[Argument::one_of(
            "filterby",
            &[
                Argument::text("module-name").with_token("MODULE"),
                Argument::text("category").with_token("ACLCAT"),
                Argument::pattern("pattern").with_token("PATTERN"),
            ],
        )
        .with_token("FILTERBY")
        .optional()]),
    );

/// `CONFIG subcommand ...`
pub(crate) const CONFIG: Declaration = Declaration::new("config", Arity::AtLeast(2), Flags::NONE)
    .docs(Docs::new(
        "server",
        "2.0.0",
        "Groups the subcommands about directives of the configuration.",
        "That of the subcommand.",
    ))
    .subcommands(&[
        CONFIG_GET,
        CONFIG_SET,
        CONFIG_RESETSTAT,
        CONFIG_REWRITE,
        CONFIG_HELP,
    ]);

/// `CONFIG GET parameter ...`
pub(crate) const CONFIG_GET: Declaration = Declaration::new("get", Arity::AtLeast(3), OPERATOR)
    .docs(
        Docs::new(
            "server",
            "2.0.0",
            "Answers the directives whose names match, with their values.",
            "O(P * D), P the number of patterns, D that of directives",
        )
        .history(&[("7.0.0", "Takes several patterns.")])
        .arguments(&[Argument::block("parameter", &[Argument::text("parameter")]).multiple()]),
    );

/// `CONFIG SET parameter value ...`
pub(crate) const CONFIG_SET: Declaration = Declaration::new("set", Arity::AtLeast(4), OPERATOR)
    .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
    .docs(
        Docs::new(
            "server",
            "2.0.0",
            "Changes directives, all of them or none.",
            "O(D), D the number of directives given",
        )
        .history(&[("7.0.0", "Takes several directives.")])
        .arguments(&[Argument::block(
            "parameter_value",
            &[Argument::text("parameter"), Argument::text("value")],
        )
        .multiple()]),
    );

/// `CONFIG RESETSTAT`
pub(crate) const CONFIG_RESETSTAT: Declaration =
    Declaration::new("resetstat", Arity::Exactly(2), OPERATOR).docs(Docs::new(
        "server",
        "2.0.0",
        "Sets the counters that INFO shows back to zero.",
        "O(1)",
    ));

/// `CONFIG REWRITE`
pub(crate) const CONFIG_REWRITE: Declaration =
    Declaration::new("rewrite", Arity::Exactly(2), OPERATOR).docs(Docs::new(
        "server",
        "2.8.0",
        "Writes the directives in force to the configuration file.",
        "O(1)",
    ));

/// `CONFIG HELP`
pub(crate) const CONFIG_HELP: Declaration = Declaration::new("help", Arity::Exactly(2), ANY_TIME)
    .docs(Docs::new(
        "server",
        "5.0.0",
        "Answers a short description of each subcommand.",
        "O(1)",
    ));

/// `INFO [section ...]`
pub(crate) const INFO: Declaration = Declaration::new("info", Arity::AtLeast(1), ANY_TIME)
    .categories(&[Category::Dangerous])
    .tips(&[
        "nondeterministic_output",
        "request_policy:all_shards",
        "response_policy:special",
    ])
    .docs(
        Docs::new(
            "server",
            "1.0.0",
            "Answers facts and counters of the server, by section.",
            "O(1)",
        )
        .history(&[("7.0.0", "Takes several sections.")])
        .arguments(&[Argument::text("section").optional().multiple()]),
    );

/// `TIME`
pub(crate) const TIME: Declaration =
    Declaration::new("time", Arity::Exactly(1), ANY_TIME.and(Flags::FAST))
        .tips(&["nondeterministic_output"])
        .docs(Docs::new(
            "server",
            "2.6.0",
            "Answers the server's time as seconds since 1970 and microseconds.",
            "O(1)",
        ));

/// `SHUTDOWN [NOSAVE|SAVE] [NOW] [FORCE] [ABORT]`
pub(crate) const SHUTDOWN: Declaration = Declaration::new(
    "shutdown",
    Arity::AtLeast(1),
    OPERATOR.and(Flags::NO_MULTI).and(Flags::ALLOW_BUSY),
)
.docs(
    Docs::new(
        "server",
        "1.0.0",
        "Stops the server, after saving if told or configured to.",
        "O(N), N the number of keys, when it saves; else O(1)",
    )
    .history(&[("7.0.0", "`NOW`, `FORCE` and `ABORT` are new.")])
    .arguments(&[
        Argument::one_of(
            "nosave_save",
            &[
                Argument::token("nosave", "NOSAVE"),
                Argument::token("save", "SAVE"),
            ],
        )
        .optional(),
        Argument::token("now", "NOW").since("7.0.0").optional(),
        Argument::token("force", "FORCE").since("7.0.0").optional(),
        Argument::token("abort", "ABORT").since("7.0.0").optional(),
    ]),
);

/// `DEBUG subcommand ...`
pub(crate) const DEBUG: Declaration = Declaration::new(
    "debug",
    Arity::AtLeast(2),
    OPERATOR.and(Flags::SYSTEM).and(Flags::DEBUGGING),
)
.docs(Docs::new(
    "server",
    "1.0.0",
    "Groups the subcommands for testing the server.",
    "That of the subcommand.",
));

/// `MONITOR`
pub(crate) const MONITOR: Declaration = Declaration::new("monitor", Arity::Exactly(1), OPERATOR)
    .docs(Docs::new(
        "server",
        "1.0.0",
        "Streams every request that the server runs to this connection.",
        "",
    ));

/// `ROLE`
pub(crate) const ROLE: Declaration =
    Declaration::new("role", Arity::Exactly(1), SESSION.and(Flags::FAST))
        .categories(&[Category::Admin, Category::Dangerous])
        .docs(Docs::new(
            "server",
            "2.8.12",
            "Answers whether the server is a primary or a replica, and of whom.",
            "O(1)",
        ));

/// `WAIT numreplicas timeout`
pub(crate) const WAIT: Declaration = Declaration::new("wait", Arity::Exactly(3), Flags::NO_SCRIPT)
    .categories(&[Category::Connection])
    .tips(&["request_policy:all_shards", "response_policy:agg_min"])
    .docs(
        Docs::new(
            "generic",
            "3.0.0",
            "Waits until so many replicas have this connection's writes, or time is over.",
            "O(1)",
        )
        .arguments(&[
            Argument::integer("numreplicas"),
            Argument::integer("timeout"),
        ]),
    );

/// `WAITAOF numlocal numreplicas timeout`
pub(crate) const WAITAOF: Declaration =
    Declaration::new("waitaof", Arity::Exactly(4), Flags::BLOCKING)
        .categories(&[Category::Connection])
        .tips(&["request_policy:all_shards", "response_policy:agg_min"])
        .docs(
            Docs::new(
                "generic",
                "7.2.0",
                "Waits until what was written before is on the disk, here and at so many replicas, or time is over.",
                "O(1)",
            )
            .arguments(&[
                Argument::integer("numlocal"),
                Argument::integer("numreplicas"),
                Argument::integer("timeout"),
            ]),
        );

/// `LOLWUT [VERSION version]`
pub(crate) const LOLWUT: Declaration = Declaration::new(
    "lolwut",
    Arity::AtLeast(1),
    Flags::READONLY.and(Flags::FAST),
)
.docs(
    Docs::new(
        "server",
        "5.0.0",
        "Answers a little generated picture and the version of the server.",
        "",
    )
    .arguments(&[Argument::integer("version")
        .with_token("VERSION")
        .optional()]),
);

/// `MODULE subcommand ...`
pub(crate) const MODULE: Declaration = Declaration::new("module", Arity::AtLeast(2), Flags::NONE)
    .docs(Docs::new(
        "server",
        "4.0.0",
        "Groups the subcommands about modules.",
        "That of the subcommand.",
    ))
    .subcommands(&[
        MODULE_HELP,
        MODULE_LIST,
        MODULE_LOAD,
        MODULE_LOADEX,
        MODULE_UNLOAD,
    ]);

/// `MODULE HELP`
pub(crate) const MODULE_HELP: Declaration = Declaration::new("help", Arity::Exactly(2), ANY_TIME)
    .docs(Docs::new(
        "server",
        "5.0.0",
        "Answers a short description of each subcommand.",
        "O(1)",
    ));

/// `MODULE LIST`
pub(crate) const MODULE_LIST: Declaration = Declaration::new(
    "list",
    Arity::Exactly(2),
    Flags::ADMIN.and(Flags::NO_SCRIPT),
)
.tips(&["nondeterministic_output_order"])
.docs(Docs::new(
    "server",
    "4.0.0",
    "Answers which modules there are.",
    "O(1)",
));

const CHANGES_MODULES: Flags = Flags::ADMIN
    .and(Flags::NO_SCRIPT)
    .and(Flags::NO_ASYNC_LOADING);

/// `MODULE LOAD path [arg ...]`
pub(crate) const MODULE_LOAD: Declaration =
    Declaration::new("load", Arity::AtLeast(3), CHANGES_MODULES).docs(
        Docs::new(
            "server",
            "4.0.0",
            "Is refused: modules cannot be loaded.",
            "O(1)",
        )
        .arguments(&[
            Argument::text("path"),
            Argument::text("arg").optional().multiple(),
        ]),
    );

/// `MODULE LOADEX path [CONFIG name value ...] [ARGS arg ...]`
pub(crate) const MODULE_LOADEX: Declaration =
    Declaration::new("loadex", Arity::AtLeast(3), CHANGES_MODULES).docs(
        Docs::new(
            "server",
            "7.0.0",
            "Is refused: modules cannot be loaded.",
            "O(1)",
        )
        .arguments(&[
            Argument::text("path"),
            MODULE_CONFIGS,
            Argument::block("args", &[Argument::text("arg")])
                .with_token("ARGS")
                .optional()
                .multiple(),
        ]),
    );

const MODULE_CONFIGS: Argument = Argument {
    multiple_token: true,
    ..Argument::block(
        "configs",
        &[Argument::text("name"), Argument::text("value")],
    )
    .with_token("CONFIG")
    .optional()
    .multiple()
};

/// `MODULE UNLOAD name`
pub(crate) const MODULE_UNLOAD: Declaration =
    Declaration::new("unload", Arity::Exactly(3), CHANGES_MODULES).docs(
        Docs::new(
            "server",
            "4.0.0",
            "Is refused: there is none to unload.",
            "O(1)",
        )
        .arguments(&[Argument::text("name")]),
    );
