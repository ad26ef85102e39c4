//! Declarations of the commands that tell where time and memory go.
//!
//! Source of the facts: `COMMAND INFO` and `COMMAND DOCS` of Redis 7.0.15, and the documentation of
//! 7.2 where `since` says so. The sentences are ours.
//!
//! Not here: the figures themselves, and `INFO` (`server`).

use commands::spec::{Argument, Arity, Declaration, Docs, Flags, KeySpec};

use super::{ANY_TIME, OPERATOR};

/// `SLOWLOG subcommand ...`
pub(crate) const SLOWLOG: Declaration = Declaration::new("slowlog", Arity::AtLeast(2), Flags::NONE)
    .docs(Docs::new(
        "server",
        "2.2.12",
        "Groups the subcommands about requests that took long.",
        "That of the subcommand.",
    ))
    .subcommands(&[SLOWLOG_GET, SLOWLOG_LEN, SLOWLOG_RESET, SLOWLOG_HELP]);

/// `SLOWLOG GET [count]`
pub(crate) const SLOWLOG_GET: Declaration =
    Declaration::new("get", Arity::AtLeast(2), ANY_TIME.and(Flags::ADMIN))
        .tips(&["request_policy:all_nodes", "nondeterministic_output"])
        .docs(
            Docs::new(
                "server",
                "2.2.12",
                "Answers the newest entries of the slow log.",
                "O(E), E the number of entries returned",
            )
            .history(&[("4.0.0", "An entry ends with the client's address and name.")])
            .arguments(&[Argument::integer("count").optional()]),
        );

/// `SLOWLOG LEN`
pub(crate) const SLOWLOG_LEN: Declaration =
    Declaration::new("len", Arity::Exactly(2), ANY_TIME.and(Flags::ADMIN))
        .tips(&[
            "request_policy:all_nodes",
            "response_policy:agg_sum",
            "nondeterministic_output",
        ])
        .docs(Docs::new(
            "server",
            "2.2.12",
            "Answers how many entries the slow log has.",
            "O(1)",
        ));

/// `SLOWLOG RESET`
pub(crate) const SLOWLOG_RESET: Declaration =
    Declaration::new("reset", Arity::Exactly(2), ANY_TIME.and(Flags::ADMIN))
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs(Docs::new(
            "server",
            "2.2.12",
            "Removes all entries of the slow log.",
            "O(E), E the number of entries",
        ));

/// `SLOWLOG HELP`
pub(crate) const SLOWLOG_HELP: Declaration = Declaration::new("help", Arity::Exactly(2), ANY_TIME)
    .docs(Docs::new(
        "server",
        "6.2.0",
        "Answers a short description of each subcommand.",
        "O(1)",
    ));

/// `LATENCY subcommand ...`
pub(crate) const LATENCY: Declaration = Declaration::new("latency", Arity::AtLeast(2), Flags::NONE)
    .docs(Docs::new(
        "server",
        "2.8.13",
        "Groups the subcommands about pauses of the server.",
        "That of the subcommand.",
    ))
    .subcommands(&[
        LATENCY_DOCTOR,
        LATENCY_GRAPH,
        LATENCY_HELP,
        LATENCY_HISTOGRAM,
        LATENCY_HISTORY,
        LATENCY_LATEST,
        LATENCY_RESET,
    ]);

/// `LATENCY DOCTOR`
pub(crate) const LATENCY_DOCTOR: Declaration =
    Declaration::new("doctor", Arity::Exactly(2), OPERATOR)
        .tips(&[
            "nondeterministic_output",
            "request_policy:all_nodes",
            "response_policy:special",
        ])
        .docs(Docs::new(
            "server",
            "2.8.13",
            "Answers a report, for people, of the pauses seen and what may help.",
            "O(1)",
        ));

/// `LATENCY GRAPH event`
pub(crate) const LATENCY_GRAPH: Declaration =
    Declaration::new("graph", Arity::Exactly(3), OPERATOR)
        .tips(&[
            "nondeterministic_output",
            "request_policy:all_nodes",
            "response_policy:special",
        ])
        .docs(
            Docs::new(
                "server",
                "2.8.13",
                "Answers the recent pauses of one kind as a drawing.",
                "O(1)",
            )
            .arguments(&[Argument::text("event")]),
        );

/// `LATENCY HELP`
pub(crate) const LATENCY_HELP: Declaration = Declaration::new("help", Arity::Exactly(2), ANY_TIME)
    .docs(Docs::new(
        "server",
        "2.8.13",
        "Answers a short description of each subcommand.",
        "O(1)",
    ));

/// `LATENCY HISTOGRAM [command ...]`
pub(crate) const LATENCY_HISTOGRAM: Declaration =
    Declaration::new("histogram", Arity::AtLeast(2), OPERATOR)
        .tips(&[
            "nondeterministic_output",
            "request_policy:all_nodes",
            "response_policy:special",
        ])
        .docs(
            Docs::new(
                "server",
                "7.0.0",
                "Answers how long calls of commands took, as cumulative counts.",
                "O(C), C the number of commands asked for",
            )
            .arguments(&[Argument::text("command").optional().multiple()]),
        );

