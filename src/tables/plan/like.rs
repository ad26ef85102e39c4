//! Patterns of LIKE: `%` for any bytes, `_` for one character, `\` takes the meaning of the next away.
//!
//! A character is a UTF-8 sequence where there is one, and a byte otherwise. Letters match in their own
//! case only.

/// A part of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Byte(u8),
    Character,
    Anything,
}

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pattern {
    pieces: Box<[Piece]>,
}

/// What a pattern means.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// This text and no other.
    Exactly(Vec<u8>),
    /// All texts that begin so.
    Prefix(Vec<u8>),
    /// What matches the pattern, which begins with this.
    Pattern(Vec<u8>, Pattern),
}

impl Pattern {
    /// Reads a pattern. Each text is one: a `\` at its end means itself.
    pub(crate) fn read(text: &[u8]) -> Meaning {
        let pattern = Self::of(text);
        let prefix: Vec<u8> = pattern
            .pieces
            .iter()
            .map_while(|piece| match piece {
                Piece::Byte(byte) => Some(*byte),
                Piece::Character | Piece::Anything => None,
            })
            .collect();
        match pattern.pieces[prefix.len()..] {
            [] => Meaning::Exactly(prefix),
            [Piece::Anything] => Meaning::Prefix(prefix),
            _ => Meaning::Pattern(prefix, pattern),
        }
    }

    /// Reads a pattern as such.
    pub(crate) fn of(text: &[u8]) -> Self {
        let mut pieces = Vec::with_capacity(text.len());
        let mut bytes = text.iter();
        while let Some(&byte) = bytes.next() {
            match byte {
                b'%' if pieces.last() == Some(&Piece::Anything) => {}
                b'%' => pieces.push(Piece::Anything),
                b'_' => pieces.push(Piece::Character),
                b'\\' => pieces.push(Piece::Byte(bytes.next().copied().unwrap_or(b'\\'))),
                _ => pieces.push(Piece::Byte(byte)),
            }
        }
        Self {
            pieces: pieces.into(),
        }
    }

    /// Returns whether the text matches. At worst length of the text times length of the pattern.
    pub(crate) fn matches(&self, text: &[u8]) -> bool {
        let (mut at, mut piece) = (0, 0);
        // Where to go on after the last `%` took one byte more.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let step = match self.pieces.get(piece) {
                Some(Piece::Anything) => {
                    retry = Some((piece + 1, at));
                    piece += 1;
                    continue;
                }
                Some(Piece::Byte(byte)) => (text.get(at) == Some(byte)).then_some(1),
                Some(Piece::Character) => character(&text[at..]),
                None if at == text.len() => return true,
                None => None,
            };
            if let Some(len) = step {
                at += len;
                piece += 1;
                continue;
            }
            match &mut retry {
                Some((after, from)) if *from < text.len() => {
                    *from += 1;
                    (piece, at) = (*after, *from);
                }
                Some(_) | None => return false,
            }
        }
    }
}

/// Returns the length of the first character.
fn character(text: &[u8]) -> Option<usize> {
    let len = match *text.first()? {
        0xC2..=0xDF => 2,
        0xE0..=0xEF => 3,
        0xF0..=0xF4 => 4,
        _ => 1,
    };
    let is_one = text
        .get(1..len)
        .is_some_and(|rest| rest.iter().all(|byte| byte & 0xC0 == 0x80));
    Some(if is_one { len } else { 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, text: &str) -> bool {
        match Pattern::read(pattern.as_bytes()) {
            Meaning::Exactly(other) => other == text.as_bytes(),
            Meaning::Prefix(prefix) => text.as_bytes().starts_with(&prefix),
            Meaning::Pattern(prefix, pattern) => {
                let is_match = pattern.matches(text.as_bytes());
                assert!(!is_match || text.as_bytes().starts_with(&prefix));
                is_match
            }
        }
    }

    #[test]
    fn patterns_match_as_in_sql() {
        for (pattern, text) in [
            ("abc", "abc"),
            ("a%", "a"),
            ("a%", "abc"),
            ("%c", "abc"),
            ("%b%", "abc"),
            ("a_c", "abc"),
            ("a_c", "a\u{e4}c"),
            ("___", "\u{20ac}\u{1f600}x"),
            ("%", ""),
            ("%%", "x"),
            (r"100\%", "100%"),
            (r"a\_c%", "a_cd"),
            (r"a\", r"a\"),
            ("%ab%ab", "abxabab"),
            ("_%_", "ab"),
        ] {
            assert!(matches(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("abc", "abcd"),
            ("abc", "Abc"),
            ("a%", "ba"),
            ("a_c", "ac"),
            ("_", ""),
            (r"a\_c", "abc"),
            ("%ab%ab", "ab"),
            ("_%_", "a"),
            ("%b", "abc"),
        ] {
            assert!(!matches(pattern, text), "{pattern} {text}");
        }
    }

    #[test]
    fn simple_patterns_are_ranges() {
        assert_eq!(Pattern::read(b"ab%"), Meaning::Prefix(b"ab".to_vec()));
        assert_eq!(Pattern::read(b"a\\%b"), Meaning::Exactly(b"a%b".to_vec()));
        assert!(matches!(Pattern::read(b"ab%c"), Meaning::Pattern(prefix, _) if prefix == b"ab"));
    }
}
