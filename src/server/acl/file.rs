//! Files of users: one line for each, as ACL LIST shows it.
//!
//! A file is taken over as a whole or not at all.

use std::path::Path;
use std::sync::Arc;

use super::catalog::Catalog;
use super::user::{DEFAULT_USER, User, join_selectors};
use super::{Acl, Defaults, RuleError, Users};
use crate::config::loader::Files;

/// Returns the line of a user: `user`, its name and its rules.
pub(crate) fn line(user: &User, catalog: &Catalog) -> Vec<u8> {
    [b"user ", user.name(), b" ", &user.rules(catalog)].concat()
}

/// Returns the text of a file with all users.
///
/// # Errors
///
/// A name or a pattern is not UTF-8.
pub(crate) fn text(acl: &Acl) -> Result<String, String> {
    let (users, _) = acl.users();
    let mut text = Vec::new();
    for user in users.values() {
        text.extend_from_slice(&line(user, &acl.catalog));
        text.push(b'\n');
    }
    String::from_utf8(text).or(Err("a name or a pattern is not UTF-8".to_owned()))
}

/// Replaces all users by those of a file. Users of the same name are others then, but for `default`. `shown` is what
/// errors call the file.
///
/// # Errors
///
/// All that is wrong with the file, as one line; nothing has changed.
pub(crate) fn load(
    acl: &Acl,
    (path, shown): (&Path, &str),
    defaults: Defaults,
    files: &dyn Files,
) -> Result<(), String> {
    let text = files.read(path).map_err(|error| {
        let why = reason(&error);
        format!("Error loading ACLs, opening file '{shown}': {why}")
    })?;
    let mut users = Users::new();
    let mut errors = String::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim_matches([' ', '\t', '\r', '\n']);
        if !line.is_empty() {
            let place = format!("{shown}:{}", index + 1);
            take_line(acl, &mut users, (line, defaults), (&place, &mut errors));
        }
    }
    if !errors.is_empty() {
        errors.push_str(
            "WARNING: ACL errors detected, no change to the previously active ACL rules was performed",
        );
        return Err(errors);
    }
    users
        .entry(DEFAULT_USER.into())
        .or_insert_with(|| Arc::new(User::default()));
    acl.change(|all| {
        *all = users;
        Ok(())
    })
}

/// Says why a file cannot be read, without the number of the error.
fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.split_once(" (os error") {
        Some((why, _)) => why.to_owned(),
        None => text,
    }
}

/// Adds the user of one line, or what is wrong with it to the errors.
fn take_line(
    acl: &Acl,
    users: &mut Users,
    (line, defaults): (&str, Defaults),
    (place, errors): (&str, &mut String),
) {
    let words: Vec<&str> = line.split(' ').collect();
    let ["user", name, rules @ ..] = &words[..] else {
        errors.push_str(&format!(
            "{place} should start with user keyword followed by the username. "
        ));
        return;
    };
    if name.contains(|c: char| c.is_ascii_whitespace() || c == '\0' || c == '\x0b') {
        errors.push_str(&format!(
            "'{place}: username '{name}' contains invalid characters. "
        ));
        return;
    }
    if users.contains_key(name.as_bytes()) {
        let number = place.rsplit(':').next().unwrap_or_default();
        errors.push_str(&format!(
            "WARNING: Duplicate user '{name}' found on line {number}. "
        ));
        return;
    }
    let words: Vec<&[u8]> = rules.iter().map(|word| word.as_bytes()).collect();
    let Ok(rules) = join_selectors(&words) else {
        errors.push_str(&format!(
            "{place}: Unmatched parenthesis in selector definition."
        ));
        return;
    };
    let mut user = blank(acl, name.as_bytes(), defaults);
    let mut is_told = false;
    for rule in &rules {
        match user.apply(rule, &acl.catalog, defaults) {
            Ok(()) => {}
            // Of these all are told, of the others the first: it may be the cause of more.
            Err(RuleError::Unknown) => {
                let (rule, why) = (String::from_utf8_lossy(rule), RuleError::Unknown.text());
                errors.push_str(&format!(
                    "{place}: Error in applying operation '{rule}': {why}. "
                ));
            }
            Err(error) => {
                if !std::mem::replace(&mut is_told, true) {
                    errors.push_str(&format!("{place}: {}. ", error.text()));
                }
            }
        }
    }
    users.insert(user.name().into(), Arc::new(user));
}

/// Returns a user that may do nothing; the user `default` is the same as before.
fn blank(acl: &Acl, name: &[u8], defaults: Defaults) -> User {
    if name == DEFAULT_USER {
        User::new(name, 0, defaults)
    } else {
        acl.new_user(name, defaults)
    }
}

/// Returns all users as the configuration has them, by words; none if there is only the default user as it is
/// with this password.
///
/// # Errors
///
/// A name or a pattern is not UTF-8.
pub(crate) fn configured(acl: &Acl, password: Option<&str>) -> Result<Vec<Vec<String>>, String> {
    let (users, _) = acl.users();
    let mut plain = User::default();
    plain.set_password(password.map(str::as_bytes));
    let is_plain = |user: &Arc<User>| {
        user.name() == DEFAULT_USER && user.rules(&acl.catalog) == plain.rules(&acl.catalog)
    };
    if users.values().all(is_plain) {
        return Ok(Vec::new());
    }
    let lines = text(acl)?;
    let words = |line: &str| line.split(' ').skip(1).map(str::to_owned).collect();
    Ok(lines.lines().map(words).collect())
}

/// Makes the users that the configuration describes, each by its words.
///
/// # Errors
///
/// The first user that is wrong; nothing has changed.
pub(crate) fn add_configured(
    acl: &Acl,
    lines: &[Vec<String>],
    defaults: Defaults,
) -> Result<(), String> {
    if lines.is_empty() {
        return Ok(());
    }
    acl.change(|all| {
        let mut users = Users::new();
        for line in lines {
            let words: Vec<&str> = line.iter().map(String::as_str).collect();
            let [name, rules @ ..] = &words[..] else {
                continue;
            };
            let failed = |why: &str| format!("{name}: {why}");
            if users.contains_key(name.as_bytes()) {
                return Err(failed("a user can be defined once only"));
            }
            let rules: Vec<&[u8]> = rules.iter().map(|word| word.as_bytes()).collect();
            let rules = join_selectors(&rules)
                .map_err(|_unclosed| failed("a parenthesis of a selector is not closed"))?;
            let mut user = blank(acl, name.as_bytes(), defaults);
            for rule in &rules {
                user.apply(rule, &acl.catalog, defaults).map_err(|error| {
                    let rule = String::from_utf8_lossy(rule);
                    failed(&format!("{rule}: {}", error.text()))
                })?;
            }
            users.insert(user.name().into(), Arc::new(user));
        }
        all.append(&mut users);
        Ok(())
    })
}