/// `LATENCY HISTORY event`
pub(crate) const LATENCY_HISTORY: Declaration =
    Declaration::new("history", Arity::Exactly(3), OPERATOR)
        .tips(&[
            "nondeterministic_output",
            "request_policy:all_nodes",
            "response_policy:special",
        ])
        .docs(
            Docs::new(
                "server",
                "2.8.13",
                "Answers times and lengths of the recent pauses of one kind.",
                "O(1)",
            )
            .arguments(&[Argument::text("event")]),
        );

/// `LATENCY LATEST`
pub(crate) const LATENCY_LATEST: Declaration =
    Declaration::new("latest", Arity::Exactly(2), OPERATOR)
        .tips(&[
            "nondeterministic_output",
            "request_policy:all_nodes",
            "response_policy:special",
        ])
        .docs(Docs::new(
            "server",
            "2.8.13",
            "Answers the last and the longest pause of each kind.",
            "O(1)",
        ));

/// `LATENCY RESET [event ...]`
pub(crate) const LATENCY_RESET: Declaration =
    Declaration::new("reset", Arity::AtLeast(2), OPERATOR)
        .tips(&["request_policy:all_nodes", "response_policy:all_succeeded"])
        .docs(
            Docs::new(
                "server",
                "2.8.13",
                "Forgets the pauses of the named kinds, or of all.",
                "O(1)",
            )
            .arguments(&[Argument::text("event").optional().multiple()]),
        );

/// `MEMORY subcommand ...`
pub(crate) const MEMORY: Declaration = Declaration::new("memory", Arity::AtLeast(2), Flags::NONE)
    .docs(Docs::new(
        "server",
        "4.0.0",
        "Groups the subcommands about memory.",
        "That of the subcommand.",
    ))
    .subcommands(&[
        MEMORY_DOCTOR,
        MEMORY_HELP,
        MEMORY_MALLOC_STATS,
        MEMORY_PURGE,
        MEMORY_STATS,
        MEMORY_USAGE,
    ]);

/// `MEMORY DOCTOR`
pub(crate) const MEMORY_DOCTOR: Declaration =
    Declaration::new("doctor", Arity::Exactly(2), Flags::NONE)
        .tips(&[
            "nondeterministic_output",
            "request_policy:all_shards",
            "response_policy:special",
        ])
        .docs(Docs::new(
            "server",
            "4.0.0",
            "Answers a report, for people, of how memory is used and what may help.",
            "O(1)",
        ));

/// `MEMORY HELP`
pub(crate) const MEMORY_HELP: Declaration = Declaration::new("help", Arity::Exactly(2), ANY_TIME)
    .docs(Docs::new(
        "server",
        "4.0.0",
        "Answers a short description of each subcommand.",
        "O(1)",
    ));

/// `MEMORY MALLOC-STATS`
pub(crate) const MEMORY_MALLOC_STATS: Declaration =
    Declaration::new("malloc-stats", Arity::Exactly(2), Flags::NONE)
        .tips(&[
            "nondeterministic_output",
            "request_policy:all_shards",
            "response_policy:special",
        ])
        .docs(Docs::new(
            "server",
            "4.0.0",
            "Answers the allocator's own figures.",
            "O(A), A the size of the allocator's books",
        ));

/// `MEMORY PURGE`
pub(crate) const MEMORY_PURGE: Declaration =
    Declaration::new("purge", Arity::Exactly(2), Flags::NONE)
        .tips(&["request_policy:all_shards", "response_policy:all_succeeded"])
        .docs(Docs::new(
            "server",
            "4.0.0",
            "Asks the allocator to give unused memory back.",
            "O(A), A the number of unused pages",
        ));

/// `MEMORY STATS`
pub(crate) const MEMORY_STATS: Declaration =
    Declaration::new("stats", Arity::Exactly(2), Flags::NONE)
        .tips(&[
            "nondeterministic_output",
            "request_policy:all_shards",
            "response_policy:special",
        ])
        .docs(Docs::new(
            "server",
            "4.0.0",
            "Answers where memory goes, in bytes.",
            "O(1)",
        ));

/// `MEMORY USAGE key [SAMPLES count]`
pub(crate) const MEMORY_USAGE: Declaration =
    Declaration::new("usage", Arity::AtLeast(3), Flags::READONLY)
        .keys(&[KeySpec::at(2, &["RO"])])
        .docs(
            Docs::new(
                "server",
                "4.0.0",
                "Answers how many bytes a key and its value take.",
                "O(S), S the number of samples",
            )
            .arguments(&[
                Argument::KEY,
                Argument::integer("count").with_token("SAMPLES").optional(),
            ]),
        );
