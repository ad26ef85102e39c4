//! Users and their rules: who may run which command on which keys and channels.
//!
//! Users are facts of all cores: they change rarely and are read often. They stand here once, behind a lock that
//! is taken for a change, for a login and for a new connection. A session holds on to its user, which never
//! changes: a change makes a new one, with a new number for all of them, and every core then gives its sessions
//! what they have become. A session whose user may do everything pays nothing; the others are out of the
//! ordinary (`session.special`), and their requests are checked.
//!
//! In reading order: [`catalog`] is what is known of commands, [`access`] finds the keys of a request, [`tables`]
//! names tables, [`selector`] is a set of rules, [`describe`] writes it as rules again, [`user`] has selectors and passwords, [`log`] keeps what was
//! refused, [`file`] reads and writes files of users.
//!
//! Not here: the gate that asks (`crate::acl_gate`), the command (`crate::control::acl`).

pub(crate) mod access;
pub(crate) mod catalog;
mod describe;
pub(crate) mod file;
pub(crate) mod log;
pub(crate) mod selector;
mod tables;
pub(crate) mod user;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use base::cast::usize_from;
use runtime::facts::Facts;

use catalog::Catalog;
use log::{Entry, Log};
use user::{DEFAULT_USER, User};

/// All users, by name.
pub(crate) type Users = BTreeMap<Box<[u8]>, Arc<User>>;

/// What new users and selectors begin with.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Defaults {
    /// They may use all channels (`acl-pubsub-default`).
    pub(crate) has_all_channels: bool,
}

/// What is wrong with a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RuleError {
    /// No rule looks like this.
    Syntax,
    /// No such command or category.
    Unknown,
    /// A pattern of keys where all are allowed.
    AllKeys,
    /// A pattern of channels where all are allowed.
    AllChannels,
    /// A password is to go that is not there.
    NoSuchPassword,
    /// No hash of a password looks like this.
    WrongHash,
    /// A word behind a subcommand.
    WordOfSubcommand,
}

impl RuleError {
    /// Returns the text of Redis.
    pub(crate) fn text(self) -> &'static str {
        match self {
            Self::Syntax => "Syntax error",
            Self::Unknown => "Unknown command or category name in ACL",
            Self::AllKeys => {
                "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not \
                 have any effect. Try 'resetkeys' to start with an empty list of patterns"
            }
            Self::AllChannels => {
                "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does \
                 not have any effect. Try 'resetchannels' to start with an empty list of channels"
            }
            Self::NoSuchPassword => {
                "The password you are trying to remove from the user does not exist"
            }
            Self::WrongHash => {
                "The password hash must be exactly 64 characters and contain only lowercase \
                 hexadecimal characters"
            }
            Self::WordOfSubcommand => "Allowing first-arg of a subcommand is not supported",
        }
    }
}

/// The users of all cores. See the head of this file.
#[derive(Debug)]
pub(crate) struct Acl {
    /// What is known of commands.
    pub(crate) catalog: Catalog,
    users: Facts<Arc<Users>>,
    /// Grows whenever users change.
    number: AtomicU64,
    /// The number of the last user that was made.
    last_user: AtomicU64,
    /// What was refused.
    pub(crate) log: Facts<Log>,
    /// Entries that the log keeps.
    entries_max: AtomicUsize,
}

impl Acl {
    /// Creates the users of a server without configuration: there is `default`, who may do everything, and has
    /// this password.
    pub(crate) fn new(catalog: Catalog, password: Option<&str>) -> Self {
        let mut user = User::default();
        if let Some(password) = password {
            user.set_password(Some(password.as_bytes()));
        }
        let users = Users::from([(DEFAULT_USER.into(), Arc::new(user))]);
        Self {
            catalog,
            users: Facts::new(Arc::new(users)),
            number: AtomicU64::new(0),
            last_user: AtomicU64::new(0),
            log: Facts::default(),
            entries_max: AtomicUsize::new(0),
        }
    }

    /// Returns how often users have changed.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// Returns all users, and how often they have changed.
    pub(crate) fn users(&self) -> (Arc<Users>, u64) {
        self.users.with(|users| (Arc::clone(users), self.number()))
    }

    /// Returns a user.
    pub(crate) fn user(&self, name: &[u8]) -> Option<Arc<User>> {
        self.users.with(|users| users.get(name).cloned())
    }

    /// Returns the user `default`, which always is there.
    pub(crate) fn default_user(&self) -> Arc<User> {
        self.user(DEFAULT_USER).unwrap_or_default()
    }

    /// Changes users; nobody else does meanwhile.
    ///
    /// # Errors
    ///
    /// Those of `change`; nothing has changed then.
    pub(crate) fn change<T, E>(
        &self,
        change: impl FnOnce(&mut Users) -> Result<T, E>,
    ) -> Result<T, E> {
        self.users.with(|users| {
            let mut changed = (**users).clone();
            let outcome = change(&mut changed)?;
            *users = Arc::new(changed);
            self.number.fetch_add(1, Ordering::Release);
            Ok(outcome)
        })
    }

    /// Makes a user that may do nothing yet.
    pub(crate) fn new_user(&self, name: &[u8], defaults: Defaults) -> User {
        let number = self.last_user.fetch_add(1, Ordering::Relaxed) + 1;
        User::new(name, number, defaults)
    }

    /// Applies rules to a user among `users`, which is made if it is not there.
    ///
    /// # Errors
    ///
    /// The rule that is wrong, and what is wrong with it; nothing has changed.
    pub(crate) fn set_user<'r>(
        &self,
        users: &mut Users,
        (name, defaults): (&[u8], Defaults),
        rules: &'r [Vec<u8>],
    ) -> Result<(), (&'r [u8], RuleError)> {
        let mut user = match users.get(name) {
            Some(user) => User::clone(user),
            None => self.new_user(name, defaults),
        };
        for rule in rules {
            user.apply(rule, &self.catalog, defaults)
                .map_err(|error| (&rule[..], error))?;
        }
        users.insert(name.into(), Arc::new(user));
        Ok(())
    }

    /// Notes a request that was refused.
    pub(crate) fn note(&self, entry: Entry) {
        let len_max = self.entries_max.load(Ordering::Relaxed);
        self.log.with(|log| log.add(entry, len_max));
    }

    /// Sets how many entries the log keeps (`acllog-max-len`).
    pub(crate) fn keep_entries(&self, len_max: u64) {
        self.entries_max
            .store(usize_from(len_max), Ordering::Relaxed);
    }

    /// Gives the user `default` a password, or lets it take any (`requirepass`).
    pub(crate) fn set_default_password(&self, password: Option<&str>) {
        let changed: Result<(), std::convert::Infallible> = self.change(|users| {
            let mut user = users
                .get(DEFAULT_USER)
                .map_or_else(User::default, |user| User::clone(user));
            user.set_password(password.map(str::as_bytes));
            users.insert(DEFAULT_USER.into(), Arc::new(user));
            Ok(())
        });
        let Ok(()) = changed;
    }
}
