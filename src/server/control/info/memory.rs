//! The section `memory`, and the figures that MEMORY STATS and MEMORY DOCTOR share with it.
//!
//! "Used" is what the program has asked the allocator for, counted exactly. The data set is what is
//! left of it without the overhead: what the empty server took, the hash tables and the clients.

use std::sync::atomic::Ordering;

use base::cast::u64_from;

use super::facts::Facts;
use super::lines::{Lines, human, quotient};
use crate::core_loop::Core;

/// The memory of the process, in bytes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct MemoryFigures {
    /// Allocated by the program.
    pub(crate) used: u64,
    /// Most that ever was, as the rounds of housekeeping saw it.
    pub(crate) peak: u64,
    /// Allocated when the last core was ready to serve.
    pub(crate) startup: u64,
    /// In the machine's memory.
    pub(crate) resident: u64,
    /// Held by the allocator.
    pub(crate) committed: u64,
    /// Connections, sessions, buffers.
    pub(crate) clients: u64,
    /// Hash tables of all databases.
    pub(crate) dicts: u64,
    /// Keys.
    pub(crate) keys: u64,
}

impl MemoryFigures {
    /// Takes the figures of this moment.
    pub(crate) fn take(core: &Core, facts: &Facts) -> Self {
        let used = u64_from(runtime::memory::allocated_bytes());
        let peak = facts.max(|core| u64_from(core.peak_bytes));
        Self {
            used,
            peak: peak.max(used),
            startup: u64_from(core.engine.shared.startup_bytes.load(Ordering::Relaxed)),
            resident: runtime::memory::resident_bytes(),
            committed: u64_from(runtime::memory::committed_bytes()),
            clients: facts.sum(|core| core.clients.bytes),
            dicts: facts.sum(|core| u64_from(core.ledger.dict_bytes)),
            keys: facts.sum(|core| u64_from(core.ledger.keys)),
        }
    }

    /// Returns what is not data.
    pub(crate) fn overhead(&self) -> u64 {
        self.startup + self.clients + self.dicts
    }

    /// Returns what is data.
    pub(crate) fn dataset(&self) -> u64 {
        self.used.saturating_sub(self.overhead())
    }

    /// Returns the share of the data in what came since the start, in percent.
    pub(crate) fn dataset_percent(&self) -> f64 {
        100.0 * quotient(self.dataset(), self.used.saturating_sub(self.startup))
    }

    /// Returns the share of the present use in the peak, in percent.
    pub(crate) fn peak_percent(&self) -> f64 {
        100.0 * quotient(self.used, self.peak)
    }
}

/// Returns `one - other`, which may be negative.
pub(crate) fn difference(one: u64, other: u64) -> i64 {
    one.cast_signed().wrapping_sub(other.cast_signed())
}

/// Writes the section.
pub(super) fn section(core: &Core, facts: &Facts, lines: &mut Lines) {
    let figures = MemoryFigures::take(core, facts);
    lines.size("used_memory", figures.used);
    lines.size("used_memory_rss", figures.resident);
    lines.size("used_memory_peak", figures.peak);
    let percent = figures.peak_percent();
    lines.field("used_memory_peak_perc", format_args!("{percent:.2}%"));
    lines.field("used_memory_overhead", figures.overhead());
    lines.field("used_memory_startup", figures.startup);
    lines.field("used_memory_dataset", figures.dataset());
    let percent = figures.dataset_percent();
    lines.field("used_memory_dataset_perc", format_args!("{percent:.2}%"));
    lines.field("allocator_allocated", figures.used);
    lines.field("allocator_active", figures.committed);
    lines.field("allocator_resident", figures.resident);
    let total = runtime::memory::total_system_memory();
    lines.size("total_system_memory", total);
    scripts(core, facts, lines);
    limits(core, lines);
    fragmentation(&figures, lines);
    lines.zeros(&[
        "mem_not_counted_for_evict",
        "mem_replication_backlog",
        "mem_total_replication_buffers",
        "mem_clients_slaves",
    ]);
    lines.field("mem_clients_normal", figures.clients);
    lines.zeros(&["mem_cluster_links", "mem_aof_buffer"]);
    lines.field("mem_allocator", runtime::memory::allocator_name());
    lines.zeros(&["active_defrag_running"]);
    lines.field("lazyfree_pending_objects", facts.sum(|it| it.lazy_free.0));
    lines.field("lazyfreed_objects", facts.sum(|it| it.lazy_free.1));
}

/// Scripts and functions share their interpreters, so all of these count as those of scripts.
fn scripts(core: &Core, facts: &Facts, lines: &mut Lines) {
    let interpreters = facts.sum(|it| it.scripts.interpreter_bytes);
    let kept = core.engine.shared.scripts.size();
    lines.field("used_memory_lua", interpreters);
    lines.field("used_memory_vm_eval", interpreters);
    lines.field("used_memory_lua_human", human(interpreters));
    lines.field("used_memory_scripts_eval", kept.script_bytes);
    lines.field("number_of_cached_scripts", kept.scripts);
    lines.field("number_of_functions", kept.functions);
    lines.field("number_of_libraries", kept.libraries);
    lines.zeros(&["used_memory_vm_functions"]);
    lines.size("used_memory_vm_total", interpreters);
    lines.field("used_memory_functions", kept.library_bytes);
    lines.size(
        "used_memory_scripts",
        kept.script_bytes + kept.library_bytes,
    );
}

fn limits(core: &Core, lines: &mut Lines) {
    let config = &core.engine.config;
    lines.size("maxmemory", config.settings().memory_bytes_max);
    let policy = config.get(&["maxmemory-policy"]);
    for (_, policy) in policy.iter().take(1) {
        lines.field("maxmemory_policy", policy);
    }
}

fn fragmentation(figures: &MemoryFigures, lines: &mut Lines) {
    let MemoryFigures {
        used,
        resident,
        committed,
        ..
    } = *figures;
    let mut ratio = |name: &str, one: u64, other: u64| {
        let ratio = quotient(one, other);
        lines.field(&format!("{name}_ratio"), format_args!("{ratio:.2}"));
        lines.field(&format!("{name}_bytes"), difference(one, other));
    };
    ratio("allocator_frag", committed, used);
    ratio("allocator_rss", resident, committed);
    ratio("rss_overhead", resident, resident);
    ratio("mem_fragmentation", resident, used);
}
