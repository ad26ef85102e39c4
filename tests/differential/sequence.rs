//! What is sent: commands of a few clients, one after the other.

use std::fmt;

/// The clients of a sequence are numbered from 0.
pub(super) const CLIENT_COUNT: usize = 2;

/// One command of one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Step {
    /// Who sends it.
    pub(super) client: usize,
    /// Never empty. `SCAN-ALL` as first word stands for `SCAN` until the cursor is 0 again;
    /// `HSCAN-ALL`, `SSCAN-ALL` and `ZSCAN-ALL` likewise, with a key.
    pub(super) words: Vec<Vec<u8>>,
}

impl Step {
    /// Returns whether this stands for a whole iteration, not for one command.
    pub(super) fn is_scan(&self) -> bool {
        self.words[0].ends_with(b"SCAN-ALL")
    }
}

/// Commands in the order in which they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Sequence {
    pub(super) steps: Vec<Step>,
}

impl Sequence {
    /// Reads a sequence from lines of words. A line that begins with `1>` is of client 1.
    ///
    /// A word in double quotes may have spaces and the escapes of [`fmt::Display`].
    pub(super) fn parse(text: &str) -> Self {
        let steps = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .map(|line| {
                let (client, line) = match line.strip_prefix("1>") {
                    Some(rest) => (1, rest),
                    None => (0, line),
                };
                let words = parse_words(line);
                assert!(!words.is_empty(), "a line has a command");
                Step { client, words }
            })
            .collect();
        Self { steps }
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            writeln!(formatter, "    {step}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.client != 0 {
            write!(formatter, "{}>", self.client)?;
        }
        for (index, word) in self.words.iter().enumerate() {
            if index > 0 || self.client != 0 {
                formatter.write_str(" ")?;
            }
            let is_plain = !word.is_empty() && word.iter().all(|byte| is_plain(*byte));
            if word.len() > 200 {
                let start = word[..20].escape_ascii();
                write!(formatter, "\"{start}...{} bytes\"", word.len())?;
            } else if is_plain {
                write!(formatter, "{}", word.escape_ascii())?;
            } else {
                write!(formatter, "\"{}\"", word.escape_ascii())?;
            }
        }
        Ok(())
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && byte != b'"' && byte != b'\'' && byte != b'\\'
}

/// Reads words as they stand in a line of a sequence.
pub(super) fn parse_words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut rest = line.as_bytes().trim_ascii_start();
    while let Some(first) = rest.first() {
        let mut word = Vec::new();
        if *first == b'"' {
            rest = &rest[1..];
            loop {
                match rest {
                    [b'"', tail @ ..] => {
                        rest = tail;
                        break;
                    }
                    [b'\\', b'x', high, low, tail @ ..] => {
                        let digits = [*high, *low];
                        let digits = std::str::from_utf8(&digits).expect("hexadecimal digits");
                        word.push(u8::from_str_radix(digits, 16).expect("hexadecimal digits"));
                        rest = tail;
                    }
                    [b'\\', letter, tail @ ..] => {
                        word.push(match letter {
                            b'n' => b'\n',
                            b'r' => b'\r',
                            b't' => b'\t',
                            other => *other,
                        });
                        rest = tail;
                    }
                    [byte, tail @ ..] => {
                        word.push(*byte);
                        rest = tail;
                    }
                    [] => panic!("a quote is closed: {line}"),
                }
            }
        } else {
            let end = rest
                .iter()
                .position(u8::is_ascii_whitespace)
                .unwrap_or(rest.len());
            word.extend_from_slice(&rest[..end]);
            rest = &rest[end..];
        }
        words.push(word);
        rest = rest.trim_ascii_start();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::Sequence;

    #[test]
    fn what_is_printed_can_be_read_again() {
        let text = "SET a \"\"\n1> GET \"bin\\x00\\r\\n\\xff\\\"\"\nSET \"a b\" \"it\\'s\"";
        let sequence = Sequence::parse(text);
        assert_eq!(sequence.steps.len(), 3);
        assert_eq!(sequence.steps[1].client, 1);
        assert_eq!(sequence.steps[1].words[1], b"bin\0\r\n\xff\"");
        assert_eq!(Sequence::parse(&sequence.to_string()), sequence);
    }
}
