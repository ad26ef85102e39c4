//! The configuration: every directive, where its value came from, and how it changes.
//!
//! Values come in layers, the later ones stronger: defaults, file, environment, command line, and
//! CONFIG SET. A file is a redis.conf or TOML. What a directive is stands in one declaration, from
//! which parsing, CONFIG, rewriting and docs/config.md follow.
//!
//! In reading order: [`directive`] is what a declaration says, [`directives`] are the declarations,
//! [`value`] reads and writes values, [`settings`] is what the server reads, `redis_conf`, `toml`
//! and [`flags`] are the sources, `module` reads the arguments of a module, [`schedule`] says when backups are made, [`loader`] reads files, [`error`] says what is wrong, [`docs`]
//! writes the documentation.
//!
//! Invariants
//! - No key is parsed and ignored: a directive works, is refused, tunes what is switched off, or is
//!   listed as meaningless with a reason and warned about.
//! - A failed load, CONFIG SET or reload leaves the configuration as it was.
//! - [`Config::settings`] is always what the values say.
//!
//! Not here: what the server does when a value changes.

pub mod directive;
pub mod directives;
pub mod docs;
pub mod error;
pub mod flags;
pub mod loader;
mod module;
pub mod redis_conf;
pub mod schedule;
pub mod settings;
mod toml;
pub mod value;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use directive::{Change, Directive, Status, all, find};
use error::{ConfigError, Place, RewriteError, SetError};
use flags::Action;
use loader::Files;
use settings::Settings;
use value::{Complaint, Kind, Value};

/// The effective configuration.
#[derive(Clone)]
pub struct Config {
    settings: Settings,
    /// One for each directive, in the order of [`all`].
    slots: Vec<Slot>,
    /// The file it was read from, and that CONFIG REWRITE writes.
    file: Option<PathBuf>,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
}

/// A directive, its value, and where it came from.
#[derive(Clone)]
struct Slot {
    directive: &'static Directive,
    value: Value,
    place: Place,
}

/// One line of a source.
struct Entry {
    directive: &'static Directive,
    words: Vec<String>,
    place: Place,
}

/// What [`Config::load`] found.
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What the command line asks for.
    pub action: Action,
    /// One line for each directive that was set and has no effect here.
    pub warnings: Vec<String>,
}

/// What a CONFIG SET has changed.
pub struct Changes {
    /// The directives whose value is another now, in the order given.
    pub names: Vec<&'static str>,
    previous: Vec<(usize, Value, Place)>,
}

/// What a reload has changed.
pub struct Reloaded {
    /// The directives that have another value now.
    pub changed: Vec<&'static str>,
    /// The directives that have another value in the sources, but count at start only.
    pub need_restart: Vec<&'static str>,
    /// As in [`Loaded`].
    pub warnings: Vec<String>,
}

/// A file CONFIG REWRITE wants to write.
#[derive(Debug)]
pub struct Rewritten {
    /// Its path, as the server was started with it.
    pub path: PathBuf,
    /// Its new text.
    pub text: String,
}

impl Loaded {
    /// Returns what to print before the program stops with success, or `None` if it is to serve.
    #[must_use]
    pub fn output(&self) -> Option<String> {
        match self.action {
            Action::Serve => None,
            Action::CheckConfig => Some("the configuration is valid\n".to_owned()),
            Action::DumpConfig => Some(self.config.dump()),
            Action::Help => Some(flags::help().to_owned()),
            Action::Version => Some(flags::version() + "\n"),
        }
    }
}

impl Config {
    /// Reads the command line `args` (without the name of the program), the variables `environment`
    /// and the file they name.
    ///
    /// For [`Action::Help`] and [`Action::Version`] no file is read and the configuration is the
    /// default one.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong, with its place.
    pub fn load(
        args: &[String],
        environment: &[(String, String)],
        files: &dyn Files,
    ) -> Result<Loaded, ConfigError> {
        let line = flags::parse(args, files)?;
        let mut config = Self::defaults();
        config.arguments = args.to_vec();
        config.environment = environment.to_vec();
        if matches!(line.action, Action::Help | Action::Version) {
            return Ok(Loaded {
                config,
                action: line.action,
                warnings: Vec::new(),
            });
        }
        let (named_file, variables) = flags::parse_environment(environment)?;
        config.file = line.file.or(named_file);
        if let Some(path) = &config.file {
            let entries = read_file(path, files)?;
            config.apply(&entries)?;
        }
        config.apply(&variables)?;
        config.apply(&line.entries)?;
        config.check()?;
        let warnings = config.warnings();
        Ok(Loaded {
            config,
            action: line.action,
            warnings,
        })
    }

