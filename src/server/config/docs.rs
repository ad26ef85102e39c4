//! The documentation of the directives, written from their declarations.

use std::fmt::Write as _;

use super::directive::{Change, Directive, Status};
use super::directives::GROUPS;
use super::error::Place;
use super::toml::item_of;
use super::value::{Kind, Value};

/// Returns the text of docs/config.md.
#[must_use]
pub fn markdown() -> String {
    let mut text = String::from(
        "# Configuration\n\n\
         Written from the declarations in `src/server/config/directives`; do not edit.\n\n\
         A value comes from the default, the file, the environment, the command line, or CONFIG \
         SET, the later ones stronger. A file is TOML if its name ends in `.toml`, otherwise a \
         `redis.conf`. A directive with no path of its own in TOML stands at `redis.<name>`. The \
         variable `TRESTLE_PORT` sets `port`, and so on.\n\n\
         - *works*: the server follows it.\n\
         - *not built yet*: only the default is accepted.\n\
         - *no effect while X is at its default*: any valid value is kept, and X cannot be changed yet.\n\
         - *meaningless*: accepted and shown, with a warning at start.\n",
    );
    for group in GROUPS {
        text.push_str(&format!(
            "\n## {}\n\n| Directive | TOML | Value | Default | Changes | State | What it does |\n\
             |---|---|---|---|---|---|---|\n",
            group.title
        ));
        for directive in group.directives {
            text.push_str(&row(directive));
        }
    }
    text
}

fn row(directive: &Directive) -> String {
    let mut names = format!("`{}`", directive.name);
    for alias in directive.aliases {
        names.push_str(&format!(", `{alias}`"));
    }
    let mut paths: Vec<String> = directive
        .toml
        .iter()
        .map(|path| format!("`{path}`"))
        .collect();
    if !directive.toml_inverted.is_empty() {
        paths.push(format!("`{}` (the opposite)", directive.toml_inverted));
    }
    let default = match directive.default {
        "" => String::new(),
        default => format!("`{default}`"),
    };
    let changes = match directive.change {
        Change::Live => "while running",
        Change::Start | Change::Protected => "at start",
    };
    format!(
        "| {names} | {} | {} | {default} | {changes} | {} | {} |\n",
        paths.join(", "),
        kind(directive.kind),
        state(directive),
        directive.summary
    )
}

fn state(directive: &Directive) -> String {
    match directive.status {
        Status::Works(_) => "works".to_owned(),
        Status::NotYet(feature) => format!("not built yet: {feature}"),
        Status::Dormant { switch } => format!("no effect while `{switch}` is at its default"),
        Status::Meaningless(why) => format!("meaningless: {why}"),
    }
}

fn kind(kind: Kind) -> String {
    match kind {
        Kind::Bool => "yes, no".to_owned(),
        Kind::Integer { min, max: i64::MAX } => format!("number from {min}"),
        Kind::Integer { min, max } => format!("number {min} to {max}"),
        Kind::Rate => "number 1 to 500".to_owned(),
        Kind::Memory { .. } => "size".to_owned(),
        Kind::MemoryOrPercent => "size or percentage".to_owned(),
        Kind::Octal => "octal number".to_owned(),
        Kind::Choice(choices) | Kind::ChoiceOrSynonym(choices, _) => choices.join(", "),
        Kind::Text | Kind::Hostname => "text".to_owned(),
        Kind::FileName => "file name".to_owned(),
        Kind::Schedule => "five fields of cron".to_owned(),
        Kind::Password => "secret text".to_owned(),
        Kind::Words => "words".to_owned(),
        Kind::Addresses => "addresses".to_owned(),
        Kind::SavePoints => "pairs of seconds and changes".to_owned(),
        Kind::BufferLimits => "class, hard and soft limit, seconds".to_owned(),
        Kind::Percentiles => "numbers 0 to 100".to_owned(),
        Kind::Events => "letters".to_owned(),
        Kind::Scores => "three numbers".to_owned(),
        Kind::Renames => "old and new name".to_owned(),
        Kind::Users => "name and rules".to_owned(),
        Kind::Shards => "auto, or a number from 1".to_owned(),
    }
}

/// Returns values as a TOML file, with the place of each as a comment; passwords are left out.
pub(super) fn dump<'a>(
    values: impl Iterator<Item = (&'static Directive, &'a Value, &'a Place)>,
) -> String {
    let mut sections: Vec<(String, String)> = Vec::new();
    for (directive, value, place) in values {
        let path = directive.toml_path();
        let (section, key) = path.rsplit_once('.').unwrap_or(("", &path));
        let line = match directive.kind {
            Kind::Users if !value.words().is_empty() => {
                format!("# {key} is set ({place}), and not shown\n")
            }
            Kind::Password if !value.as_text().is_empty() => {
                format!("# {key} is set ({place}), and not shown\n")
            }
            _ if *place == Place::Default => format!("{key} = {}\n", item_of(value)),
            _ => format!("{key} = {}  # {place}\n", item_of(value)),
        };
        match sections.iter_mut().find(|(known, _)| known == section) {
            Some((_, text)) => text.push_str(&line),
            None => sections.push((section.to_owned(), line)),
        }
    }
    let mut text = String::new();
    for (section, lines) in sections {
        let separator = if text.is_empty() { "" } else { "\n" };
        let written = write!(text, "{separator}[{section}]\n{lines}");
        written.expect("writing to a String cannot fail");
    }
    text
}
