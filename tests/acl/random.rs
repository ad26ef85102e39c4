//! Users of random rules: what is shown of them, and what they may do.

use std::collections::BTreeSet;

use base::cast::{u64_from, usize_from};
use base::random::Random;
use protocol::value::Value;

use crate::support::client::Client;
use crate::support::seed;
use crate::support::server::Server;

/// Steps of one run: each changes a user and asks for some requests.
const STEPS: usize = 400;

const PATTERNS: &[&str] = &["*", "a*", "foo:*", "?", "[ab]", "foo:[12]", "b*r", ""];

const WORDS: &[&str] = &[
    "a",
    "ab",
    "b",
    "foo:1",
    "foo:2",
    "bar",
    "",
    "[x]",
    "STORE",
    "STOREDIST",
    "GET",
    "SET",
    "KEYS",
    "STREAMS",
    "BY",
    "1",
    "2",
    "LIMIT",
    "#",
    "COUNT",
    "x",
    "AGGREGATE",
    "LEFT",
];

/// They take a word more than in Redis 7.0: those of 7.2.
const OTHER_ARITY: &[&str] = &["zrank", "zrevrank"];

/// What rules are made of.
struct Maker {
    random: Random,
    categories: Vec<String>,
    commands: Vec<String>,
    subcommands: Vec<String>,
}

impl Maker {
    fn below(&mut self, limit: usize) -> usize {
        usize_from(self.random.next_u64() % u64_from(limit))
    }

    fn one_of(&mut self, words: &[&str]) -> String {
        words[self.below(words.len())].to_owned()
    }

    fn command(&mut self) -> String {
        let index = self.below(self.commands.len() + self.subcommands.len());
        let mut all = self.commands.iter().chain(&self.subcommands);
        all.nth(index).unwrap().clone()
    }

    fn rule_of_commands(&mut self) -> String {
        let sign = self.one_of(&["+", "-"]);
        match self.below(8) {
            0 | 1 => {
                let index = self.below(self.categories.len() + 1);
                let category = self.categories.get(index).map_or("all", String::as_str);
                format!("{sign}@{category}")
            }
            2..=5 => sign + &self.command(),
            6 => format!("+{}|{}", self.command(), self.one_of(&["x", "GET", "0"])),
            _ => self.one_of(&["allcommands", "nocommands", "allchannels", "resetchannels"]),
        }
    }

    fn rule(&mut self) -> String {
        match self.below(10) {
            0..=4 => self.rule_of_commands(),
            5..=8 => {
                let marks = [
                    "~", "%R~", "%W~", "%RW~", "%r~", "%wr~", "%", "%x~", "%R", "&",
                ];
                self.one_of(&marks) + &self.one_of(PATTERNS)
            }
            _ => self.one_of(&["ALLKEYS", "resetkeys", "resetkeys"]),
        }
    }

    fn rules_of_user(&mut self) -> Vec<String> {
        match self.below(12) {
            0..=7 => vec![self.rule()],
            8 => vec![self.one_of(&[
                "on",
                "off",
                "nopass",
                "resetpass",
                "reset",
                "clearselectors",
                "ON",
                "bad",
                " ",
                "skip-sanitize-payload",
                "sanitize-payload",
            ])],
            9 => vec![self.one_of(&[">", "<", "#", "!"]) + &self.one_of(&["p", "q", ""])],
            _ => {
                let count = self.below(4);
                let rules: Vec<String> = (0..count).map(|_| self.rule()).collect();
                let selector = format!("({})", rules.join(" "));
                if self.below(2) == 0 {
                    vec![selector]
                } else {
                    selector.split(' ').map(str::to_owned).collect()
                }
            }
        }
    }
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Bulk(bytes) => vec![String::from_utf8_lossy(bytes).into_owned()],
        Value::Simple(bytes) => vec![String::from_utf8_lossy(bytes).into_owned()],
        other => vec![format!("{other:?}")],
    }
}

fn members(client: &mut Client, category: &str) -> BTreeSet<String> {
    let members = texts(&client.request(&["ACL", "CAT", category]));
    members.iter().map(|name| name.to_lowercase()).collect()
}

