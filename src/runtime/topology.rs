//! Which processors this process may use, and how many of them are worth a shard.
//!
//! Three things limit a process: the affinity mask (`taskset`, cpusets), the quota of its control
//! group (containers), and the machine. The first already respects the last.

#![expect(unsafe_code, reason = "the affinity mask has no wrapper in std")]

use std::fs;
use std::path::{Path, PathBuf};

/// A processor by its number in the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cpu(usize);

impl Cpu {
    /// Names the processor `number`; whether it exists is found out when a core is put on it.
    #[must_use]
    pub fn new(number: usize) -> Self {
        Self(number)
    }

    /// Returns the number.
    #[must_use]
    pub fn number(self) -> usize {
        self.0
    }
}

/// Returns name and release of the kernel and the architecture, such as `Linux 6.18.4 x86_64`.
#[must_use]
pub fn operating_system() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let name = read("/proc/sys/kernel/ostype");
    let release = read("/proc/sys/kernel/osrelease");
    let arch = std::env::consts::ARCH;
    format!("{} {} {arch}", name.trim(), release.trim())
}

/// Words of the largest affinity mask we ask for: 65,536 processors.
const MASK_WORDS: usize = 1024;

/// Returns the processors that the affinity mask of the calling thread allows, in ascending order;
/// empty if the kernel does not tell. Call it before threads are pinned.
#[must_use]
pub fn usable_cpus() -> Vec<Cpu> {
    let mut mask = vec![0_u64; MASK_WORDS];
    let bytes = size_of_val(mask.as_slice());
    // SAFETY: the mask has `bytes` bytes, at most that many are written, and 0 means this thread.
    let status = unsafe { libc::sched_getaffinity(0, bytes, mask.as_mut_ptr().cast()) };
    if status != 0 {
        return Vec::new();
    }
    mask_cpus(&mask)
}

/// Returns how many shards to start without being told: the usable processors, or the quota of the
/// control group, rounded up, if that is less. At least 1.
#[must_use]
pub fn default_shard_count() -> usize {
    let cpus = usable_cpus().len();
    let quota = cpu_quota().unwrap_or(usize::MAX);
    cpus.min(quota)
        .clamp(1, usize::from(base::limits::SHARDS_MAX))
}

/// Returns the quota of the control group in whole processors, rounded up; none without a limit.
#[must_use]
pub fn cpu_quota() -> Option<usize> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    groups
        .lines()
        .filter_map(|line| quota_of_group(line, Path::new("/sys/fs/cgroup")))
        .min()
}

fn mask_cpus(mask: &[u64]) -> Vec<Cpu> {
    let bits = mask.iter().enumerate().flat_map(|(word_index, &word)| {
        (0..64)
            .filter(move |bit| word >> bit & 1 == 1)
            .map(move |bit| word_index * 64 + bit)
    });
    bits.map(Cpu).collect()
}

/// Reads the quota for one line `id:controllers:path` of `/proc/self/cgroup`.
fn quota_of_group(line: &str, root: &Path) -> Option<usize> {
    let (_, rest) = line.split_once(':')?;
    let (controllers, path) = rest.split_once(':')?;
    let path = Path::new(path.strip_prefix('/')?);
    if controllers.is_empty() {
        return least_quota(root, path, |group| {
            parse_cpu_max(&fs::read_to_string(group.join("cpu.max")).ok()?)
        });
    }
    if !controllers.split(',').any(|controller| controller == "cpu") {
        return None;
    }
    ["cpu", controllers].into_iter().find_map(|mount| {
        least_quota(&root.join(mount), path, |group| {
            let quota = fs::read_to_string(group.join("cpu.cfs_quota_us")).ok()?;
            let period = fs::read_to_string(group.join("cpu.cfs_period_us")).ok()?;
            whole_cpus(quota.trim(), period.trim())
        })
    })
}

/// Returns the least quota of a group and its ancestors: a limit holds for all below. In a container
/// the path may be that of the host, which is not there; then only the root says something.
fn least_quota(
    root: &Path,
    path: &Path,
    read: impl Fn(&PathBuf) -> Option<usize>,
) -> Option<usize> {
    path.ancestors()
        .filter_map(|group| read(&root.join(group)))
        .min()
}

/// Parses `cpu.max` of control groups version 2: `max 100000` or `150000 100000`.
fn parse_cpu_max(text: &str) -> Option<usize> {
    let (quota, period) = text.trim().split_once(' ')?;
    whole_cpus(quota, period)
}

/// Divides two numbers of microseconds, rounding up; none for no limit (`max` or `-1`).
fn whole_cpus(quota: &str, period: &str) -> Option<usize> {
    let quota: usize = quota.parse().ok()?;
    let period: usize = period.parse().ok().filter(|&period| period > 0)?;
    Some(quota.div_ceil(period).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quota_rounds_up_and_no_limit_is_none() {
        assert_eq!(parse_cpu_max("150000 100000\n"), Some(2));
        assert_eq!(parse_cpu_max("50000 100000\n"), Some(1));
        assert_eq!(parse_cpu_max("max 100000\n"), None);
        assert_eq!(whole_cpus("-1", "100000"), None);
        assert_eq!(whole_cpus("400000", "0"), None);
    }

    #[test]
    fn mask_bits_are_processor_numbers() {
        assert_eq!(mask_cpus(&[0b101, 1]), [Cpu(0), Cpu(2), Cpu(64)]);
    }

    #[test]
    fn this_process_may_use_a_processor() {
        assert!(!usable_cpus().is_empty());
        assert!((1..=usable_cpus().len()).contains(&default_shard_count()));
    }

    #[test]
    fn a_limit_of_an_ancestor_holds_below() {
        let root = std::env::temp_dir().join(format!("runtime-quota-{}", std::process::id()));
        let group = root.join("outer/inner");
        fs::create_dir_all(&group).unwrap();
        fs::write(group.join("cpu.max"), "max 100000\n").unwrap();
        fs::write(root.join("outer/cpu.max"), "250000 100000\n").unwrap();
        assert_eq!(quota_of_group("0::/outer/inner", &root), Some(3));
        assert_eq!(quota_of_group("0::/elsewhere", &root), None);
        assert_eq!(quota_of_group("4:memory:/outer", &root), None);
        fs::remove_dir_all(&root).unwrap();
    }
}
