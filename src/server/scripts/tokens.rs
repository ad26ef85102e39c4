//! The words of a Lua program: names, strings, numbers and signs, without comments.
//!
//! Only as much of the language as [`super::declared_keys`] needs. Whoever reads the tokens must take
//! "not understood" for an answer: a text that breaks off in a string or a comment has no tokens.
//!
//! Source: Lua 5.1 Reference Manual, section 2.1 "Lexical Conventions".

/// A word of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// A name or a keyword.
    Name(&'a [u8]),
    /// A string, with its escapes undone.
    Text(Vec<u8>),
    /// A number as it is written.
    Number(&'a [u8]),
    /// A sign: `==`, `..`, `(` and the others.
    Sign(&'a [u8]),
}

impl Token<'_> {
    /// Returns whether this is the sign `sign`.
    pub(super) fn is_sign(&self, sign: &str) -> bool {
        matches!(self, Self::Sign(bytes) if *bytes == sign.as_bytes())
    }
}

/// Returns the tokens of a program, or `None` if it is none. A first line that begins with `#` is
/// left out. O(bytes).
pub(super) fn tokens(source: &[u8]) -> Option<Vec<Token<'_>>> {
    let mut reader = Reader { source, at: 0 };
    if source.first() == Some(&b'#') {
        reader.skip_line();
    }
    let mut tokens = Vec::new();
    while reader.skip_blank()? {
        tokens.push(reader.token()?);
    }
    Some(tokens)
}

struct Reader<'a> {
    source: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self, ahead: usize) -> u8 {
        self.source.get(self.at + ahead).copied().unwrap_or(0)
    }

    fn skip_line(&mut self) {
        let rest = &self.source[self.at..];
        self.at += rest
            .iter()
            .position(|&byte| byte == b'\n')
            .unwrap_or(rest.len());
    }

    /// Skips blanks and comments. Returns whether something is left, or `None` if a comment has no end.
    fn skip_blank(&mut self) -> Option<bool> {
        while self.at < self.source.len() {
            if self.peek(0).is_ascii_whitespace() || self.peek(0) == 0x0b {
                self.at += 1;
            } else if self.peek(0) == b'-' && self.peek(1) == b'-' {
                self.at += 2;
                if let Some(level) = self.long_bracket() {
                    self.long_text(level)?;
                } else {
                    self.skip_line();
                }
            } else {
                return Some(true);
            }
        }
        Some(false)
    }

    /// Returns the level of the long bracket that begins here.
    fn long_bracket(&self) -> Option<usize> {
        if self.peek(0) != b'[' {
            return None;
        }
        let level = self.source[self.at + 1..]
            .iter()
            .take_while(|&&byte| byte == b'=')
            .count();
        (self.peek(level + 1) == b'[').then_some(level)
    }

    /// Reads what stands in a long bracket that begins here.
    fn long_text(&mut self, level: usize) -> Option<Vec<u8>> {
        self.at += level + 2;
        let mut end = vec![b']'];
        end.resize(level + 1, b'=');
        end.push(b']');
        let rest = self.source.get(self.at..)?;
        let length = rest.windows(end.len()).position(|window| window == end)?;
        self.at += length + end.len();
        let text = &rest[..length];
        Some(text.strip_prefix(b"\n").unwrap_or(text).to_vec())
    }

    fn token(&mut self) -> Option<Token<'a>> {
        let begun = self.at;
        let first = self.peek(0);
        if first.is_ascii_alphabetic() || first == b'_' {
            let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
            self.skip_while(is_part);
            return Some(Token::Name(&self.source[begun..self.at]));
        }
        if first.is_ascii_digit() || first == b'.' && self.peek(1).is_ascii_digit() {
            self.skip_number();
            return Some(Token::Number(&self.source[begun..self.at]));
        }
        if first == b'"' || first == b'\'' {
            return self.quoted().map(Token::Text);
        }
        if let Some(level) = self.long_bracket() {
            return self.long_text(level).map(Token::Text);
        }
        let length = SIGNS
            .iter()
            .find(|sign| self.source[begun..].starts_with(sign.as_bytes()))?
            .len();
        self.at += length;
        Some(Token::Sign(&self.source[begun..self.at]))
    }

    fn skip_while(&mut self, is_part: impl Fn(&u8) -> bool) {
        let rest = &self.source[self.at..];
        self.at += rest.iter().take_while(|byte| is_part(byte)).count();
    }

    fn skip_number(&mut self) {
        let mut before = 0;
        while self.at < self.source.len() {
            let byte = self.peek(0);
            let is_exponent_sign = matches!(byte, b'+' | b'-') && matches!(before, b'e' | b'E');
            if !(byte.is_ascii_alphanumeric() || byte == b'.' || is_exponent_sign) {
                break;
            }
            before = byte;
            self.at += 1;
        }
    }

    fn quoted(&mut self) -> Option<Vec<u8>> {
        let quote = self.peek(0);
        self.at += 1;
        let mut text = Vec::new();
        loop {
            let byte = *self.source.get(self.at)?;
            self.at += 1;
            match byte {
                _ if byte == quote => return Some(text),
                b'\n' => return None,
                b'\\' => self.escape(&mut text)?,
                _ => text.push(byte),
            }
        }
    }

    fn escape(&mut self, text: &mut Vec<u8>) -> Option<()> {
        let byte = *self.source.get(self.at)?;
        self.at += 1;
        match byte {
            b'n' => text.push(b'\n'),
            b'r' => text.push(b'\r'),
            b't' => text.push(b'\t'),
            b'a' => text.push(7),
            b'b' => text.push(8),
            b'f' => text.push(12),
            b'v' => text.push(11),
            b'0'..=b'9' => {
                let mut value = u32::from(byte - b'0');
                for _ in 0..2 {
                    let digit = self.peek(0);
                    if !digit.is_ascii_digit() {
                        break;
                    }
                    value = value * 10 + u32::from(digit - b'0');
                    self.at += 1;
                }
                text.push(u8::try_from(value).ok()?);
            }
            other => text.push(other),
        }
        Some(())
    }
}

/// All signs, longer ones before those they begin with.
const SIGNS: &[&str] = &[
    "...", "..", "==", "~=", "<=", ">=", "+", "-", "*", "/", "%", "^", "#", "<", ">", "=", "(",
    ")", "{", "}", "[", "]", ";", ":", ",", ".",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> String {
        let Some(tokens) = tokens(source.as_bytes()) else {
            return "none".to_owned();
        };
        let shown = tokens.iter().map(|token| match token {
            Token::Name(bytes) | Token::Number(bytes) | Token::Sign(bytes) => {
                String::from_utf8_lossy(bytes).into_owned()
            }
            Token::Text(bytes) => format!("{:?}", String::from_utf8_lossy(bytes)),
        });
        shown.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_program_comes_apart_into_its_words() {
        let source = "#!lua flags=x\nlocal a=KEYS[1]..'x\\'\\65y' -- a\nif a~=1e-3 then--[[ b\n]]return [==[\nz]]]==] end";
        let expected = r#"local a = KEYS [ 1 ] .. "x'Ay" if a ~= 1e-3 then return "z]]" end"#;
        assert_eq!(shown(source), expected);
    }

    #[test]
    fn what_breaks_off_has_no_words() {
        for source in ["'abc", "[[abc", "--[[abc", "a = 'b\nc'", "a @ b", "'\\999'"] {
            assert_eq!(shown(source), "none", "{source}");
        }
    }
}
