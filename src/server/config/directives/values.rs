//! Directives of the data in memory: its limit, its expiry, its encodings, scripts.

use shard::eviction::{EvictionOrder, EvictionPolicy};

use super::{COUNT, PERCENT, POSITIVE, SIZE, SIZE_ANY, SIZE_POSITIVE, SMALL};
use crate::config::directive::Directive as D;
use crate::config::directive::Status::{Dormant, Meaningless, NotYet, Works};
use crate::config::value::{Kind, Value};

/// Reads a size or count of a directive that was checked before.
fn size(value: &Value) -> usize {
    base::cast::usize_from(value.u64())
}

/// Reads the word of `maxmemory-policy`.
fn eviction_policy(word: &str) -> Option<EvictionPolicy> {
    let (keys, order) = word.split_once('-')?;
    let order = match order {
        "lru" => EvictionOrder::LeastRecent,
        "lfu" => EvictionOrder::LeastFrequent,
        "random" => EvictionOrder::Random,
        "ttl" => EvictionOrder::SoonestDead,
        _ => return None,
    };
    Some(EvictionPolicy {
        volatile_only: keys == "volatile",
        order,
    })
}

pub(super) static MEMORY: &[D] = &[
    D::live(
        "maxmemory",
        SIZE_ANY,
        "0",
        Works(|s, v| s.memory_bytes_max = v.u64()),
        "Memory the data may take; 0 means no limit.",
    )
    .toml(&["storage.max_memory"]),
    D::live(
        "maxmemory-policy",
        Kind::Choice(&[
            "volatile-lru",
            "volatile-lfu",
            "volatile-random",
            "volatile-ttl",
            "allkeys-lru",
            "allkeys-lfu",
            "allkeys-random",
            "noeviction",
        ]),
        "noeviction",
        Works(|s, v| s.memory_policy = eviction_policy(v.as_text())),
        "What happens to a write when the data is at its limit.",
    )
    .toml(&["storage.max_memory_policy"]),
    D::live(
        "maxmemory-samples",
        POSITIVE,
        "5",
        Works(|s, v| s.eviction_samples = size(v)),
        "Keys that are compared to find one to evict.",
    ),
    D::live(
        "maxmemory-eviction-tenacity",
        PERCENT,
        "10",
        Works(|s, v| s.eviction_tenacity = v.u32()),
        "How long eviction may hold up other work.",
    ),
    D::live(
        "maxmemory-clients",
        Kind::MemoryOrPercent,
        "0",
        NotYet("closing clients that hold much memory"),
        "Memory all clients together may take, in bytes or percent of maxmemory; 0 means no limit.",
    ),
    D::live(
        "lfu-log-factor",
        SMALL,
        "10",
        Works(|s, v| s.lfu_log_factor = v.u32()),
        "How slowly the access counter of a key grows.",
    )
    .toml(&["storage.lfu_log_factor"]),
    D::live(
        "lfu-decay-time",
        SMALL,
        "1",
        Works(|s, v| s.lfu_decay_minutes = v.u32()),
        "Minutes after which the access counter of an unused key falls by one.",
    )
    .toml(&["storage.lfu_decay_time"]),
    D::live(
        "active-expire-effort",
        Kind::Integer { min: 1, max: 10 },
        "1",
        Works(|s, v| s.expire_effort = u8::try_from(v.u16()).unwrap_or(10)),
        "How hard the server looks for keys whose time is over, 1 to 10.",
    )
    .toml(&["storage.active_expire_effort"]),
    D::live(
        "lazyfree-lazy-eviction",
        Kind::Bool,
        "no",
        Meaningless("a large value is always freed in small steps, by the core that owned it"),
        "Whether Redis frees evicted values in the background.",
    ),
    D::live(
        "lazyfree-lazy-expire",
        Kind::Bool,
        "no",
        Meaningless("a large value is always freed in small steps, by the core that owned it"),
        "Whether Redis frees expired values in the background.",
    ),
    D::live(
        "lazyfree-lazy-server-del",
        Kind::Bool,
        "no",
        Meaningless("a large value is always freed in small steps, by the core that owned it"),
        "Whether Redis frees overwritten values in the background.",
    ),
    D::live(
        "lazyfree-lazy-user-del",
        Kind::Bool,
        "no",
        Meaningless("a large value is always freed in small steps, by the core that owned it"),
        "Whether DEL of Redis frees in the background.",
    ),
    D::live(
        "lazyfree-lazy-user-flush",
        Kind::Bool,
        "no",
        Meaningless("a large value is always freed in small steps, by the core that owned it"),
        "Whether FLUSHALL of Redis frees in the background.",
    ),
    D::live(
        "activerehashing",
        Kind::Bool,
        "yes",
        Meaningless("a dict grows in small steps with each insertion and needs no time of its own"),
        "Lets Redis spend time on growing its dicts.",
    ),
    D::live(
        "activedefrag",
        Kind::Bool,
        "no",
        NotYet("active defragmentation"),
        "Moves values to give fragmented memory back.",
    ),
    D::live(
        "active-defrag-ignore-bytes",
        SIZE_POSITIVE,
        "100mb",
        Dormant {
            switch: "activedefrag",
        },
        "Fragmentation below which defragmentation does not start.",
    ),
    D::live(
        "active-defrag-threshold-lower",
        Kind::Integer { min: 0, max: 1000 },
        "10",
        Dormant {
            switch: "activedefrag",
        },
        "Percentage of fragmentation at which defragmentation starts.",
    ),
    D::live(
        "active-defrag-threshold-upper",
        Kind::Integer { min: 0, max: 1000 },
        "100",
        Dormant {
            switch: "activedefrag",
        },
        "Percentage of fragmentation at which defragmentation works hardest.",
    ),
    D::live(
        "active-defrag-cycle-min",
        Kind::Integer { min: 1, max: 99 },
        "1",
        Dormant {
            switch: "activedefrag",
        },
        "Least percentage of a CPU that defragmentation takes.",
    ),
    D::live(
        "active-defrag-cycle-max",
        Kind::Integer { min: 1, max: 99 },
        "25",
        Dormant {
            switch: "activedefrag",
        },
        "Largest percentage of a CPU that defragmentation takes.",
    ),
    D::live(
        "active-defrag-max-scan-fields",
        Kind::Integer {
            min: 1,
            max: i64::MAX,
        },
        "1000",
        Dormant {
            switch: "activedefrag",
        },
        "Elements from which a collection is defragmented in steps.",
    ),
    D::live(
        "jemalloc-bg-thread",
        Kind::Bool,
        "yes",
        Meaningless("the allocator is not jemalloc"),
        "Lets jemalloc free memory in a thread.",
    ),
];

