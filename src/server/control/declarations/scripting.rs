//! Declarations of the commands that run scripts and functions, and that keep them.
//!
//! Source of the facts: `COMMAND INFO` and `COMMAND DOCS` of Redis 7.0.15. The sentences are ours.
//!
//! Not here: what they do (`control::script`, `control::function`).

use commands::spec::{Argument, Arity, Category, Declaration, Docs, Flags, KeySpec};

use super::ANY_TIME;

const SCRIPTING: &[Category] = &[Category::Scripting];

/// Runs a program: its keys are counted, and it may not be run by another program.
const RUNS: Flags = Flags::NO_SCRIPT
    .and(Flags::STALE)
    .and(Flags::SKIP_MONITOR)
    .and(Flags::NO_MANDATORY_KEYS)
    .and(Flags::MOVABLE_KEYS);

const WRITTEN_KEYS: KeySpec = KeySpec::counted(2, &["RW", "access", "update"]);
const READ_KEYS: KeySpec = KeySpec::counted(2, &["RO", "access"]);
const WORST_CASE: &str =
    "We cannot tell how the keys will be used so we assume the worst, RW and UPDATE";
const WORST_READ: &str =
    "We cannot tell how the keys will be used so we assume the worst, RO and ACCESS";

const ON_ALL_SHARDS: &[&str] = &["request_policy:all_shards", "response_policy:all_succeeded"];
const ON_ALL_NODES: &[&str] = &["request_policy:all_nodes", "response_policy:all_succeeded"];
const ON_ONE_SHARD: &[&str] = &["request_policy:all_shards", "response_policy:one_succeeded"];

const fn run_arguments(first: &'static str) -> [Argument; 4] {
    [
        Argument::text(first),
        Argument::integer("numkeys"),
        Argument::key("key", 0).optional().multiple(),
        Argument::text("arg").optional().multiple(),
    ]
}

const SCRIPT_ARGUMENTS: &[Argument] = &run_arguments("script");
const SHA_ARGUMENTS: &[Argument] = &run_arguments("sha1");
const FUNCTION_ARGUMENTS: &[Argument] = &run_arguments("function");

const FLUSH_MODE: Argument = Argument::one_of(
    "async",
    &[
        Argument::token("async", "ASYNC"),
        Argument::token("sync", "SYNC"),
    ],
)
.optional();

const fn docs(since: &'static str, summary: &'static str, cost: &'static str) -> Docs {
    Docs::new("scripting", since, summary, cost)
}

const COST_OF_PROGRAM: &str = "That of the commands it runs, and of the program itself";

/// `EVAL script numkeys [key ...] [arg ...]`
pub(crate) const EVAL: Declaration = Declaration::new("eval", Arity::AtLeast(3), RUNS)
    .categories(SCRIPTING)
    .keys(&[WRITTEN_KEYS.with_notes(WORST_CASE)])
    .docs(docs("2.6.0", "Runs a script in Lua.", COST_OF_PROGRAM).arguments(SCRIPT_ARGUMENTS));

/// `EVALSHA sha1 numkeys [key ...] [arg ...]`
pub(crate) const EVALSHA: Declaration = Declaration::new("evalsha", Arity::AtLeast(3), RUNS)
    .categories(SCRIPTING)
    .keys(&[WRITTEN_KEYS])
    .docs(
        docs(
            "2.6.0",
            "Runs a script that is kept, named by its SHA1.",
            COST_OF_PROGRAM,
        )
        .arguments(SHA_ARGUMENTS),
    );

/// `EVAL_RO script numkeys [key ...] [arg ...]`
pub(crate) const EVAL_RO: Declaration =
    Declaration::new("eval_ro", Arity::AtLeast(3), RUNS.and(Flags::READONLY))
        .categories(SCRIPTING)
        .keys(&[READ_KEYS.with_notes(WORST_READ)])
        .docs(
            docs(
                "7.0.0",
                "Runs a script that may only read.",
                COST_OF_PROGRAM,
            )
            .arguments(SCRIPT_ARGUMENTS),
        );

/// `EVALSHA_RO sha1 numkeys [key ...] [arg ...]`
pub(crate) const EVALSHA_RO: Declaration =
    Declaration::new("evalsha_ro", Arity::AtLeast(3), RUNS.and(Flags::READONLY))
        .categories(SCRIPTING)
        .keys(&[READ_KEYS])
        .docs(
            docs(
                "7.0.0",
                "Runs a script that is kept and may only read, named by its SHA1.",
                COST_OF_PROGRAM,
            )
            .arguments(SHA_ARGUMENTS),
        );

/// `FCALL function numkeys [key ...] [arg ...]`
pub(crate) const FCALL: Declaration = Declaration::new("fcall", Arity::AtLeast(3), RUNS)
    .categories(SCRIPTING)
    .keys(&[WRITTEN_KEYS.with_notes(WORST_CASE)])
    .docs(
        docs("7.0.0", "Runs a function of a library.", COST_OF_PROGRAM)
            .arguments(FUNCTION_ARGUMENTS),
    );

