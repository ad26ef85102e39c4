//! From JSON to Lua: null becomes `cjson.null`, arrays and objects become tables.
//!
//! Errors say what was expected, what was found, and at which letter, from 1.

use std::ptr::null_mut;

use super::number::scan_number;
use super::options::JsonOptions;
use super::settings;
use crate::engine::fiber::has_stack_left;
use crate::engine::lua::{Lua, Raise};
use crate::engine::native::Results;

/// `cjson.decode`.
pub(super) fn decode(lua: &mut Lua<'_>) -> Results {
    if lua.top() != 1 {
        return Err(lua.argument_error(1, "expected 1 argument"));
    }
    let text = lua.check_text(1)?.to_vec();
    if text.len() >= 2 && (text[0] == 0 || text[1] == 0) {
        return Err(Raise::text("JSON parser does not support UTF-16 or UTF-32"));
    }
    let mut reader = Reader {
        options: settings(lua)?,
        text: &text,
        at: 0,
        depth: 0,
    };
    let first = reader.token();
    reader.value(lua, first)?;
    let last = reader.token();
    if last.kind != TokenKind::End {
        return Err(last.unexpected("the end"));
    }
    Ok(1)
}

/// One piece of JSON.
struct Token {
    kind: TokenKind,
    /// Index of the letter that errors name.
    at: usize,
}

#[derive(Clone, Debug, PartialEq)]
enum TokenKind {
    ObjectBegin,
    ObjectEnd,
    ArrayBegin,
    ArrayEnd,
    String(Vec<u8>),
    Number(f64),
    Boolean(bool),
    Null,
    Colon,
    Comma,
    End,
    Error(&'static str),
}

impl TokenKind {
    const fn name(&self) -> &'static str {
        match self {
            Self::ObjectBegin => "T_OBJ_BEGIN",
            Self::ObjectEnd => "T_OBJ_END",
            Self::ArrayBegin => "T_ARR_BEGIN",
            Self::ArrayEnd => "T_ARR_END",
            Self::String(_) => "T_STRING",
            Self::Number(_) => "T_NUMBER",
            Self::Boolean(_) => "T_BOOLEAN",
            Self::Null => "T_NULL",
            Self::Colon => "T_COLON",
            Self::Comma => "T_COMMA",
            Self::End => "T_END",
            Self::Error(text) => text,
        }
    }
}

impl Token {
    fn unexpected(&self, expected: &str) -> Raise {
        Raise::text(format!(
            "Expected {expected} but found {} at character {}",
            self.kind.name(),
            self.at + 1
        ))
    }
}

struct Reader<'a> {
    options: JsonOptions,
    text: &'a [u8],
    at: usize,
    depth: i32,
}

