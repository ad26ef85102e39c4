//! The append-only file of Redis: its manifest, and the commands in its files.
//!
//! ```text
//!   since 7.0:  appendonlydir/ appendonly.aof.manifest | *.base.rdb or *.base.aof | *.incr.aof ...
//!   before:     appendonly.aof
//!
//!   manifest:   file NAME seq NUMBER type b | h | i         a line per file; h is not needed any more
//!   commands:   *2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n ...       between them #TS:1700000000\r\n
//! ```
//!
//! A base, and a file of before 7.0, may begin with a whole RDB file.
//!
//! Not here: that RDB file ([`crate::rdb_file`]), what the commands do (the server).

use std::io::{self, Read};

use base::cast::u64_from;

/// Returns the names of the files that a manifest lists, in the order in which they are read.
///
/// # Errors
///
/// The first line that is none.
pub fn files_of(manifest: &str) -> Result<Vec<String>, String> {
    let mut base = None;
    let mut increments: Vec<(u64, String)> = Vec::new();
    for line in manifest.lines() {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match file_of(line).ok_or_else(|| line.to_owned())? {
            (name, _, "b") if base.is_none() => base = Some(name),
            (name, number, "i") => increments.push((number, name)),
            (_, _, "h") => {}
            _ => return Err(line.to_owned()),
        }
    }
    if increments.windows(2).any(|pair| pair[0].0 >= pair[1].0) {
        return Err("the numbers of its files do not grow".to_owned());
    }
    let increments = increments.into_iter().map(|(_, name)| name);
    Ok(base.into_iter().chain(increments).collect())
}

/// Reads a line of a manifest: name, number and kind.
fn file_of(line: &str) -> Option<(String, u64, &str)> {
    let (mut name, mut number, mut kind) = (None, None, None);
    let mut left = line.trim_end();
    while !left.is_empty() {
        let (key, rest) = left.split_once(' ')?;
        let (value, rest) = match rest.strip_prefix('"') {
            // Redis quotes names with spaces or worse; the worse ones are refused.
            Some(quoted) => {
                let (value, rest) = quoted.split_once('"')?;
                if value.contains('\\') {
                    return None;
                }
                (value, rest)
            }
            None => rest.split_at(rest.find(' ').unwrap_or(rest.len())),
        };
        match key {
            "file" => name = Some(value.to_owned()),
            "seq" => number = value.parse().ok(),
            "type" => kind = Some(value),
            _ => return None,
        }
        left = rest.trim_start();
    }
    // A name is one in the directory of the manifest.
    let name = name.filter(|name| !name.is_empty() && !name.contains('/'))?;
    Some((name, number?, kind?))
}

/// What is wrong with a file of commands, and at which byte.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where the command begins.
    pub offset: u64,
    /// What it is.
    pub fault: Fault,
}

/// See [`Damage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The file ends in the middle of a command.
    Torn,
    /// This should stand there.
    Form(&'static str),
    /// It cannot be read.
    Io(String),
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "at byte {}: ", self.offset)?;
        match &self.fault {
            Fault::Torn => f.write_str("the file ends in the middle of a command"),
            Fault::Form(expected) => write!(f, "{expected} should stand there"),
            Fault::Io(error) => f.write_str(error),
        }
    }
}

impl std::error::Error for Damage {}

/// Bytes that are read at a time.
const READ_BYTES: usize = 256 * 1024;

/// Reads commands, one after the other. Memory: the longest command.
#[derive(Debug)]
pub struct Commands<R> {
    source: R,
    buffer: Vec<u8>,
    /// Where in `buffer` the next command begins.
    begun: usize,
    /// The byte of the file that `buffer` begins with.
    base: u64,
    /// Where the words of the command lie in `buffer`.
    words: Vec<std::ops::Range<usize>>,
}

/// What the bytes of a command look like so far.
enum Looked {
    /// It ends there.
    Whole(usize),
    /// So many bytes are needed at least.
    Short(usize),
    Bad(&'static str),
}

impl<R: Read> Commands<R> {
    /// Begins to read. `read` was read from `source` already and ends at byte `offset` of the file.
    pub fn new(source: R, read: Vec<u8>, offset: u64) -> Self {
        Self {
            source,
            base: offset - u64_from(read.len()),
            buffer: read,
            begun: 0,
            words: Vec::new(),
        }
    }

    /// Returns where the next command begins.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.base + u64_from(self.begun)
    }