pub(super) static ENCODINGS: &[D] = &[
    D::start(
        "max-key-size",
        SIZE,
        "512mb",
        NotYet("a limit on the length of keys"),
        "Longest key.",
    )
    .toml(&["storage.max_key_size"]),
    D::start(
        "max-value-size",
        SIZE,
        "512mb",
        NotYet("a limit on the size of values beside proto-max-bulk-len"),
        "Largest value.",
    )
    .toml(&["storage.max_value_size"]),
    D::live(
        "hash-max-listpack-entries",
        COUNT,
        "512",
        Works(|s, v| s.limits.hash_listpack_entries = size(v)),
        "Fields up to which a hash is a listpack.",
    )
    .alias(&["hash-max-ziplist-entries"]),
    D::live(
        "hash-max-listpack-value",
        SIZE,
        "64",
        Works(|s, v| s.limits.hash_listpack_value = size(v)),
        "Bytes of a field or value up to which a hash is a listpack.",
    )
    .alias(&["hash-max-ziplist-value"]),
    D::live(
        "list-max-listpack-size",
        Kind::Integer {
            min: -2_147_483_648,
            max: 0x7fff_ffff,
        },
        "-2",
        Works(|s, v| s.limits.list_listpack_size = i32::try_from(v.i64()).unwrap_or(i32::MAX)),
        "Elements, or as a negative number the size class, of one node of a list.",
    )
    .alias(&["list-max-ziplist-size"]),
    D::live(
        "list-compress-depth",
        SMALL,
        "0",
        Meaningless("nodes inside of lists are never compressed; replies do not show it"),
        "Nodes at both ends of a list that are not compressed; 0 compresses none.",
    ),
    D::live(
        "set-max-intset-entries",
        COUNT,
        "512",
        Works(|s, v| s.limits.set_intset_entries = size(v)),
        "Members up to which a set of integers is an intset.",
    ),
    D::live(
        "set-max-listpack-entries",
        COUNT,
        "128",
        Works(|s, v| s.limits.set_listpack_entries = size(v)),
        "Members up to which a set is a listpack.",
    ),
    D::live(
        "set-max-listpack-value",
        SIZE,
        "64",
        Works(|s, v| s.limits.set_listpack_value = size(v)),
        "Bytes of a member up to which a set is a listpack.",
    ),
    D::live(
        "zset-max-listpack-entries",
        COUNT,
        "128",
        Works(|s, v| s.limits.zset_listpack_entries = size(v)),
        "Members up to which a sorted set is a listpack.",
    )
    .alias(&["zset-max-ziplist-entries"]),
    D::live(
        "zset-max-listpack-value",
        SIZE,
        "64",
        Works(|s, v| s.limits.zset_listpack_value = size(v)),
        "Bytes of a member up to which a sorted set is a listpack.",
    )
    .alias(&["zset-max-ziplist-value"]),
    D::live(
        "stream-node-max-bytes",
        SIZE,
        "4096",
        Works(|s, v| s.limits.stream_node_bytes = size(v)),
        "Bytes of one node of a stream; 0 means no limit.",
    ),
    D::live(
        "stream-node-max-entries",
        COUNT,
        "100",
        Works(|s, v| s.limits.stream_node_entries = size(v)),
        "Entries of one node of a stream; 0 means no limit.",
    ),
    D::live(
        "hll-sparse-max-bytes",
        SIZE,
        "3000",
        Works(|s, v| s.limits.hll_sparse_bytes = size(v)),
        "Bytes up to which a HyperLogLog is sparse.",
    ),
    D::live(
        "locale-collate",
        Kind::Text,
        "",
        NotYet("sorting by the rules of a language"),
        "Language whose rules SORT ALPHA follows.",
    ),
];

