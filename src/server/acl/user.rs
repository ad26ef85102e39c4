//! A user: who may log in as it, and what it may do then.
//!
//! Not here: what a selector allows ([`super::selector`]).

use sha2::{Digest as _, Sha256};

use super::access::Access;
use super::catalog::{Catalog, Known};
use super::selector::{Reason, Selector};
use super::{Defaults, RuleError};
use protocol::args::Args;

/// Name of the user that every connection begins as.
pub(crate) const DEFAULT_USER: &[u8] = b"default";

/// Hexadecimal digits of a password's hash.
const HASH_DIGITS: usize = 64;

/// See the head of this file.
#[derive(Clone, Debug)]
pub(crate) struct User {
    name: Box<[u8]>,
    /// Tells it from another user of this name, before or after.
    number: u64,
    is_on: bool,
    /// Any password will do, also none.
    takes_any_password: bool,
    /// Whether it was said that what `RESTORE` brings need not be checked, or has to be. Kept and shown; all of it is
    /// checked here.
    skips_payload_check: Option<bool>,
    /// Hashes of its passwords.
    passwords: Vec<[u8; HASH_DIGITS]>,
    /// The root selector first.
    selectors: Vec<Selector>,
}

/// Why a request of a user is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Denied {
    /// What is not allowed.
    pub(crate) reason: Reason,
    /// The word of the request that it is about.
    pub(crate) word: usize,
}

impl Default for User {
    /// The user `default` as it is without configuration: it may do everything.
    fn default() -> Self {
        Self {
            name: DEFAULT_USER.into(),
            number: 0,
            is_on: true,
            takes_any_password: true,
            skips_payload_check: None,
            passwords: Vec::new(),
            selectors: vec![Selector::of_everything()],
        }
    }
}

impl User {
    /// Creates a user that may do nothing. `number` tells it from others of its name.
    pub(crate) fn new(name: &[u8], number: u64, defaults: Defaults) -> Self {
        Self {
            name: name.into(),
            number,
            is_on: false,
            takes_any_password: false,
            skips_payload_check: None,
            passwords: Vec::new(),
            selectors: vec![Selector::new(defaults.has_all_channels)],
        }
    }