    /// Returns the configuration of a server that was given none.
    #[must_use]
    pub fn defaults() -> Self {
        let slots = all()
            .map(|directive| Slot {
                directive,
                value: directive.default_value(),
                place: Place::Default,
            })
            .collect();
        let mut config = Self {
            settings: Settings::empty(),
            slots,
            file: None,
            arguments: Vec::new(),
            environment: Vec::new(),
        };
        for index in 0..config.slots.len() {
            config.publish(index);
        }
        config
    }

    /// Changes directives as CONFIG SET does: all of them, or none. Does not log, nor tell anybody.
    ///
    /// A list may be one text with spaces. Cost: O(pairs * directives).
    ///
    /// # Errors
    ///
    /// The reply of CONFIG SET; nothing has changed.
    pub fn set(&mut self, pairs: &[(&str, &str)]) -> Result<Changes, SetError> {
        let mut targets: Vec<(usize, &str, &str)> = Vec::with_capacity(pairs.len());
        for (name, text) in pairs {
            let Some(index) = self
                .position(name)
                .filter(|index| !self.is_file_only(*index))
            else {
                return Err(SetError::Unknown((*name).to_owned()));
            };
            let is_duplicate = targets
                .iter()
                .any(|(known, other, _)| *known == index && other.eq_ignore_ascii_case(name));
            if let Some(failure) = self.obstacle(index, name, is_duplicate) {
                return Err(failure);
            }
            targets.push((index, name, text));
        }
        let mut changes = Changes {
            names: Vec::new(),
            previous: Vec::new(),
        };
        for (index, name, text) in targets {
            if let Err(failure) = self.set_one(index, name, text, &mut changes) {
                self.revert(changes);
                return Err(failure);
            }
        }
        Ok(changes)
    }

    /// Undoes a [`Config::set`], for a server that could not carry it out.
    pub fn revert(&mut self, changes: Changes) {
        for (index, value, place) in changes.previous.into_iter().rev() {
            if let Some(slot) = self.slots.get_mut(index) {
                slot.value = value;
                slot.place = place;
            }
            self.publish(index);
        }
    }

    /// Reads the sources again and takes over what may change while the server runs.
    ///
    /// What CONFIG SET changed and CONFIG REWRITE did not write falls back to the sources.
    ///
    /// # Errors
    ///
    /// As [`Config::load`], or the configuration came from standard input; nothing has changed.
    pub fn reload(&mut self, files: &dyn Files) -> Result<Reloaded, ConfigError> {
        if self.file.as_deref() == Some(Path::new("-")) {
            let place = Place::line(Path::new("-"), 0);
            return Err(ConfigError::new(
                place,
                "",
                "standard input cannot be read again",
            ));
        }
        let loaded = Self::load(&self.arguments, &self.environment, files)?;
        let mut reloaded = Reloaded {
            changed: Vec::new(),
            need_restart: Vec::new(),
            warnings: loaded.warnings,
        };
        for (index, new) in loaded.config.slots.into_iter().enumerate() {
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            if slot.value == new.value {
                slot.place = new.place;
                continue;
            }
            match new.directive.change {
                Change::Live => {
                    reloaded.changed.push(new.directive.name);
                    *slot = new;
                    self.publish(index);
                }
                Change::Start | Change::Protected => {
                    reloaded.need_restart.push(new.directive.name);
                }
            }
        }
        Ok(reloaded)
    }

    /// Returns what the server reads.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the file the configuration came from.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Returns the names and values that CONFIG GET shows for `patterns`, each name once.
    ///
    /// A name without pattern letters is shown as it was written, as Redis does. A path of a TOML
    /// file (`server.port`) is understood too, but shown only for a pattern with a dot.
    #[must_use]
    pub fn get(&self, patterns: &[&str]) -> Vec<(String, String)> {
        let mut found: Vec<(String, String)> = Vec::new();
        let mut add = |name: String, slot: &Slot| {
            if !found
                .iter()
                .any(|(known, _)| known.eq_ignore_ascii_case(&name))
            {
                found.push((name, slot.value.text()));
            }
        };
        for pattern in patterns {
            if !pattern.contains(['*', '?', '[']) {
                let slot = self
                    .position(pattern)
                    .and_then(|index| self.slots.get(index));
                if let Some(slot) = slot.filter(|slot| !slot.directive.is_file_only) {
                    add((*pattern).to_owned(), slot);
                }
                continue;
            }
            let is_match =
                |text: &str| base::glob::matches(pattern.as_bytes(), text.as_bytes(), true);
            for slot in self
                .slots
                .iter()
                .filter(|slot| !slot.directive.is_file_only)
            {
                for name in slot.directive.names().filter(|name| is_match(name)) {
                    add(name.to_owned(), slot);
                }
                if pattern.contains('.') && is_match(&slot.directive.toml_path()) {
                    add(slot.directive.toml_path(), slot);
                }
            }
        }
        found
    }