/// `FCALL_RO function numkeys [key ...] [arg ...]`
pub(crate) const FCALL_RO: Declaration =
    Declaration::new("fcall_ro", Arity::AtLeast(3), RUNS.and(Flags::READONLY))
        .categories(SCRIPTING)
        .keys(&[READ_KEYS.with_notes(WORST_READ)])
        .docs(
            docs(
                "7.0.0",
                "Runs a function of a library that may only read.",
                COST_OF_PROGRAM,
            )
            .arguments(FUNCTION_ARGUMENTS),
        );

/// `SCRIPT subcommand ...`
pub(crate) const SCRIPT: Declaration = Declaration::new("script", Arity::AtLeast(2), Flags::NONE)
    .docs(docs(
        "2.6.0",
        "Groups the subcommands about scripts that are kept.",
        "That of the subcommand.",
    ))
    .subcommands(&[
        SCRIPT_DEBUG,
        SCRIPT_EXISTS,
        SCRIPT_FLUSH,
        SCRIPT_HELP,
        SCRIPT_KILL,
        SCRIPT_LOAD,
    ]);

/// `SCRIPT DEBUG YES|SYNC|NO`
pub(crate) const SCRIPT_DEBUG: Declaration =
    Declaration::new("debug", Arity::Exactly(3), Flags::NO_SCRIPT)
        .categories(SCRIPTING)
        .docs(
            docs(
                "3.2.0",
                "Says whether scripts are run step by step.",
                "O(1)",
            )
            .arguments(&[Argument::one_of(
                "mode",
                &[
                    Argument::token("yes", "YES"),
                    Argument::token("sync", "SYNC"),
                    Argument::token("no", "NO"),
                ],
            )]),
        );

/// `SCRIPT EXISTS sha1 [sha1 ...]`
pub(crate) const SCRIPT_EXISTS: Declaration =
    Declaration::new("exists", Arity::AtLeast(3), Flags::NO_SCRIPT)
        .categories(SCRIPTING)
        .tips(&[
            "request_policy:all_shards",
            "response_policy:agg_logical_and",
        ])
        .docs(
            docs(
                "2.6.0",
                "Says for each SHA1 whether its script is kept.",
                "O(N) for N of them",
            )
            .arguments(&[Argument::text("sha1").multiple()]),
        );

/// `SCRIPT FLUSH [ASYNC|SYNC]`
pub(crate) const SCRIPT_FLUSH: Declaration =
    Declaration::new("flush", Arity::AtLeast(2), Flags::NO_SCRIPT)
        .categories(SCRIPTING)
        .tips(ON_ALL_NODES)
        .docs(
            docs("2.6.0", "Forgets all scripts.", "O(N) for N scripts")
                .history(&[("6.2.0", "`ASYNC` and `SYNC` choose how.")])
                .arguments(&[FLUSH_MODE.since("6.2.0")]),
        );

/// `SCRIPT HELP`
pub(crate) const SCRIPT_HELP: Declaration = Declaration::new("help", Arity::Exactly(2), ANY_TIME)
    .categories(SCRIPTING)
    .docs(docs(
        "5.0.0",
        "Answers a short description of each subcommand.",
        "O(1)",
    ));

/// `SCRIPT KILL`
pub(crate) const SCRIPT_KILL: Declaration = Declaration::new(
    "kill",
    Arity::Exactly(2),
    Flags::NO_SCRIPT.and(Flags::ALLOW_BUSY),
)
.categories(SCRIPTING)
.tips(ON_ONE_SHARD)
.docs(docs(
    "2.6.0",
    "Ends the script that runs, if it has not written.",
    "O(1)",
));

/// `SCRIPT LOAD script`
pub(crate) const SCRIPT_LOAD: Declaration = Declaration::new(
    "load",
    Arity::Exactly(3),
    Flags::NO_SCRIPT.and(Flags::STALE),
)
.categories(SCRIPTING)
.tips(ON_ALL_NODES)
.docs(
    docs(
        "2.6.0",
        "Keeps a script without running it.",
        "O(N) for N bytes",
    )
    .arguments(&[Argument::text("script")]),
);

/// `FUNCTION subcommand ...`
pub(crate) const FUNCTION: Declaration =
    Declaration::new("function", Arity::AtLeast(2), Flags::NONE)
        .docs(docs(
            "7.0.0",
            "Groups the subcommands about libraries of functions.",
            "That of the subcommand.",
        ))
        .subcommands(&[
            FUNCTION_DELETE,
            FUNCTION_DUMP,
            FUNCTION_FLUSH,
            FUNCTION_HELP,
            FUNCTION_KILL,
            FUNCTION_LIST,
            FUNCTION_LOAD,
            FUNCTION_RESTORE,
            FUNCTION_STATS,
        ]);