pub(super) static SCRIPTS: &[D] = &[
    D::live(
        "busy-reply-threshold",
        COUNT,
        "5000",
        Works(|s, v| s.busy_reply_ms = v.u64()),
        "Milliseconds a script may run before other clients are told that the server is busy.",
    )
    .alias(&["lua-time-limit"]),
    D::live(
        "lazyexpire-nested-arbitrary-keys",
        Kind::Bool,
        "yes",
        NotYet("scripting"),
        "Lets a lookup inside a script or transaction remove any dead key at once.",
    ),
    D::start(
        "loadmodule",
        Kind::Words,
        "",
        Works(|s, v| s.module = v.words()),
        "RedisTABLE, which is built in, as `<path> [max_scan_limit <rows>]`; no other module can be loaded.",
    )
    .file_only(),
];

pub(super) static TABLES: &[D] = &[
    D::live(
        "max_scan_limit",
        Kind::Integer {
            min: 1_000,
            max: 10_000_000,
        },
        "100000",
        Works(|s, v| s.scan_rows_max = v.u64()),
        "Rows that a statement may look at where no index helps its condition; one that would need more is refused.",
    )
    .alias(&["max-scan-limit"])
    .toml(&["tables.max_scan_limit"]),
    D::live(
        "table-spread-rows",
        Kind::Integer {
            min: 1,
            max: i64::MAX,
        },
        "4096",
        Works(|s, v| s.spread_rows = v.u64()),
        "Rows of a table beyond which they lie on all shards; until then all are on the shard of its name.",
    )
    .toml(&["tables.spread_rows"]),
];
