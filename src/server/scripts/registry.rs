//! The sources of scripts and libraries that all cores know.
//!
//! A script that one core has been given must be there for EVALSHA on every other, from the reply on.
//! Sources never change, they only come and go all together, so they are facts and not data: they stand
//! here once, behind a lock that is taken when a core meets a name it does not know, or when libraries
//! change. Running a script that the core knows takes no lock; it compares a number.
//!
//! Not here: what a core makes of the sources ([`super::local`]).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use base::cast::u64_from;
use base::hash::Map;
use runtime::facts::Facts;
use scripting::scripts::Sha;

use super::busy::Busy;

/// See the head of this file.
#[derive(Debug, Default)]
pub struct Registry {
    content: Facts<Content>,
    /// Grows whenever scripts are forgotten.
    flushes: AtomicU64,
    /// Grows whenever libraries change.
    changes: AtomicU64,
    /// What runs on all cores for longer than it should.
    pub(crate) busy: Busy,
}

#[derive(Debug, Default)]
struct Content {
    scripts: Map<Sha, Arc<[u8]>>,
    libraries: Arc<[Vec<u8>]>,
    functions: usize,
}

/// The libraries of all cores.
#[derive(Debug, Default)]
pub(crate) struct Libraries {
    /// The code of each.
    pub(crate) codes: Vec<Vec<u8>>,
    /// Functions in all of them.
    pub(crate) functions: usize,
}

/// How much is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Kept {
    /// Scripts.
    pub(crate) scripts: u64,
    /// Bytes of their sources.
    pub(crate) script_bytes: u64,
    /// Libraries.
    pub(crate) libraries: u64,
    /// Their functions.
    pub(crate) functions: u64,
    /// Bytes of their codes.
    pub(crate) library_bytes: u64,
}

impl Registry {
    /// Returns how often scripts have been forgotten.
    #[must_use]
    pub(crate) fn flushes(&self) -> u64 {
        self.flushes.load(Ordering::Acquire)
    }

    /// Returns how often libraries have changed.
    #[must_use]
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// Keeps a script.
    pub(crate) fn keep(&self, sha: Sha, source: &[u8]) {
        self.content.with(|content| {
            content.scripts.entry(sha).or_insert_with(|| source.into());
        });
    }

    /// Returns a script.
    #[must_use]
    pub(crate) fn script(&self, sha: Sha) -> Option<Arc<[u8]>> {
        self.content
            .with(|content| content.scripts.get(&sha).cloned())
    }

    /// Returns how much is kept. O(scripts).
    #[must_use]
    pub(crate) fn size(&self) -> Kept {
        self.content.with(|content| {
            let bytes = content.scripts.values().map(|source| source.len());
            Kept {
                scripts: u64_from(content.scripts.len()),
                script_bytes: u64_from(bytes.sum()),
                libraries: u64_from(content.libraries.len()),
                functions: u64_from(content.functions),
                library_bytes: u64_from(content.libraries.iter().map(Vec::len).sum()),
            }
        })
    }

    /// Forgets all scripts.
    pub(crate) fn flush(&self) {
        self.content.with(|content| content.scripts.clear());
        self.flushes.fetch_add(1, Ordering::Release);
    }

    /// Returns all libraries and the number of their last change.
    #[must_use]
    pub(crate) fn libraries(&self) -> (Arc<[Vec<u8>]>, u64) {
        self.content
            .with(|content| (Arc::clone(&content.libraries), self.changes()))
    }

    /// Changes the libraries. `change` gets what they are and the number of their last change, and
    /// returns what they become; nobody else changes them meanwhile. Returns what it returns beside, and
    /// the number of this change.
    pub(crate) fn change_libraries<T, E>(
        &self,
        change: impl FnOnce(&[Vec<u8>], u64) -> Result<(Libraries, T), E>,
    ) -> Result<(T, u64), E> {
        self.content.with(|content| {
            let (libraries, outcome) = change(&content.libraries, self.changes())?;
            content.libraries = libraries.codes.into();
            content.functions = libraries.functions;
            let number = self.changes.fetch_add(1, Ordering::Release) + 1;
            Ok((outcome, number))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_kept_until_all_are_forgotten() {
        let registry = Registry::default();
        let sha = Sha::of(b"return 1");
        assert!(registry.script(sha).is_none());
        registry.keep(sha, b"return 1");
        assert_eq!(registry.script(sha).as_deref(), Some(&b"return 1"[..]));
        assert_eq!(registry.size().scripts, 1);
        assert_eq!(registry.size().script_bytes, 8);
        let before = registry.flushes();
        registry.flush();
        assert!(registry.script(sha).is_none());
        assert_ne!(registry.flushes(), before);
    }

    #[test]
    fn a_change_that_fails_leaves_the_libraries_as_they_are() {
        let registry = Registry::default();
        let one = || vec![b"one".to_vec()];
        let change = |_: &[Vec<u8>], _| {
            let libraries = Libraries {
                codes: one(),
                functions: 2,
            };
            Ok::<_, ()>((libraries, ()))
        };
        let (_, number) = registry.change_libraries(change).unwrap();
        assert_eq!(number, registry.changes());
        let failed: Result<((), u64), &str> = registry.change_libraries(|before, _| {
            assert_eq!(before, one());
            Err("no")
        });
        assert_eq!(failed, Err("no"));
        let (libraries, same) = registry.libraries();
        assert_eq!((&libraries[..], same), (&one()[..], number));
        assert_eq!(registry.size().functions, 2);
    }
}