const CHANGES_LIBRARIES: Flags = Flags::NO_SCRIPT.and(Flags::WRITE);

/// `FUNCTION DELETE library-name`
pub(crate) const FUNCTION_DELETE: Declaration =
    Declaration::new("delete", Arity::Exactly(3), CHANGES_LIBRARIES)
        .categories(SCRIPTING)
        .tips(ON_ALL_SHARDS)
        .docs(
            docs("7.0.0", "Removes a library.", "O(1)")
                .arguments(&[Argument::text("library-name")]),
        );

/// `FUNCTION DUMP`
pub(crate) const FUNCTION_DUMP: Declaration =
    Declaration::new("dump", Arity::Exactly(2), Flags::NO_SCRIPT)
        .categories(SCRIPTING)
        .docs(docs(
            "7.0.0",
            "Answers all libraries as bytes that FUNCTION RESTORE takes.",
            "O(N) for N functions",
        ));

/// `FUNCTION FLUSH [ASYNC|SYNC]`
pub(crate) const FUNCTION_FLUSH: Declaration =
    Declaration::new("flush", Arity::AtLeast(2), CHANGES_LIBRARIES)
        .categories(SCRIPTING)
        .tips(ON_ALL_SHARDS)
        .docs(
            docs("7.0.0", "Removes all libraries.", "O(N) for N functions")
                .arguments(&[FLUSH_MODE]),
        );

/// `FUNCTION HELP`
pub(crate) const FUNCTION_HELP: Declaration = Declaration::new("help", Arity::Exactly(2), ANY_TIME)
    .categories(SCRIPTING)
    .docs(docs(
        "7.0.0",
        "Answers a short description of each subcommand.",
        "O(1)",
    ));

/// `FUNCTION KILL`
pub(crate) const FUNCTION_KILL: Declaration = Declaration::new(
    "kill",
    Arity::Exactly(2),
    Flags::NO_SCRIPT.and(Flags::ALLOW_BUSY),
)
.categories(SCRIPTING)
.tips(ON_ONE_SHARD)
.docs(docs(
    "7.0.0",
    "Ends the function that runs, if it has not written.",
    "O(1)",
));

/// `FUNCTION LIST [LIBRARYNAME library-name-pattern] [WITHCODE]`
pub(crate) const FUNCTION_LIST: Declaration =
    Declaration::new("list", Arity::AtLeast(2), Flags::NO_SCRIPT)
        .categories(SCRIPTING)
        .tips(&["nondeterministic_output_order"])
        .docs(
            docs("7.0.0", "Describes the libraries.", "O(N) for N functions").arguments(&[
                Argument::text("library-name-pattern")
                    .with_token("LIBRARYNAME")
                    .optional(),
                Argument::token("withcode", "WITHCODE").optional(),
            ]),
        );

/// `FUNCTION LOAD [REPLACE] function-code`
pub(crate) const FUNCTION_LOAD: Declaration = Declaration::new(
    "load",
    Arity::AtLeast(3),
    CHANGES_LIBRARIES.and(Flags::DENY_OOM),
)
.categories(SCRIPTING)
.tips(ON_ALL_SHARDS)
.docs(
    docs(
        "7.0.0",
        "Adds a library.",
        "O(N) for N bytes, to compile them",
    )
    .arguments(&[
        Argument::token("replace", "REPLACE").optional(),
        Argument::text("function-code"),
    ]),
);

/// `FUNCTION RESTORE serialized-value [FLUSH|APPEND|REPLACE]`
pub(crate) const FUNCTION_RESTORE: Declaration = Declaration::new(
    "restore",
    Arity::AtLeast(3),
    CHANGES_LIBRARIES.and(Flags::DENY_OOM),
)
.categories(SCRIPTING)
.tips(ON_ALL_SHARDS)
.docs(
    docs(
        "7.0.0",
        "Adds the libraries of a FUNCTION DUMP.",
        "O(N) for N functions",
    )
    .arguments(&[
        Argument::text("serialized-value"),
        Argument::one_of(
            "policy",
            &[
                Argument::token("flush", "FLUSH"),
                Argument::token("append", "APPEND"),
                Argument::token("replace", "REPLACE"),
            ],
        )
        .optional(),
    ]),
);

/// `FUNCTION STATS`
pub(crate) const FUNCTION_STATS: Declaration = Declaration::new(
    "stats",
    Arity::Exactly(2),
    Flags::NO_SCRIPT.and(Flags::ALLOW_BUSY),
)
.categories(SCRIPTING)
.tips(&[
    "nondeterministic_output",
    "request_policy:all_shards",
    "response_policy:special",
])
.docs(docs("7.0.0", "Describes the function that runs.", "O(1)"));