    /// Returns the name.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// Returns whether it is the same user, though perhaps with other rules.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self.number == other.number && self.name == other.name
    }

    /// Returns whether it may do everything, so that no request of it need be looked at.
    pub(crate) fn may_do_everything(&self) -> bool {
        self.selectors.iter().any(Selector::allows_everything)
    }

    /// Returns whether who comes as this user need not log in.
    pub(crate) fn is_open(&self) -> bool {
        self.is_on && self.takes_any_password
    }

    /// Returns whether any password will do.
    pub(crate) fn takes_any_password(&self) -> bool {
        self.takes_any_password
    }

    /// Returns whether one may log in as this user with a password. Takes the same time for all passwords of
    /// a length.
    pub(crate) fn takes(&self, password: &[u8]) -> bool {
        if !self.is_on {
            return false;
        }
        if self.takes_any_password {
            return true;
        }
        let given = hash_of(password);
        let mut is_known = false;
        for known in &self.passwords {
            let difference = known
                .iter()
                .zip(&given)
                .fold(0, |sum, (a, b)| sum | (a ^ b));
            is_known |= difference == 0;
        }
        is_known
    }

    /// Takes any password from now on, or only this one.
    pub(crate) fn set_password(&mut self, password: Option<&[u8]>) {
        self.passwords.clear();
        self.takes_any_password = password.is_none();
        self.passwords.extend(password.map(hash_of));
    }

    /// Applies one rule. A rule in parentheses is a whole selector.
    ///
    /// # Errors
    ///
    /// What is wrong with it; nothing has changed.
    pub(crate) fn apply(
        &mut self,
        rule: &[u8],
        catalog: &Catalog,
        defaults: Defaults,
    ) -> Result<(), RuleError> {
        let is = |text: &str| rule.eq_ignore_ascii_case(text.as_bytes());
        if rule.is_empty() {
            return Ok(());
        }
        if is("on") {
            self.is_on = true;
        } else if is("off") {
            self.is_on = false;
        } else if is("nopass") {
            self.set_password(None);
        } else if is("resetpass") {
            self.passwords.clear();
            self.takes_any_password = false;
        } else if is("skip-sanitize-payload") {
            self.skips_payload_check = Some(true);
        } else if is("sanitize-payload") {
            self.skips_payload_check = Some(false);
        } else if is("clearselectors") {
            self.selectors.truncate(1);
        } else if is("reset") {
            *self = Self::new(&self.name, self.number, defaults);
            self.skips_payload_check = Some(false);
        } else {
            return self.apply_marked(rule, catalog, defaults);
        }
        Ok(())
    }

    /// Applies a rule that begins with the mark of its kind.
    fn apply_marked(
        &mut self,
        rule: &[u8],
        catalog: &Catalog,
        defaults: Defaults,
    ) -> Result<(), RuleError> {
        match rule {
            [b'>', password @ ..] => self.add_password(hash_of(password)),
            [b'#', hash @ ..] => self.add_password(parse_hash(hash)?),
            [b'<', password @ ..] => self.remove_password(&hash_of(password))?,
            [b'!', hash @ ..] => self.remove_password(&parse_hash(hash)?)?,
            [b'(', inner @ .., b')'] => {
                let mut selector = Selector::new(defaults.has_all_channels);
                for rule in inner
                    .split(|byte| *byte == b' ')
                    .filter(|it| !it.is_empty())
                {
                    selector.apply(rule, catalog)?;
                }
                self.selectors.push(selector);
            }
            [b'(', ..] => return Err(RuleError::Syntax),
            _ => self.selectors[0].apply(rule, catalog)?,
        }
        Ok(())
    }

    fn add_password(&mut self, hash: [u8; HASH_DIGITS]) {
        if !self.passwords.contains(&hash) {
            self.passwords.push(hash);
        }
        self.takes_any_password = false;
    }

    fn remove_password(&mut self, hash: &[u8; HASH_DIGITS]) -> Result<(), RuleError> {
        let at = self.passwords.iter().position(|known| known == hash);
        self.passwords.remove(at.ok_or(RuleError::NoSuchPassword)?);
        Ok(())
    }

    /// Returns why the user may not send a request.
    ///
    /// # Errors
    ///
    /// No selector allows all of it.
    pub(crate) fn check(&self, known: &Known, args: Args<'_>) -> Result<(), Denied> {
        let keys: Vec<Access> = super::access::of(known, args);
        let mut reason = Reason::Command;
        let mut word = 0;
        for selector in &self.selectors {
            let Err((found, at)) = selector.check(known, args, &keys) else {
                return Ok(());
            };
            if found > reason || found == reason && at > word {
                (reason, word) = (found, at);
            }
        }
        Err(Denied { reason, word })
    }

    /// Returns whether a command may read keys that it does not name: one selector must allow the request and
    /// all keys to be read.
    pub(crate) fn may_read_all(&self, known: &Known, args: Args<'_>) -> bool {
        let keys: Vec<Access> = super::access::of(known, args);
        self.selectors.iter().any(|selector| {
            selector.allows_reading_all() && selector.check(known, args, &keys).is_ok()
        })
    }

    /// Returns whether it may listen to a channel, or to a pattern.
    pub(crate) fn may_listen(&self, channel: &[u8], is_pattern: bool) -> bool {
        self.selectors
            .iter()
            .any(|selector| selector.allows_channel(channel, is_pattern))
    }

    /// Returns whether it may listen to every channel.
    pub(crate) fn may_listen_to_all(&self) -> bool {
        self.selectors.iter().any(Selector::allows_all_channels)
    }

    /// Returns its flags as ACL GETUSER shows them.
    pub(crate) fn flags(&self) -> impl Iterator<Item = &'static str> {
        let check = self.skips_payload_check.map(|skips| {
            if skips {
                "skip-sanitize-payload"
            } else {
                "sanitize-payload"
            }
        });
        let on = if self.is_on { "on" } else { "off" };
        let any = self.takes_any_password.then_some("nopass");
        [Some(on), any, check].into_iter().flatten()
    }

    /// Returns the hashes of its passwords.
    pub(crate) fn passwords(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.passwords.iter().map(|hash| &hash[..])
    }

    /// Returns the root selector.
    pub(crate) fn root(&self) -> &Selector {
        &self.selectors[0]
    }

    /// Returns the selectors beside the root.
    pub(crate) fn others(&self) -> &[Selector] {
        &self.selectors[1..]
    }

    /// Returns the rules that make it out of a new user, as ACL LIST shows them behind its name.
    pub(crate) fn rules(&self, catalog: &Catalog) -> Vec<u8> {
        let mut out = Vec::new();
        for flag in self.flags() {
            out.extend_from_slice(flag.as_bytes());
            out.push(b' ');
        }
        for hash in &self.passwords {
            out.push(b'#');
            out.extend_from_slice(hash);
            out.push(b' ');
        }
        self.root().write(catalog, &mut out);
        for selector in self.others() {
            out.extend_from_slice(b" (");
            selector.write(catalog, &mut out);
            out.push(b')');
        }
        out
    }
}

fn hash_of(password: &[u8]) -> [u8; HASH_DIGITS] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut hex = [0; HASH_DIGITS];
    let hash = Sha256::digest(password);
    for (pair, byte) in hex.chunks_exact_mut(2).zip(hash) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    hex
}

fn parse_hash(text: &[u8]) -> Result<[u8; HASH_DIGITS], RuleError> {
    let hash: [u8; HASH_DIGITS] = text.try_into().or(Err(RuleError::WrongHash))?;
    let is_hash = hash
        .iter()
        .all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'));
    is_hash.then_some(hash).ok_or(RuleError::WrongHash)
}

/// Joins the words of a selector in parentheses into one rule, wherever it was cut at spaces.
///
/// # Errors
///
/// The index of the word whose parenthesis nobody closes.
pub(crate) fn join_selectors(words: &[&[u8]]) -> Result<Vec<Vec<u8>>, usize> {
    let mut rules: Vec<Vec<u8>> = Vec::new();
    let mut open: Option<(usize, Vec<u8>)> = None;
    for (index, word) in words.iter().enumerate() {
        match &mut open {
            Some((_, rule)) => {
                rule.push(b' ');
                rule.extend_from_slice(word);
                if word.last() == Some(&b')') {
                    rules.extend(open.take().map(|(_, rule)| rule));
                }
            }
            None if word.first() == Some(&b'(') && word.last() != Some(&b')') => {
                open = Some((index, word.to_vec()));
            }
            None => rules.push(word.to_vec()),
        }
    }
    match open {
        Some((index, _)) => Err(index),
        None => Ok(rules),
    }
}
