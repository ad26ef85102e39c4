//! Requests with something wrong in them, made of those that follow a declaration.

use std::collections::BTreeSet;

use super::declared::Command;
use super::keyspace::{KINDS, kind_for, wrong_kind};
use super::requests::{Names, Request, Role, requests};

/// The words of a request.
pub(super) type Words = Vec<Vec<u8>>;

const INTEGERS: &[&str] = &[
    "",
    "text",
    "1.5",
    " 1",
    "1 ",
    "+1",
    "00",
    "01",
    "-0",
    "1e3",
    "0x10",
    "0",
    "-1",
    "16",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551616",
    "184467440737095516160000",
];

const COUNTS: &[&str] = &[
    "",
    "text",
    "1.5",
    " 1",
    "+1",
    "00",
    "0",
    "-1",
    "3",
    "1000",
    "4294967297",
    "9223372036854775807",
    "9223372036854775808",
];

const DOUBLES: &[&str] = &[
    "", "text", "nan", "NaN", "inf", "-inf", "+inf", "Infinity", "1e400", "-1e400", "1e-400",
    "0x10", " 1", "1 ", "+1", "00", "1.5.5", "1,5", "1.", ".5", "(1", "-1", "200", "1e308",
];

/// Nothing that would make a client wait for long.
const TIMEOUTS: &[&str] = &[
    "",
    "text",
    "nan",
    "-1",
    "-0.5",
    "1e400",
    " 1",
    "1 ",
    "9223372036854775808",
    "1e30",
];

const TEXTS: &[&str] = &[
    "",
    "nosuch",
    "0",
    "-1",
    "1.5",
    "-",
    "+",
    "$",
    ">",
    "*",
    "(",
    "[",
    "(1-1",
    "1-",
    "-1-1",
    "1-1-1",
    "0-0",
    "3-*",
    "18446744073709551615-18446744073709551615",
    "18446744073709551616-1",
    "u64",
    "i65",
    "a\r\nb",
];

/// Returns everything to send for a command, each request once, in a fixed order.
pub(super) fn probes(command: &Command) -> Vec<Words> {
    let mut probes = Probes::default();
    let name: Words = command
        .name
        .split('|')
        .map(|word| word.as_bytes().to_vec())
        .collect();
    probes.add(name.clone());
    let mixed = name.iter().map(|word| mixed_case(word)).collect();
    probes.add(mixed);
    if command.is_container {
        for more in [&["nosuch"][..], &["nosuch", "x"], &["", "x"], &["a\r\nb"]] {
            let more = more.iter().map(|word| word.as_bytes().to_vec());
            probes.add(name.iter().cloned().chain(more).collect());
        }
        return probes.list;
    }
    let kind = kind_for(&command.name, &command.group);
    let requests = requests(command, &Names { kind });
    for request in &requests.pairs {
        probes.add_with_keys(request);
    }
    for (number, request) in requests.single.iter().enumerate() {
        probes.add_with_keys(request);
        probes.add_key_kinds(request);
        probes.add_lengths(request);
        probes.add_two_wrong(request);
        for place in 0..request.len() {
            let word = &request[place];
            let is_new = word.is_option || number < 2;
            if is_new && !matches!(word.role, Role::Name | Role::Key) {
                probes.add_replacements(request, place);
            }
        }
    }
    probes.list
}

/// The requests so far.
#[derive(Default)]
struct Probes {
    list: Vec<Words>,
    known: BTreeSet<Words>,
}

impl Probes {
    fn add(&mut self, words: Words) {
        if self.known.insert(words.clone()) {
            self.list.push(words);
        }
    }

    /// Adds a request as it is, with keys of a wrong type, and with keys that do not exist.
    fn add_with_keys(&mut self, request: &Request) {
        self.add(words_of(request));
        let kind = request.iter().find(|word| word.role == Role::Key);
        let kind = kind.map(|word| kind_of(&word.bytes));
        let Some(kind) = kind else { return };
        for other in [wrong_kind(kind), "none"] {
            let mut request = request.clone();
            for word in &mut request {
                if word.role == Role::Key {
                    word.bytes = renamed(&word.bytes, other);
                }
            }
            self.add(words_of(&request));
        }
    }

    /// Adds a request with each key of each kind.
    fn add_key_kinds(&mut self, request: &Request) {
        for place in 0..request.len() {
            if request[place].role == Role::Key {
                for (kind, _) in KINDS {
                    let mut words = words_of(request);
                    words[place] = renamed(&words[place], kind);
                    self.add(words);
                }
            }
        }
    }

    /// Adds a request cut short, without one of its words, and with one more.
    fn add_lengths(&mut self, request: &Request) {
        for place in 1..request.len() {
            self.add(words_of(request)[..place].to_vec());
            let mut less = request.clone();
            less.remove(place);
            self.add_with_keys(&less);
        }
        for extra in ["extra", ""] {
            let mut words = words_of(request);
            words.push(extra.as_bytes().to_vec());
            self.add(words);
        }
    }

    /// Adds a request with two values that cannot be right, in all pairs of places: which is told?
    fn add_two_wrong(&mut self, request: &Request) {
        let is_value = |place: &usize| {
            !matches!(
                request[*place].role,
                Role::Name | Role::Key | Role::Timeout | Role::Token
            )
        };
        let places: Vec<usize> = (0..request.len()).filter(is_value).collect();
        for (at, first) in places.iter().enumerate() {
            for second in &places[at + 1..] {
                let mut request = request.clone();
                request[*first].bytes = b"text".to_vec();
                request[*second].bytes = b"text".to_vec();
                self.add_with_keys(&request);
            }
        }
    }

    /// Adds a request with other words in one place.
    fn add_replacements(&mut self, request: &Request, place: usize) {
        let word = &request[place];
        let list = match word.role {
            Role::Name | Role::Key => return,
            Role::Token => &["NOSUCH", ""],
            Role::Text => TEXTS,
            Role::Integer => INTEGERS,
            Role::Count => COUNTS,
            Role::Double => DOUBLES,
            Role::Timeout => TIMEOUTS,
        };
        let mut others: Words = list.iter().map(|text| text.as_bytes().to_vec()).collect();
        if word.role == Role::Token {
            others.push(word.bytes.to_ascii_lowercase());
            others.push(mixed_case(&word.bytes));
            others.push([&word.bytes[..], b"X"].concat());
            let mut doubled = request.clone();
            doubled.insert(place, word.clone());
            self.add_with_keys(&doubled);
        }
        for other in others {
            let mut request = request.clone();
            request[place].bytes = other;
            self.add_with_keys(&request);
        }
    }
}

fn words_of(request: &Request) -> Words {
    request.iter().map(|word| word.bytes.clone()).collect()
}

/// Returns the kind in the name of a key.
fn kind_of(key: &[u8]) -> &str {
    let text = std::str::from_utf8(key).unwrap();
    text.split(':').next().unwrap_or(text)
}

/// Returns the name of the key of another kind in the same position.
fn renamed(key: &[u8], kind: &str) -> Vec<u8> {
    let text = std::str::from_utf8(key).unwrap();
    let position = text.split(':').nth(1).unwrap_or_default();
    format!("{kind}:{position}").into_bytes()
}

fn mixed_case(word: &[u8]) -> Vec<u8> {
    let letters = word.iter().enumerate();
    letters
        .map(|(at, letter)| {
            if at % 2 == 0 {
                letter.to_ascii_uppercase()
            } else {
                letter.to_ascii_lowercase()
            }
        })
        .collect()
}
