//! Declarations of `CLUSTER` and of the commands for reading from replicas.
//!
//! Source of the facts: `COMMAND INFO` and `COMMAND DOCS` of Redis 7.0.15, and the documentation of
//! 7.2 where `since` says so. The sentences are ours.
//!
//! Not here: subcommands that change the cluster; the server has none of them.

use commands::spec::{Argument, Arity, Category, Declaration, Docs, Flags};

use super::ANY_TIME;

/// `CLUSTER subcommand ...`
pub(crate) const CLUSTER: Declaration = Declaration::new("cluster", Arity::AtLeast(2), Flags::NONE)
    .docs(Docs::new(
        "cluster",
        "3.0.0",
        "Groups the subcommands about the cluster.",
        "That of the subcommand.",
    ))
    .subcommands(&[
        CLUSTER_COUNTKEYSINSLOT,
        CLUSTER_GETKEYSINSLOT,
        CLUSTER_INFO,
        CLUSTER_KEYSLOT,
        CLUSTER_LINKS,
        CLUSTER_MYID,
        CLUSTER_MYSHARDID,
        CLUSTER_NODES,
        CLUSTER_SHARDS,
        CLUSTER_SLOTS,
        CLUSTER_HELP,
    ]);

/// `CLUSTER COUNTKEYSINSLOT slot`
pub(crate) const CLUSTER_COUNTKEYSINSLOT: Declaration =
    Declaration::new("countkeysinslot", Arity::Exactly(3), Flags::STALE).docs(
        Docs::new(
            "cluster",
            "3.0.0",
            "Answers how many keys of a slot this node has.",
            "O(1)",
        )
        .arguments(&[Argument::integer("slot")]),
    );

/// `CLUSTER GETKEYSINSLOT slot count`
pub(crate) const CLUSTER_GETKEYSINSLOT: Declaration =
    Declaration::new("getkeysinslot", Arity::Exactly(4), Flags::STALE)
        .tips(&["nondeterministic_output"])
        .docs(
            Docs::new(
                "cluster",
                "3.0.0",
                "Answers keys of a slot that this node has.",
                "O(K), K the number of keys asked for",
            )
            .arguments(&[Argument::integer("slot"), Argument::integer("count")]),
        );

/// `CLUSTER INFO`
pub(crate) const CLUSTER_INFO: Declaration =
    Declaration::new("info", Arity::Exactly(2), Flags::STALE)
        .tips(&["nondeterministic_output"])
        .docs(Docs::new(
            "cluster",
            "3.0.0",
            "Answers the state of the cluster as this node sees it.",
            "O(1)",
        ));

/// `CLUSTER KEYSLOT key`
pub(crate) const CLUSTER_KEYSLOT: Declaration =
    Declaration::new("keyslot", Arity::Exactly(3), Flags::STALE).docs(
        Docs::new(
            "cluster",
            "3.0.0",
            "Answers the slot of a key.",
            "O(B), B the bytes of the key",
        )
        .arguments(&[Argument::text("key")]),
    );

/// `CLUSTER LINKS`
pub(crate) const CLUSTER_LINKS: Declaration =
    Declaration::new("links", Arity::Exactly(2), Flags::STALE)
        .tips(&["nondeterministic_output"])
        .docs(Docs::new(
            "cluster",
            "7.0.0",
            "Answers the connections of this node with other nodes.",
            "O(N), N the number of nodes",
        ));

/// `CLUSTER MYID`
pub(crate) const CLUSTER_MYID: Declaration =
    Declaration::new("myid", Arity::Exactly(2), Flags::STALE).docs(Docs::new(
        "cluster",
        "3.0.0",
        "Answers the id of this node.",
        "O(1)",
    ));

/// `CLUSTER MYSHARDID`
pub(crate) const CLUSTER_MYSHARDID: Declaration =
    Declaration::new("myshardid", Arity::Exactly(2), Flags::STALE)
        .tips(&["nondeterministic_output"])
        .docs(Docs::new(
            "cluster",
            "7.2.0",
            "Answers the id that this node and its replicas have in common.",
            "O(1)",
        ));

/// `CLUSTER NODES`
pub(crate) const CLUSTER_NODES: Declaration =
    Declaration::new("nodes", Arity::Exactly(2), Flags::STALE)
        .tips(&["nondeterministic_output"])
        .docs(Docs::new(
            "cluster",
            "3.0.0",
            "Answers one line of facts for each node.",
            "O(N), N the number of nodes",
        ));

/// `CLUSTER SHARDS`
pub(crate) const CLUSTER_SHARDS: Declaration =
    Declaration::new("shards", Arity::Exactly(2), Flags::STALE)
        .tips(&["nondeterministic_output"])
        .docs(Docs::new(
            "cluster",
            "7.0.0",
            "Answers the slots and the nodes of each primary and its replicas.",
            "O(N), N the number of nodes",
        ));

/// `CLUSTER SLOTS`
pub(crate) const CLUSTER_SLOTS: Declaration =
    Declaration::new("slots", Arity::Exactly(2), Flags::STALE)
        .tips(&["nondeterministic_output"])
        .docs(
            Docs::new(
                "cluster",
                "3.0.0",
                "Answers ranges of slots and the nodes that serve them.",
                "O(N), N the number of nodes",
            )
            .history(&[
                ("4.0.0", "A node comes with its id."),
                (
                    "7.0.0",
                    "A node comes with a list of further network facts.",
                ),
            ])
            .deprecated("7.0.0", "`CLUSTER SHARDS`"),
        );

/// `CLUSTER HELP`
pub(crate) const CLUSTER_HELP: Declaration = Declaration::new("help", Arity::Exactly(2), ANY_TIME)
    .docs(Docs::new(
        "cluster",
        "5.0.0",
        "Answers a short description of each subcommand.",
        "O(1)",
    ));

/// `READONLY`
pub(crate) const READONLY: Declaration =
    Declaration::new("readonly", Arity::Exactly(1), ANY_TIME.and(Flags::FAST))
        .categories(&[Category::Connection])
        .docs(Docs::new(
            "cluster",
            "3.0.0",
            "Lets this connection read from a replica in a cluster.",
            "O(1)",
        ));

/// `READWRITE`
pub(crate) const READWRITE: Declaration =
    Declaration::new("readwrite", Arity::Exactly(1), ANY_TIME.and(Flags::FAST))
        .categories(&[Category::Connection])
        .docs(Docs::new(
            "cluster",
            "3.0.0",
            "Ends what READONLY began.",
            "O(1)",
        ));
