//! Every directive, declared once, in groups.
//!
//! All of redis.conf 7.2 and 7.4 is here, and what is our own. A directive works, waits for a
//! feature, tunes a feature that is switched off, or is meaningless here, for a reason the
//! declaration gives.
//!
//! Not here: what a declaration consists of (`directive`).

mod durability;
mod nodes;
mod server;
mod values;

use super::directive::Directive;
use super::value::Kind;

/// Directives that belong together, as the documentation shows them.
pub struct Group {
    /// Heading.
    pub title: &'static str,
    /// The declarations, in the order of the documentation.
    pub directives: &'static [Directive],
}

/// All groups.
pub static GROUPS: &[Group] = &[
    Group {
        title: "Network",
        directives: server::NETWORK,
    },
    Group {
        title: "Cores",
        directives: server::CORES,
    },
    Group {
        title: "Process and log",
        directives: server::PROCESS,
    },
    Group {
        title: "Access",
        directives: server::ACCESS,
    },
    Group {
        title: "Memory and expiry",
        directives: values::MEMORY,
    },
    Group {
        title: "Values",
        directives: values::ENCODINGS,
    },
    Group {
        title: "Observation",
        directives: server::OBSERVATION,
    },
    Group {
        title: "Storage",
        directives: durability::STORAGE,
    },
    Group {
        title: "Snapshots",
        directives: durability::SNAPSHOTS,
    },
    Group {
        title: "Log of changes",
        directives: durability::LOG,
    },
    Group {
        title: "Backups",
        directives: durability::BACKUPS,
    },
    Group {
        title: "Replication",
        directives: nodes::REPLICATION,
    },
    Group {
        title: "Cluster",
        directives: nodes::CLUSTER,
    },
    Group {
        title: "TLS",
        directives: nodes::TLS,
    },
    Group {
        title: "Scripts and modules",
        directives: values::SCRIPTS,
    },
    Group {
        title: "Tables",
        directives: values::TABLES,
    },
];

/// A count of something, 0 included.
const COUNT: Kind = Kind::Integer {
    min: 0,
    max: i64::MAX,
};
/// As `COUNT`, in 31 bits.
const SMALL: Kind = Kind::Integer {
    min: 0,
    max: 0x7fff_ffff,
};
/// As `SMALL`, 0 left out.
const POSITIVE: Kind = Kind::Integer {
    min: 1,
    max: 0x7fff_ffff,
};
/// A TCP port; 0 is none.
const PORT: Kind = Kind::Integer {
    min: 0,
    max: 65_535,
};
/// A percentage, 0 included.
const PERCENT: Kind = Kind::Integer { min: 0, max: 100 };
/// A size in bytes that fits a signed 64-bit number.
const SIZE: Kind = Kind::Memory {
    min: 0,
    max: 0x7fff_ffff_ffff_ffff,
};
/// As `SIZE`, 0 left out.
const SIZE_POSITIVE: Kind = Kind::Memory {
    min: 1,
    max: 0x7fff_ffff_ffff_ffff,
};
/// As `SIZE`, from 1 MiB on.
const SIZE_BUFFER: Kind = Kind::Memory {
    min: 1 << 20,
    max: 0x7fff_ffff_ffff_ffff,
};
/// A size in bytes that fits an unsigned 64-bit number.
const SIZE_ANY: Kind = Kind::Memory {
    min: 0,
    max: u64::MAX,
};
/// Nobody, everybody or this machine.
const ACCESS: Kind = Kind::Choice(&["no", "yes", "local"]);
