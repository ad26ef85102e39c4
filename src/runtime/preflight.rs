//! What must hold before the cores start, each failure said in one line with its remedy.
//!
//! The caller prints the line and exits with 78 (`EX_CONFIG`), so that a service manager does not
//! start the program again and again.

#![expect(unsafe_code, reason = "resource limits have no wrapper in std")]

use std::fmt;
use std::fs;
use std::io;

use io_uring::IoUring;

/// The oldest kernel that has all the rings need: since then completions may be deferred to their
/// thread. Receiving many times with one entry came one release before.
const KERNEL_MIN: (u32, u32) = (6, 1);

/// Locked memory each executor needs for its rings.
const MEMLOCK_BYTES_MIN: u64 = 512 * 1024;

/// What was found, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The kernel's release, such as `6.18.4`.
    pub kernel: String,
    /// Most descriptors this process may have open, after raising the limit.
    pub open_files_max: u64,
    /// The limit before it was raised; the same if there was nothing to raise.
    pub open_files_before: u64,
    /// Most bytes this process may lock in memory; `u64::MAX` for no limit.
    pub memlock_bytes_max: u64,
}

/// Why the program cannot run here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// One line: what is missing and what to do about it.
    pub message: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Refusal {}

/// Checks kernel, rings and limits, and raises the limits of open files and locked memory as far as
/// the process may.
///
/// # Errors
///
/// The first thing that is missing.
pub fn check() -> Result<Report, Refusal> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let kernel = kernel.trim().to_owned();
    check_kernel(&kernel)?;
    let (open_files_before, open_files_max) = raise_limit(libc::RLIMIT_NOFILE)?;
    let (_, memlock_bytes_max) = raise_limit(libc::RLIMIT_MEMLOCK)?;
    check_memlock(memlock_bytes_max)?;
    check_ring(try_ring(), &read_uring_switch())?;
    Ok(Report {
        kernel,
        open_files_max,
        open_files_before,
        memlock_bytes_max,
    })
}

fn check_kernel(release: &str) -> Result<(), Refusal> {
    let (major, minor) = KERNEL_MIN;
    // A release that cannot be read is no reason: the ring itself is tried later.
    if parse_release(release).is_none_or(|version| version >= KERNEL_MIN) {
        return Ok(());
    }
    Err(refuse(format!(
        "Linux {major}.{minor} or newer is needed, this is {release}: update it"
    )))
}

fn check_memlock(bytes: u64) -> Result<(), Refusal> {
    if bytes >= MEMLOCK_BYTES_MIN {
        return Ok(());
    }
    Err(refuse(format!(
        "the limit of locked memory is {} KiB, {} are needed: raise it by `ulimit -l`, \
         `LimitMEMLOCK=` of systemd or `--ulimit memlock` of the container",
        bytes / 1024,
        MEMLOCK_BYTES_MIN / 1024
    )))
}

/// Judges the attempt to create a ring; `switch` is the content of the kernel's own switch.
fn check_ring(attempt: io::Result<()>, switch: &str) -> Result<(), Refusal> {
    let Err(error) = attempt else { return Ok(()) };
    let message = match (error.raw_os_error(), switch) {
        (Some(libc::EPERM), "1" | "2") => format!(
            "io_uring is switched off by kernel.io_uring_disabled = {switch}: \
             set it to 0 by `sysctl kernel.io_uring_disabled=0`"
        ),
        (Some(libc::EPERM | libc::EACCES), _) => "io_uring is forbidden by a seccomp or security \
             profile: allow the io_uring system calls in the profile of the container or service"
            .to_owned(),
        (Some(libc::ENOSYS), _) => "io_uring is missing: use a kernel built with CONFIG_IO_URING, \
             or allow its system calls in the seccomp profile"
            .to_owned(),
        (Some(libc::EINVAL), _) => {
            let (major, minor) = KERNEL_MIN;
            format!("io_uring is too old here: Linux {major}.{minor} or newer is needed")
        }
        (Some(libc::ENOMEM), _) => "not enough memory for io_uring: raise the limit of locked \
             memory by `ulimit -l` or `LimitMEMLOCK=`"
            .to_owned(),
        (Some(libc::EMFILE | libc::ENFILE), _) => {
            "no descriptors left for io_uring: raise the limit by `ulimit -n`".to_owned()
        }
        _ => format!("io_uring cannot be used: {error}: check the kernel's messages"),
    };
    Err(refuse(message))
}

/// Creates the kind of ring the cores use, only smaller.
fn try_ring() -> io::Result<()> {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_coop_taskrun()
        .setup_taskrun_flag();
    let builder: &io_uring::Builder = builder.setup_submit_all();
    builder.build(8).map(drop)
}

fn read_uring_switch() -> String {
    // Kernels before 6.6 do not have the switch.
    let text = fs::read_to_string("/proc/sys/kernel/io_uring_disabled").unwrap_or_default();
    text.trim().to_owned()
}

/// Raises a soft limit to the hard one. Returns the soft limit before and now.
fn raise_limit(resource: libc::__rlimit_resource_t) -> Result<(u64, u64), Refusal> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the call writes to the given local only.
    let status = unsafe { libc::getrlimit(resource, &raw mut limit) };
    if status != 0 {
        let error = io::Error::last_os_error();
        return Err(refuse(format!(
            "resource limits cannot be read: {error}: check the sandbox"
        )));
    }
    let before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    // SAFETY: the call only reads the given local.
    let status = unsafe { libc::setrlimit(resource, &raw const limit) };
    // Not being allowed to raise it is not a failure: what it is gets judged.
    Ok((before, if status == 0 { limit.rlim_max } else { before }))
}

fn parse_release(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|character: char| !character.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

fn refuse(message: String) -> Refusal {
    Refusal { message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_passes() {
        let report = check().unwrap();
        assert!(report.open_files_max >= report.open_files_before);
    }

    #[test]
    fn kernels_before_the_needed_one_are_refused() {
        assert!(check_kernel("6.1.0-13-amd64").is_ok());
        assert!(check_kernel("10.0").is_ok());
        assert!(check_kernel("unknown").is_ok());
        assert!(
            check_kernel("5.15.0-91-generic")
                .unwrap_err()
                .message
                .contains("5.15.0")
        );
    }

    #[test]
    fn a_forbidden_ring_names_who_forbids_it() {
        let denied = || Err(io::Error::from_raw_os_error(libc::EPERM));
        assert!(
            check_ring(denied(), "2")
                .unwrap_err()
                .message
                .contains("sysctl")
        );
        assert!(
            check_ring(denied(), "0")
                .unwrap_err()
                .message
                .contains("seccomp")
        );
        assert!(
            check_ring(denied(), "")
                .unwrap_err()
                .message
                .contains("seccomp")
        );
        assert!(check_ring(Ok(()), "0").is_ok());
    }

    #[test]
    fn little_locked_memory_is_refused_with_the_remedy() {
        assert!(
            check_memlock(64 * 1024)
                .unwrap_err()
                .message
                .contains("ulimit -l")
        );
        assert!(check_memlock(u64::MAX).is_ok());
    }
}