/// Returns what is shown of a user. Of its commands only whether they begin with all or none: which categories come
/// nearest depends on what commands a server has.
fn shown(value: &Value) -> Vec<String> {
    let texts = texts(value).into_iter();
    let texts = texts.map(|text| match text.as_bytes() {
        [b'+' | b'-', b'@', b'a', b'l', b'l', ..] => text[..5].to_owned(),
        _ => text,
    });
    texts.collect()
}

/// Makes another user of the rules that are shown of one, and expects the same to be shown of it.
fn check_round_trip(client: &mut Client, user: &str) {
    let lines = texts(&client.request(&["ACL", "LIST"]));
    let rules_of = |lines: &[String], name: &str| {
        let begin = format!("user {name} ");
        let mut lines = lines.iter();
        lines.find_map(|line| line.strip_prefix(&begin).map(str::to_owned))
    };
    let rules = rules_of(&lines, user).unwrap();
    // All keys by a pattern beside others is shown like all keys without others, in Redis too.
    if rules.contains("~*") && rules.matches('~').count() > 1 {
        return;
    }
    let words: Vec<&str> = rules.split(' ').collect();
    let mut request = vec!["ACL", "SETUSER", "again"];
    request.extend(&words);
    assert_eq!(
        client.request(&request),
        Value::Simple(b"OK".to_vec()),
        "{rules}"
    );
    let lines = texts(&client.request(&["ACL", "LIST"]));
    assert_eq!(rules_of(&lines, "again").unwrap(), rules);
    client.request(&["ACL", "DELUSER", "again"]);
}

#[test]
fn users_of_random_rules_are_shown_and_may_do_the_same_as_in_redis() {
    let seed = seed("acl", 0xACC1);
    let servers = [Server::redis(&[]), Server::trestle(2, &[])];
    let mut clients = servers.each_ref().map(Server::client);
    let categories = texts(&clients[0].request(&["ACL", "CAT"]));
    let mut common = [BTreeSet::new(), BTreeSet::new()];
    for category in &categories {
        let found = clients.each_mut().map(|client| members(client, category));
        for (all, found) in common.iter_mut().zip(&found) {
            all.extend(found.iter().cloned());
        }
    }
    let common: BTreeSet<String> = common[0].intersection(&common[1]).cloned().collect();
    for category in &categories {
        let found = clients.each_mut().map(|client| {
            let all = members(client, category);
            all.intersection(&common).cloned().collect::<Vec<_>>()
        });
        assert_eq!(found[0], found[1], "{category}");
    }
    let is_asked = |name: &&String| !OTHER_ARITY.contains(&name.as_str());
    let (subcommands, commands) = common
        .iter()
        .filter(is_asked)
        .cloned()
        .partition(|name| name.contains('|'));
    let mut maker = Maker {
        random: Random::new(seed),
        categories,
        commands,
        subcommands,
    };
    for step in 0..STEPS {
        let user = format!("u{}", maker.below(6));
        let count = 1 + maker.below(5);
        let rules: Vec<String> = (0..count).flat_map(|_| maker.rules_of_user()).collect();
        let mut request = vec!["ACL", "SETUSER", &user];
        request.extend(rules.iter().map(String::as_str));
        let replies = clients.each_mut().map(|client| client.request(&request));
        assert_eq!(
            replies[0], replies[1],
            "step {step}, seed {seed}: {request:?}"
        );
        let users = clients
            .each_mut()
            .map(|client| shown(&client.request(&["ACL", "GETUSER", &user])));
        assert_eq!(users[0], users[1], "step {step}, seed {seed}: {request:?}");
        if users[1].len() > 1 {
            check_round_trip(&mut clients[1], &user);
        }
        for _ in 0..6 {
            let command = maker.command();
            let count = maker.below(7);
            let words: Vec<String> = (0..count).map(|_| maker.one_of(WORDS)).collect();
            let mut request = vec!["ACL", "DRYRUN", &user];
            request.extend(command.split('|'));
            request.extend(words.iter().map(String::as_str));
            let replies = clients.each_mut().map(|client| client.request(&request));
            assert_eq!(
                replies[0], replies[1],
                "step {step}, seed {seed}: {request:?}"
            );
        }
    }
}