impl Reader<'_> {
    /// Reads the next token. The text ends at a zero byte.
    fn token(&mut self) -> Token {
        while matches!(self.text.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
        let at = self.at;
        let one = |kind: TokenKind, len: usize| (kind, len);
        let (kind, len) = match self.text.get(at) {
            None | Some(0) => one(TokenKind::End, 0),
            Some(b'{') => one(TokenKind::ObjectBegin, 1),
            Some(b'}') => one(TokenKind::ObjectEnd, 1),
            Some(b'[') => one(TokenKind::ArrayBegin, 1),
            Some(b']') => one(TokenKind::ArrayEnd, 1),
            Some(b':') => one(TokenKind::Colon, 1),
            Some(b',') => one(TokenKind::Comma, 1),
            Some(b'"') => return self.string(),
            Some(_) => self.word(),
        };
        self.at += len;
        Token { kind, at }
    }

    /// A number or one of the three words, with its length.
    fn word(&self) -> (TokenKind, usize) {
        let rest = &self.text[self.at..];
        let is_plain_number = rest[0] == b'-' || rest[0].is_ascii_digit();
        if is_plain_number && !self.options.decode_invalid && is_invalid_number(rest) {
            return (TokenKind::Error("invalid number"), 0);
        }
        if is_plain_number {
            return match scan_number(rest) {
                Some((value, len)) => (TokenKind::Number(value), len),
                None => (TokenKind::Error("invalid number"), 0),
            };
        }
        for (word, kind) in [
            (&b"true"[..], TokenKind::Boolean(true)),
            (b"false", TokenKind::Boolean(false)),
            (b"null", TokenKind::Null),
        ] {
            if rest.starts_with(word) {
                return (kind, word.len());
            }
        }
        let may_be_number = matches!(rest[0], b'n' | b'N' | b'i' | b'I' | b'+');
        if self.options.decode_invalid
            && may_be_number
            && (rest[0] == b'+' || is_invalid_number(rest))
            && let Some((value, len)) = scan_number(rest)
        {
            return (TokenKind::Number(value), len);
        }
        (TokenKind::Error("invalid token"), 0)
    }

    /// A string, whose first quote is next.
    fn string(&mut self) -> Token {
        let start = self.at;
        let mut bytes = Vec::new();
        let mut at = start + 1;
        let error = |text: &'static str, at: usize| Token {
            kind: TokenKind::Error(text),
            at,
        };
        loop {
            match self.text.get(at) {
                None => return error("unexpected end of string", at),
                Some(b'"') => break,
                Some(b'\\') => {
                    let plain = match self.text.get(at + 1) {
                        Some(&byte @ (b'"' | b'\\' | b'/')) => byte,
                        Some(b'b') => 0x08,
                        Some(b'f') => 0x0c,
                        Some(b'n') => b'\n',
                        Some(b'r') => b'\r',
                        Some(b't') => b'\t',
                        Some(b'u') => {
                            let Some((letter, len)) = unicode(&self.text[at..]) else {
                                return error("invalid unicode escape code", at);
                            };
                            let mut buffer = [0; 4];
                            bytes.extend_from_slice(letter.encode_utf8(&mut buffer).as_bytes());
                            at += len;
                            continue;
                        }
                        _ => return error("invalid escape code", at),
                    };
                    bytes.push(plain);
                    at += 2;
                }
                Some(&byte) => {
                    bytes.push(byte);
                    at += 1;
                }
            }
        }
        self.at = at + 1;
        Token {
            kind: TokenKind::String(bytes),
            at: start,
        }
    }

    /// Pushes the value that begins with `token`.
    fn value(&mut self, lua: &mut Lua<'_>, token: Token) -> Result<(), Raise> {
        match token.kind {
            TokenKind::String(bytes) => lua.push_bytes(&bytes),
            TokenKind::Number(value) => lua.push_number(value),
            TokenKind::Boolean(value) => lua.push_boolean(value),
            TokenKind::Null => lua.push_light(null_mut()),
            TokenKind::ObjectBegin => self.object(lua, token.at),
            TokenKind::ArrayBegin => self.array(lua, token.at),
            TokenKind::ObjectEnd
            | TokenKind::ArrayEnd
            | TokenKind::Colon
            | TokenKind::Comma
            | TokenKind::End
            | TokenKind::Error(_) => Err(token.unexpected("value")),
        }
    }

    fn descend(&mut self, lua: &mut Lua<'_>, at: usize) -> Result<(), Raise> {
        self.depth += 1;
        if self.depth > self.options.decode_depth_max
            || !has_stack_left(lua.context())
            || lua.reserve(4).is_err()
        {
            return Err(Raise::text(format!(
                "Found too many nested data structures ({}) at character {}",
                self.depth,
                at + 1
            )));
        }
        Ok(())
    }

    fn array(&mut self, lua: &mut Lua<'_>, at: usize) -> Result<(), Raise> {
        self.descend(lua, at)?;
        lua.push_table(0, 0)?;
        let mut token = self.token();
        let mut position = 1;
        while position > 1 || token.kind != TokenKind::ArrayEnd {
            self.value(lua, token)?;
            lua.raw_set_item(-2, position);
            position += 1;
            let next = self.token();
            match next.kind {
                TokenKind::ArrayEnd => break,
                TokenKind::Comma => token = self.token(),
                _ => return Err(next.unexpected("comma or array end")),
            }
        }
        self.depth -= 1;
        Ok(())
    }

    fn object(&mut self, lua: &mut Lua<'_>, at: usize) -> Result<(), Raise> {
        self.descend(lua, at)?;
        lua.push_table(0, 0)?;
        let mut token = self.token();
        let mut is_first = true;
        while !is_first || token.kind != TokenKind::ObjectEnd {
            is_first = false;
            let TokenKind::String(key) = &token.kind else {
                return Err(token.unexpected("object key string"));
            };
            lua.push_bytes(key)?;
            let colon = self.token();
            if colon.kind != TokenKind::Colon {
                return Err(colon.unexpected("colon"));
            }
            let value = self.token();
            self.value(lua, value)?;
            lua.raw_set(-3)?;
            let next = self.token();
            match next.kind {
                TokenKind::ObjectEnd => break,
                TokenKind::Comma => token = self.token(),
                _ => return Err(next.unexpected("comma or object end")),
            }
        }
        self.depth -= 1;
        Ok(())
    }
}

/// Whether a text that looks like a number is none of JSON: hexadecimal, with zeros in front, an infinity
/// or NaN.
fn is_invalid_number(text: &[u8]) -> bool {
    let rest = text.strip_prefix(b"-").unwrap_or(text);
    match (rest.first(), rest.get(1)) {
        (Some(b'0'), Some(b'x' | b'X' | b'0'..=b'9')) => true,
        (Some(b'0'..=b'9'), _) => false,
        _ => [&b"inf"[..], b"nan"].iter().any(|word| {
            rest.get(..3)
                .is_some_and(|head| head.eq_ignore_ascii_case(word))
        }),
    }
}

/// The letter of `\uXXXX`, or of two such for one above U+FFFF, and how long that is.
fn unicode(text: &[u8]) -> Option<(char, usize)> {
    let unit = |text: &[u8]| -> Option<u32> {
        let digits = text.strip_prefix(b"\\u")?.get(..4)?;
        digits.iter().try_fold(0, |value, &byte| {
            Some(value << 4 | char::from(byte).to_digit(16)?)
        })
    };
    let first = unit(text)?;
    if !(0xd800..0xe000).contains(&first) {
        return Some((char::from_u32(first)?, 6));
    }
    let second = unit(text.get(6..)?)?;
    if first >= 0xdc00 || !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    let letter = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    Some((char::from_u32(letter)?, 12))
}