    /// Returns the words of the next command, at least one; nothing at the end.
    ///
    /// # Errors
    ///
    /// [`Damage`].
    pub fn command(&mut self) -> Result<Option<Vec<&[u8]>>, Damage> {
        loop {
            let damage = |fault, offset| Err(Damage { offset, fault });
            match look(&self.buffer, self.begun, &mut self.words) {
                Looked::Whole(end) => {
                    self.begun = end;
                    if self.words.is_empty() {
                        // A note, such as the time.
                        continue;
                    }
                    let words = self.words.iter().cloned();
                    return Ok(Some(words.map(|range| &self.buffer[range]).collect()));
                }
                Looked::Bad(expected) => return damage(Fault::Form(expected), self.offset()),
                Looked::Short(count) => match self.fill(count) {
                    Ok(true) => {}
                    Ok(false) if self.begun == self.buffer.len() => return Ok(None),
                    Ok(false) => return damage(Fault::Torn, self.offset()),
                    Err(error) => return damage(Fault::Io(error.to_string()), self.offset()),
                },
            }
        }
    }

    /// Reads until so many bytes lie behind the beginning of the command, or the file ends: then false. Reads more the
    /// longer the command is already, as it is looked at from its beginning again each time.
    fn fill(&mut self, count: usize) -> io::Result<bool> {
        self.buffer.drain(..self.begun);
        self.base += u64_from(self.begun);
        self.begun = 0;
        let goal = count.max(self.buffer.len() * 2);
        while self.buffer.len() < goal {
            let len = self.buffer.len();
            // A wrong length asks for no memory before the bytes are there.
            self.buffer.resize(len + READ_BYTES, 0);
            let read = self.source.read(&mut self.buffer[len..]);
            self.buffer.truncate(len + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return Ok(self.buffer.len() >= count),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }
}

/// Looks at the bytes of a command, or of a note, which has no words.
fn look(buffer: &[u8], begun: usize, words: &mut Vec<std::ops::Range<usize>>) -> Looked {
    words.clear();
    let bytes = &buffer[begun..];
    match bytes.first() {
        None => return Looked::Short(1),
        Some(b'#') => {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            return end.map_or(Looked::Short(bytes.len() + 1), |end| {
                Looked::Whole(begun + end + 1)
            });
        }
        Some(_) => {}
    }
    let (count, mut at) = match number(bytes, b'*') {
        Ok(found) => found,
        Err(looked) => return looked,
    };
    if count == 0 {
        return Looked::Bad("a number of words above 0");
    }
    for _ in 0..count {
        let (len, begin) = match number(&bytes[at..], b'$') {
            Ok((len, passed)) => (len, at + passed),
            Err(Looked::Short(count)) => return Looked::Short(at.saturating_add(count)),
            Err(looked) => return looked,
        };
        let end = begin.saturating_add(len);
        let behind = end.saturating_add(2);
        match bytes.get(end..behind) {
            Some(b"\r\n") => words.push(begun + begin..begun + end),
            Some(_) => return Looked::Bad("the end of a line behind a word"),
            None => return Looked::Short(behind),
        }
        at = behind;
    }
    Looked::Whole(begun + at)
}

/// Most digits of a number.
const DIGITS_MAX: usize = 18;

/// Reads a line of a mark and a number. Returns the number, and the length of the line.
fn number(bytes: &[u8], mark: u8) -> Result<(usize, usize), Looked> {
    let expected = if mark == b'*' {
        "* and a number of words"
    } else {
        "$ and a length"
    };
    let Some((&first, digits)) = bytes.split_first() else {
        return Err(Looked::Short(1));
    };
    if first != mark {
        return Err(Looked::Bad(expected));
    }
    let count = digits.iter().take_while(|byte| byte.is_ascii_digit());
    let count = count.count();
    let text = std::str::from_utf8(&digits[..count]).unwrap_or_default();
    match digits[count..] {
        _ if count > DIGITS_MAX => Err(Looked::Bad(expected)),
        [] | [b'\r'] => Err(Looked::Short(bytes.len() + 1)),
        [b'\r', b'\n', ..] => {
            let number = text.parse().map_err(|_none| Looked::Bad(expected))?;
            Ok((number, 1 + count + 2))
        }
        _ => Err(Looked::Bad(expected)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_lists_its_files_in_order() {
        let text = "file a.1.base.rdb seq 1 type b\nfile a.7.incr.aof seq 7 type h\n# note\n\
                    file \"a b.2.incr.aof\" seq 2 type i\nfile a.3.incr.aof seq 3 type i\n";
        let names = ["a.1.base.rdb", "a b.2.incr.aof", "a.3.incr.aof"];
        assert_eq!(files_of(text).unwrap(), names);
        assert_eq!(files_of("").unwrap(), Vec::<String>::new());
        for wrong in [
            "file a seq 1",
            "file a seq x type b",
            "file ../a seq 1 type b",
            "file a seq 1 type z",
            "file a seq 1 type b\nfile b seq 1 type b",
            "file a seq 2 type i\nfile b seq 1 type i",
            "file \"a\\n\" seq 1 type i",
            "file",
        ] {
            assert!(files_of(wrong).is_err(), "{wrong}");
        }
    }

    /// Gives its bytes a few at a time.
    struct Drops<'a>(&'a [u8], usize);

    impl Read for Drops<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.1.min(self.0.len()).min(buffer.len());
            let (now, later) = self.0.split_at(count);
            buffer[..count].copy_from_slice(now);
            self.0 = later;
            Ok(count)
        }
    }

    const FILE: &[u8] = b"*2\r\n$6\r\nSELECT\r\n$1\r\n0\r\n#TS:1700000000\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$0\r\n\r\n";

    fn read(bytes: &[u8], drop: usize) -> (Vec<Vec<Vec<u8>>>, Option<Damage>) {
        let mut commands = Commands::new(Drops(bytes, drop), Vec::new(), 0);
        let mut all = Vec::new();
        loop {
            match commands.command() {
                Ok(Some(words)) => all.push(words.iter().map(|word| word.to_vec()).collect()),
                Ok(None) => return (all, None),
                Err(damage) => return (all, Some(damage)),
            }
        }
    }

    #[test]
    fn commands_are_read_in_any_pieces() {
        for drop in [1, 2, 7, 1000] {
            let (commands, damage) = read(FILE, drop);
            assert_eq!(damage, None);
            let expected = [
                vec![b"SELECT".to_vec(), b"0".to_vec()],
                vec![b"SET".to_vec(), b"k".to_vec(), Vec::new()],
            ];
            assert_eq!(commands, expected);
        }
        let mut commands = Commands::new(&FILE[10..], FILE[..10].to_vec(), 10);
        assert_eq!(commands.command().unwrap().unwrap()[0], b"SELECT");
        assert_eq!(commands.offset(), 23);
    }

    #[test]
    fn a_file_that_ends_early_is_torn_where_its_last_command_begins() {
        for end in 0..FILE.len() {
            let (commands, damage) = read(&FILE[..end], 3);
            let begins = [0, 23, 39];
            if begins.contains(&end) {
                assert_eq!(damage, None, "{end}");
            } else {
                let damage = damage.unwrap();
                assert_eq!(damage.fault, Fault::Torn, "{end}");
                let begin = begins.iter().rfind(|begin| **begin < end).unwrap();
                assert_eq!(damage.offset, u64_from(*begin), "{end}");
            }
            assert_eq!(commands.len(), usize::from(end >= 23), "{end}");
        }
    }

    #[test]
    fn mangled_bytes_give_whole_commands_before_the_first_change_and_never_panic() {
        let seed = std::env::var("SEED").map_or(3, |seed| seed.parse().unwrap());
        eprintln!("SEED={seed}");
        let mut random = base::random::Random::new(seed);
        let file = FILE.repeat(4);
        let (whole, _) = read(&file, 1000);
        let ends: Vec<usize> = (0..4)
            .flat_map(|at| [at * FILE.len() + 23, (at + 1) * FILE.len()])
            .collect();
        for _ in 0..5000 {
            let mut mangled = file.clone();
            let from = random.index(file.len());
            let to = (from + 1 + random.index(9)).min(file.len());
            let byte = random.next_u64().to_le_bytes()[0];
            match random.index(3) {
                0 => drop(mangled.drain(from..to)),
                1 => mangled[from..to].fill(byte),
                _ => mangled.insert(from, byte),
            }
            let (commands, _) = read(&mangled, 1 + random.index(40));
            let untouched = ends.iter().filter(|end| **end <= from).count();
            assert!(commands.len() >= untouched, "byte {from}");
            assert_eq!(commands[..untouched], whole[..untouched]);
        }
    }

    #[test]
    fn bytes_that_are_no_command_are_refused() {
        for wrong in [
            &b"SET k v\r\n"[..],
            b"*0\r\n",
            b"*x\r\n",
            b"*1\r\n:1\r\n",
            b"*1\r\n$1\r\nabc\r\n",
            b"*1\r\n$-1\r\n",
            b"*9999999999999999999\r\n",
            b"*1\n$1\na\n",
        ] {
            let (_, damage) = read(wrong, 100);
            let fault = damage.unwrap().fault;
            assert!(matches!(fault, Fault::Form(_)), "{}", wrong.escape_ascii());
        }
        let (_, damage) = read(b"*1\r\n$99999999999999999\r\n", 100);
        assert_eq!(damage.unwrap().fault, Fault::Torn);
    }
}
