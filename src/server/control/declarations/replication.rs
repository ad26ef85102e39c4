//! Declarations of the commands between a primary and its replicas, of which clients use some to get a copy of
//! the data.

use commands::spec::{Argument, Arity, Declaration, Docs, Flags};

use super::ANY_TIME;

const GIVES_DATA: Flags = Flags::ADMIN
    .and(Flags::NO_SCRIPT)
    .and(Flags::NO_ASYNC_LOADING)
    .and(Flags::NO_MULTI);

/// `REPLCONF option value [option value ...]`
pub(crate) const REPLCONF: Declaration = Declaration::new(
    "replconf",
    Arity::AtLeast(1),
    ANY_TIME
        .and(Flags::ADMIN)
        .and(Flags::NO_SCRIPT)
        .and(Flags::ALLOW_BUSY)
        .and(Flags::SYSTEM),
)
.docs(Docs::new(
    "server",
    "3.0.0",
    "Says what the client is to get of SYNC.",
    "O(1)",
));

/// `SYNC`
pub(crate) const SYNC: Declaration =
    Declaration::new("sync", Arity::Exactly(1), GIVES_DATA).docs(Docs::new(
        "server",
        "1.0.0",
        "Sends a copy of all data, in the form of the RDB file.",
        "",
    ));

/// `PSYNC replicationid offset`
pub(crate) const PSYNC: Declaration = Declaration::new("psync", Arity::AtLeast(3), GIVES_DATA)
    .docs(
        Docs::new(
            "server",
            "2.8.0",
            "Goes on with replication, which this server does not have yet.",
            "",
        )
        .arguments(&[Argument::text("replicationid"), Argument::integer("offset")]),
    );