    /// Returns the file the configuration came from with the present values in it.
    ///
    /// Write it with [`loader::replace_file`]. Options of the command line are written as well, as in
    /// Redis; what the environment or an included file says is left there.
    ///
    /// # Errors
    ///
    /// There is no file, or it is not valid any more.
    pub fn rewrite(&self, files: &dyn Files) -> Result<Rewritten, RewriteError> {
        let path = self.file.as_deref().filter(|path| *path != Path::new("-"));
        let path = path.ok_or(RewriteError::NoFile)?.to_path_buf();
        let text = files
            .read(&path)
            .map_err(|e| RewriteError::Unusable(e.to_string()))?;
        let values: Vec<(&'static Directive, &Value)> = self
            .slots
            .iter()
            .filter(|slot| match &slot.place {
                Place::Environment(_) => false,
                Place::File(other, _) => *other == path,
                Place::Default | Place::CommandLine | Place::ConfigSet => true,
            })
            .map(|slot| (slot.directive, &slot.value))
            .collect();
        let text = if is_toml(&path) {
            toml::rewrite(&text, &values).map_err(|e| RewriteError::Unusable(e.to_string()))?
        } else {
            redis_conf::rewrite(&text, &values)
                .map_err(|line| RewriteError::Unusable(format!("line {line} is not valid")))?
        };
        Ok(Rewritten { path, text })
    }

    /// Takes over the users that there are, for [`Config::rewrite`]: the words of each line.
    pub fn set_users(&mut self, users: Vec<Vec<String>>) {
        let value = Value::Users(users);
        if let Some(index) = self.position("user")
            && let Some(slot) = self.slots.get_mut(index)
            && slot.value != value
        {
            slot.value = value;
            slot.place = Place::ConfigSet;
            self.publish(index);
        }
    }

    /// Returns every directive as TOML, with the place its value came from; passwords are left out.
    #[must_use]
    pub fn dump(&self) -> String {
        docs::dump(
            self.slots
                .iter()
                .map(|slot| (slot.directive, &slot.value, &slot.place)),
        )
    }

    fn apply(&mut self, entries: &[Entry]) -> Result<(), ConfigError> {
        let mut seen: Vec<&'static str> = Vec::new();
        for entry in entries {
            let name = entry.directive.name;
            let Some(index) = self.position(name) else {
                continue;
            };
            let words: Vec<&str> = entry.words.iter().map(String::as_str).collect();
            let is_first = !seen.contains(&name);
            seen.push(name);
            let wrong =
                |what: Complaint| ConfigError::new(entry.place.clone(), name, what.to_string());
            if name == "loadmodule"
                && let Some(limit) = module::scan_limit(&words).map_err(wrong)?
            {
                let directive = find(module::SCAN_LIMIT).expect("it is declared");
                self.apply(&[Entry {
                    directive,
                    words: vec![limit.to_owned()],
                    place: entry.place.clone(),
                }])?;
            }
            let Some(slot) = self.slots.get_mut(index) else {
                continue;
            };
            slot.value = fold(entry.directive, &words, &slot.value, is_first)
                .map_err(|what| ConfigError::new(entry.place.clone(), name, what))?;
            slot.place = entry.place.clone();
            self.publish(index);
        }
        Ok(())
    }

    /// Refuses what is not built, and what does not fit together.
    fn check(&self) -> Result<(), ConfigError> {
        for slot in &self.slots {
            if let Some(refusal) = slot.directive.refusal(&slot.value) {
                let default = slot.directive.default_value().text();
                let what = format!("{refusal}; the only accepted value is '{default}'");
                return Err(ConfigError::new(
                    slot.place.clone(),
                    slot.directive.name,
                    what,
                ));
            }
        }
        let settings = &self.settings;
        if settings.port == 0 && settings.unixsocket.is_none() {
            let what = "the server would not listen anywhere; set port or unixsocket";
            return Err(ConfigError::new(self.place_of("port"), "port", what));
        }
        let last_port =
            u32::from(settings.shard_ports) + u32::from(settings.shards.unwrap_or(1)) - 1;
        if settings.shard_ports != 0 && last_port > u32::from(u16::MAX) {
            let what = format!("the port of the last shard would be {last_port}");
            return Err(ConfigError::new(
                self.place_of("shard-ports"),
                "shard-ports",
                what,
            ));
        }
        Ok(())
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        for slot in &self.slots {
            if let Status::Meaningless(why) = slot.directive.status
                && slot.value != slot.directive.default_value()
            {
                let name = slot.directive.name;
                warnings.push(format!("{}: {name} has no effect here: {why}", slot.place));
            }
        }
        warnings
    }

    fn set_one(
        &mut self,
        index: usize,
        name: &str,
        text: &str,
        changes: &mut Changes,
    ) -> Result<(), SetError> {
        let Some(slot) = self.slots.get_mut(index) else {
            return Err(SetError::Unknown(name.to_owned()));
        };
        let failed = |why: String| SetError::Failed {
            name: shown_name(slot.directive, name),
            why,
        };
        let value = fold(slot.directive, &[text], &slot.value, true)
            .map_err(|why| failed(why.into_owned()))?;
        if let Some(refusal) = slot.directive.refusal(&value) {
            return Err(failed(refusal));
        }
        if value == slot.value {
            return Ok(());
        }
        changes.names.push(slot.directive.name);
        let value = std::mem::replace(&mut slot.value, value);
        let place = std::mem::replace(&mut slot.place, Place::ConfigSet);
        changes.previous.push((index, value, place));
        self.publish(index);
        Ok(())
    }

    /// Says why a directive cannot be set at all.
    fn obstacle(&self, index: usize, name: &str, is_duplicate: bool) -> Option<SetError> {
        let directive = self.slots.get(index)?.directive;
        let why = match directive.change {
            Change::Start => "can't set immutable config",
            Change::Protected => "can't set protected config",
            Change::Live if is_duplicate => "duplicate parameter",
            Change::Live => return None,
        };
        Some(SetError::Failed {
            name: shown_name(directive, name),
            why: why.to_owned(),
        })
    }

    /// Brings the settings in line with one value.
    fn publish(&mut self, index: usize) {
        if let Some(slot) = self.slots.get(index)
            && let Status::Works(setter) = slot.directive.status
        {
            setter(&mut self.settings, &slot.value);
        }
    }

    fn position(&self, name: &str) -> Option<usize> {
        let directive = find(name)?;
        self.slots
            .iter()
            .position(|slot| slot.directive.name == directive.name)
    }

    fn is_file_only(&self, index: usize) -> bool {
        self.slots
            .get(index)
            .is_some_and(|slot| slot.directive.is_file_only)
    }

    fn place_of(&self, name: &str) -> Place {
        self.slots
            .iter()
            .find(|slot| slot.directive.name == name)
            .map_or(Place::Default, |slot| slot.place.clone())
    }
}

/// Returns the value after one more line; `is_first` if it is the first of its source.
///
/// Save points begin anew with the first line of a source and then add up; an empty line empties
/// them. Output limits and renamed commands always add to what there is.
fn fold(
    directive: &Directive,
    words: &[&str],
    before: &Value,
    is_first: bool,
) -> Result<Value, Complaint> {
    let value = directive.kind.parse(words, before)?;
    match (directive.kind, before, value) {
        (Kind::SavePoints, Value::SavePoints(old), Value::SavePoints(new))
            if !is_first && !new.is_empty() =>
        {
            Ok(Value::SavePoints([old.as_slice(), &new].concat()))
        }
        (_, _, value) => Ok(value),
    }
}

/// Returns the name an error shows: the alias, if the client used one.
fn shown_name(directive: &Directive, name: &str) -> &'static str {
    directive
        .names()
        .find(|known| known.eq_ignore_ascii_case(name))
        .unwrap_or(directive.name)
}

/// Returns every name a line of redis.conf may begin with.
fn known_names() -> impl Iterator<Item = String> {
    all()
        .flat_map(|directive| directive.names().map(str::to_owned))
        .chain(["include".to_owned()])
}

fn is_toml(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}

fn read_file(path: &Path, files: &dyn Files) -> Result<Vec<Entry>, ConfigError> {
    let text = files
        .read(path)
        .map_err(|error| ConfigError::new(Place::line(path, 0), "", error.to_string()))?;
    let mut entries = Vec::new();
    if is_toml(path) {
        toml::parse(&text, path, &mut entries)?;
    } else {
        redis_conf::parse(&text, path, files, 0, &mut entries)?;
    }
    Ok(entries)
}
