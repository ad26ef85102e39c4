//! Patterns of commands, and how a pattern becomes words.
//!
//! A pattern is written as in a manual:
//!
//!     SET <key> <value> [NX|XX] [EX <seconds>|KEEPTTL]
//!
//! `<name>` stands for a random word of that kind, `[a|b c]` for one of its branches or nothing,
//! `(a|b c)` for one of its branches. `+` after a part repeats it one to four times, `*` none to
//! four times. Everything else stands for itself.

use base::random::Random;

use crate::support::{one_in, pick};

/// One part of a pattern.
#[derive(Clone, Debug)]
enum Part {
    Word(String),
    Kind(String),
    /// Exactly one of the branches.
    Choice(Vec<Vec<Self>>),
    /// One of the branches or nothing.
    Option(Vec<Vec<Self>>),
    /// The part, at least so often and at most four times.
    Repeat(Box<Self>, u64),
}

/// A parsed pattern.
#[derive(Clone, Debug)]
pub(super) struct Template {
    parts: Vec<Part>,
}

impl Template {
    /// Parses a pattern.
    ///
    /// # Panics
    ///
    /// If brackets do not match.
    pub(super) fn new(pattern: &str) -> Self {
        let mut spaced = String::new();
        for letter in pattern.chars() {
            if "[]()|".contains(letter) {
                spaced.push(' ');
                spaced.push(letter);
                if letter != ']' && letter != ')' {
                    spaced.push(' ');
                }
            } else {
                // A closing bracket keeps the sign of repetition behind it.
                spaced.push(letter);
            }
        }
        let tokens: Vec<&str> = spaced.split_whitespace().collect();
        let mut position = 0;
        let mut branches = parse_branches(&tokens, &mut position);
        assert!(
            position == tokens.len() && branches.len() == 1,
            "brackets match: {pattern}"
        );
        Self {
            parts: branches.remove(0),
        }
    }

    /// Returns random words that follow the pattern; `word` makes one of a kind.
    pub(super) fn expand(
        &self,
        random: &mut Random,
        word: &mut dyn FnMut(&mut Random, &str) -> Vec<u8>,
    ) -> Vec<Vec<u8>> {
        let mut words = Vec::new();
        expand_all(&self.parts, random, word, &mut words);
        words
    }
}

fn parse_branches(tokens: &[&str], position: &mut usize) -> Vec<Vec<Part>> {
    let mut branches = vec![Vec::new()];
    while let Some(&token) = tokens.get(*position) {
        let branch = branches.last_mut().expect("there is always a branch");
        match token.as_bytes()[0] {
            b'|' => branches.push(Vec::new()),
            b']' | b')' => return branches,
            opening @ (b'[' | b'(') => {
                *position += 1;
                let inner = parse_branches(tokens, position);
                let closing = tokens.get(*position).expect("a bracket is closed");
                let part = if opening == b'[' {
                    Part::Option(inner)
                } else {
                    Part::Choice(inner)
                };
                branch.push(repeated(part, closing));
            }
            b'<' => {
                let name = token.trim_start_matches('<');
                let (name, _) = name.split_once('>').expect("a kind ends with >");
                branch.push(repeated(Part::Kind(name.to_owned()), token));
            }
            _ => branch.push(Part::Word(token.to_owned())),
        }
        *position += 1;
    }
    branches
}

fn repeated(part: Part, token: &str) -> Part {
    match token.as_bytes().last() {
        Some(b'+') => Part::Repeat(Box::new(part), 1),
        Some(b'*') => Part::Repeat(Box::new(part), 0),
        _ => part,
    }
}

fn expand_all(
    parts: &[Part],
    random: &mut Random,
    word: &mut dyn FnMut(&mut Random, &str) -> Vec<u8>,
    words: &mut Vec<Vec<u8>>,
) {
    for part in parts {
        expand_one(part, random, word, words);
    }
}

fn expand_one(
    part: &Part,
    random: &mut Random,
    word: &mut dyn FnMut(&mut Random, &str) -> Vec<u8>,
    words: &mut Vec<Vec<u8>>,
) {
    match part {
        Part::Word(text) => words.push(text.clone().into_bytes()),
        Part::Kind(kind) => words.push(word(random, kind)),
        Part::Choice(branches) => {
            expand_all(pick(random, branches).as_slice(), random, word, words);
        }
        Part::Option(branches) => {
            if one_in(random, 3) {
                expand_all(pick(random, branches).as_slice(), random, word, words);
            }
        }
        Part::Repeat(part, times_min) => {
            for _ in 0..*times_min + random.below(5 - times_min) {
                expand_one(part, random, word, words);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Random, Template};

    #[test]
    fn pattern_yields_all_its_forms_and_no_other() {
        let template = Template::new("A <x> [B|C <y>] (D|E)");
        let mut random = Random::new(1);
        let forms: BTreeSet<String> = (0..1000)
            .map(|_| {
                let words = template.expand(&mut random, &mut |_, kind| kind.as_bytes().to_vec());
                String::from_utf8(words.join(&b' ')).unwrap()
            })
            .collect();
        let expected = [
            "A x D",
            "A x E",
            "A x B D",
            "A x B E",
            "A x C y D",
            "A x C y E",
        ];
        assert_eq!(forms, expected.map(String::from).into());
    }

    #[test]
    fn repetition_is_bounded() {
        let template = Template::new("A <x>+ (B <y>)*");
        let mut random = Random::new(1);
        let lengths: BTreeSet<usize> = (0..1000)
            .map(|_| {
                template
                    .expand(&mut random, &mut |_, kind| kind.as_bytes().to_vec())
                    .len()
            })
            .collect();
        assert_eq!(lengths, (2..=13).collect());
    }
}
