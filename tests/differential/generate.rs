//! Random sequences of commands.
//!
//! Keys are few, so that commands meet. Most commands follow a pattern of [`TEMPLATES`]; some are
//! then damaged: a word dropped, doubled, replaced or added, options of two forms mixed.
//!
//! Invariant: nothing generated depends on time. Relative expiries are long ([`SECONDS_MIN`]), so
//! that no key dies during a sequence; absolute ones lie in the far future or in the past.

use base::random::Random;

use super::families::FAMILIES;
use super::sequence::{Sequence, Step};
use super::template::Template;
use crate::support::{one_in, pick};

/// Shortest relative expiry that is generated and is not over at once.
const SECONDS_MIN: i64 = 100;

/// Patterns and how often each comes up.
const TEMPLATES: &[(u64, &str)] = &[
    (30, "GET <key>"),
    (10, "SET <key> <value>"),
    (
        40,
        "SET <key> <value> [NX|XX] [GET] [EX <seconds>|PX <ms>|EXAT <at>|PXAT <at-ms>|KEEPTTL]",
    ),
    (8, "SETEX <key> <seconds> <value>"),
    (8, "PSETEX <key> <ms> <value>"),
    (8, "SETNX <key> <value>"),
    (8, "GETSET <key> <value>"),
    (8, "GETDEL <key>"),
    (
        14,
        "GETEX <key> [EX <seconds>|PX <ms>|EXAT <at>|PXAT <at-ms>|PERSIST]",
    ),
    (12, "APPEND <key> <value>"),
    (8, "STRLEN <key>"),
    (10, "(INCR|DECR) <key>"),
    (14, "(INCRBY|DECRBY) <key> <int>"),
    (12, "INCRBYFLOAT <key> <float>"),
    (14, "SETRANGE <key> <offset> <value>"),
    (14, "(GETRANGE|SUBSTR) <key> <index> <index>"),
    (12, "MGET <key>+"),
    (12, "MSET (<key> <value>)+"),
    (10, "MSETNX (<key> <value>)+"),
    (
        10,
        "LCS <key> <key> [LEN] [IDX] [MINMATCHLEN <count>] [WITHMATCHLEN]",
    ),
    (12, "(DEL|UNLINK|EXISTS|TOUCH) <key>+"),
    (6, "TYPE <key>"),
    (16, "(RENAME|RENAMENX) <key> <key>"),
    (16, "COPY <key> <key> [DB <db>] [REPLACE]"),
    (10, "MOVE <key> <db>"),
    (6, "SWAPDB <db> <db>"),
    (10, "SELECT <db>"),
    (4, "RANDOMKEY"),
    (8, "KEYS <pattern>"),
    (
        8,
        "SCAN-ALL [MATCH <pattern>] [COUNT <count>] [TYPE string|TYPE list|TYPE zzz]",
    ),
    (
        3,
        "SCAN <int> [MATCH <pattern>] [COUNT <int>] [TYPE <value>]",
    ),
    (
        16,
        "EXPIRE <key> <seconds> [NX|XX|GT|LT|XX GT|XX LT|NX GT|GT LT]",
    ),
    (10, "PEXPIRE <key> <ms> [NX|XX|GT|LT]"),
    (10, "EXPIREAT <key> <at> [NX|XX|GT|LT]"),
    (10, "PEXPIREAT <key> <at-ms> [NX|XX|GT|LT]"),
    (16, "(TTL|PTTL|EXPIRETIME|PEXPIRETIME) <key>"),
    (6, "PERSIST <key>"),
    (6, "DBSIZE"),
    (1, "(FLUSHDB|FLUSHALL) [ASYNC|SYNC]"),
    (10, "OBJECT (ENCODING|IDLETIME|FREQ|REFCOUNT) <key>"),
    (1, "OBJECT HELP"),
    (2, "PING [<value>]"),
    (2, "ECHO <value>"),
    (1, "HELLO [2|3|4|<int>] [SETNAME <name>]"),
    (1, "RESET"),
    (1, "AUTH <value> [<value>]"),
    (1, "CLIENT (ID|INFO|LIST|GETNAME|HELP)"),
    (2, "CLIENT SETNAME <name>"),
    (1, "CLIENT NO-EVICT (ON|OFF|<value>)"),
    (1, "CLIENT (LIST|KILL) <value>*"),
    (2, "CONFIG GET <directive>+"),
    (1, "COMMAND COUNT"),
    (1, "TIME"),
    (1, "LASTSAVE"),
    (3, "DEBUG (OBJECT|DIGEST-VALUE) <key>"),
    (1, "DEBUG STRINGMATCH-LEN <count> <pattern>"),
    (1, "DEBUG SLEEP 0"),
    (1, "SLOWLOG (LEN|RESET|HELP)"),
    (1, "LATENCY (LATEST|RESET|HISTORY <value>|HELP)"),
    (3, "MEMORY USAGE <key> [SAMPLES <int>]"),
    (1, "ROLE"),
    (1, "WAIT 0 0"),
    (1, "LOLWUT"),
    (10, "WATCH <key>+"),
    (4, "UNWATCH"),
    (4, "DISCARD"),
    (4, "EXEC"),
    (12, "MULTI"),
    (2, "<value> <key>*"),
];

/// Where values change their encoding, and what is usual in Redis 7.0.
const THRESHOLDS: &[(&str, &str)] = &[
    ("hash-max-listpack-entries", "512"),
    ("hash-max-listpack-value", "64"),
    ("list-max-listpack-size", "-2"),
    ("set-max-intset-entries", "512"),
    ("zset-max-listpack-entries", "128"),
    ("zset-max-listpack-value", "64"),
    ("stream-node-max-bytes", "4096"),
    ("stream-node-max-entries", "100"),
    ("hll-sparse-max-bytes", "3000"),
];

/// Words by kind. Numbers are meant to be at the edges of something.
const KEYS: &[&[u8]] = &[
    b"a",
    b"b",
    b"c",
    b"d",
    b"key:1",
    b"key:2",
    b"key:3",
    b"{tag}1",
    b"{tag}2",
    b"",
    b"bin\0\r\n\xff",
    b"h[e]llo*?",
];
const VALUES: &[&[u8]] = &[
    b"",
    b"0",
    b"1",
    b"-1",
    b"10",
    b"9999",
    b"10000",
    b"-5",
    b"007",
    b"+1",
    b" 12",
    b"12 ",
    b"1.5",
    b"-0",
    b"3.0e2",
    b"1e400",
    b"nan",
    b"inf",
    b"0x10",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"9223372036854775808",
    b"hello",
    b"hello world",
    b"bin\0\r\n\xff\xfe",
    b"NX",
    b"GET",
    b"EX",
    b"ohmytext",
    b"mynewtext",
    b"12345678901234567890123456789012345678901234",
    b"123456789012345678901234567890123456789012345",
];
const INTEGERS: &[&str] = &[
    "0",
    "1",
    "-1",
    "2",
    "5",
    "-7",
    "100",
    "4096",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967296",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "99999999999999999999999",
    "",
    "abc",
    "1.5",
    "+1",
    " 1",
    "1 ",
    "01",
    "-0",
    "0x10",
    "1e3",
];
const FLOATS: &[&str] = &[
    "0",
    "1",
    "-1",
    "1.5",
    "0.1",
    "-0.1",
    "3.0e3",
    "5e-324",
    "1e17",
    "1e-17",
    "0.30000000000000004",
    "1e308",
    "1e4000",
    "-1e4000",
    "inf",
    "-inf",
    "nan",
    "0x1p3",
    "",
    "abc",
    " 1",
    "1 ",
    "+1.5",
    "9223372036854775807",
    "123456789.123456789",
    "-0.0",
    ".5",
    "5.",
    "1e",
];
const OFFSETS: &[&str] = &[
    "0",
    "1",
    "3",
    "10",
    "40",
    "100",
    "1000",
    "-1",
    "536870912",
    "536870913",
    "9223372036854775807",
    "abc",
    "",
];
const SECONDS: &[&str] = &[
    "100",
    "1000",
    "86400",
    "2147483648",
    "0",
    "-1",
    "-100000",
    "9223372036854775807",
    "-9223372036854775808",
    "9223372036854775",
    "9223372036854776",
    "9223370000000000",
    "abc",
    "",
    "1.5",
    "9223372036854775808",
];
const MILLISECONDS: &[&str] = &[
    "100000",
    "1000000",
    "86400000",
    "0",
    "-1",
    "-100000",
    "9223372036854775807",
    "-9223372036854775808",
    "9223370000000000000",
    "9223372036854775808",
    "abc",
    "",
    "1.5",
];
const TIMES: &[&str] = &[
    "4102444800",
    "4102444801",
    "33177117420",
    "9223372036854775",
    "1000000000",
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "9223372036854776",
    "-9223372036854775808",
    "abc",
];
const TIMES_MS: &[&str] = &[
    "4102444800000",
    "4102444800001",
    "33177117420000",
    "9223372036854775807",
    "1000000000000",
    "1",
    "0",
    "-1",
    "-9223372036854775808",
    "9223372036854775808",
    "abc",
];
const DATABASES: &[&str] = &[
    "0",
    "0",
    "0",
    "1",
    "1",
    "2",
    "15",
    "16",
    "-1",
    "abc",
    "",
    "99999999999",
    "01",
    "4294967296",
];
const PATTERNS: &[&str] = &[
    "*", "a", "key:*", "key:?", "*[ab]*", "[^a]", "{tag}*", "\\*", "h[[]e]*", "", "[a-", "?",
    "*:*", "[a-c]", "\\", "**", "h\\[e]*",
];
const COUNTS: &[&str] = &["1", "2", "5", "10", "100", "1000"];
const NAMES: &[&str] = &["me", "", "a b", "x\ny", "other", "\u{e9}"];
const DIRECTIVES: &[&str] = &[
    "maxmemory",
    "databases",
    "appendonly",
    "save",
    "timeout",
    "maxmemory-policy",
    "maxclients",
    "proto-max-bulk-len",
    "no-such-directive",
    "MAXMEMORY",
    "databa*",
    "appendfsync",
    "maxmemory-samples",
    "tcp-keepalive",
    "lfu-*",
    "[",
    "",
];

/// A source of random sequences; equal seeds give equal ones.
#[derive(Debug)]
pub(super) struct Generator {
    /// What belongs to no family.
    common: Pool,
    /// The families that have patterns.
    families: Vec<Pool>,
}

/// Patterns to draw from.
#[derive(Debug)]
struct Pool {
    templates: Vec<(u64, Template)>,
    weight: u64,
}

impl Pool {
    fn new(patterns: &[(u64, &str)]) -> Self {
        let templates: Vec<_> = patterns
            .iter()
            .map(|(weight, pattern)| (*weight, Template::new(pattern)))
            .collect();
        let weight = templates.iter().map(|(weight, _)| weight).sum();
        Self { templates, weight }
    }

    fn draw(&self, random: &mut Random) -> &Template {
        let mut rest = random.below(self.weight);
        for (weight, template) in &self.templates {
            match rest.checked_sub(*weight) {
                Some(left) => rest = left,
                None => return template,
            }
        }
        unreachable!("the weights add up")
    }
}

/// What a sequence draws from: mostly its own family, if it has one.
#[derive(Clone, Copy, Debug)]
struct Mood<'g> {
    generator: &'g Generator,
    family: Option<&'g Pool>,
}

impl Generator {
    /// Creates the generator of all patterns.
    pub(super) fn new() -> Self {
        let families = FAMILIES
            .iter()
            .filter(|family| !family.templates.is_empty());
        Self {
            common: Pool::new(TEMPLATES),
            families: families.map(|family| Pool::new(family.templates)).collect(),
        }
    }

    /// Returns 20 to 60 commands of two clients.
    pub(super) fn sequence(&self, seed: u64) -> Sequence {
        let mut random = Random::new(seed);
        let length = 20 + random.index(41);
        let mut steps = Vec::with_capacity(length);
        let mood = Mood {
            generator: self,
            family: (!one_in(&mut random, 5) && !self.families.is_empty())
                .then(|| pick(&mut random, &self.families)),
        };
        steps.push(thresholds(&mut random));
        while steps.len() < length {
            let client = usize::from(one_in(&mut random, 8));
            if one_in(&mut random, 40) {
                mood.push_transaction(&mut random, &mut steps);
            } else {
                let words = mood.command(&mut random);
                push_command(&mut steps, client, words);
            }
        }
        if steps.iter().any(|step| stores_dead_key(&step.words)) {
            steps.retain(|step| !shows_dead_keys(&step.words));
        }
        if steps.iter().any(|step| may_lengthen_in_vain(&step.words)) {
            steps.retain(|step| !step.words[0].eq_ignore_ascii_case(b"WATCH"));
        }
        steps.retain(|step| !is_newer_form(&step.words));
        Sequence { steps }
    }
}

impl Mood<'_> {
    /// Appends a transaction, sometimes disturbed by the other client.
    fn push_transaction(&self, random: &mut Random, steps: &mut Vec<Step>) {
        let mut push = |client: usize, words: Vec<Vec<u8>>| steps.push(Step { client, words });
        let line = |words: &[&[u8]]| words.iter().map(|word| word.to_vec()).collect();
        if one_in(random, 2) {
            let watched = pick(random, KEYS);
            push(0, line(&[b"WATCH", watched]));
            if one_in(random, 2) {
                let touched = if one_in(random, 2) {
                    watched
                } else {
                    pick(random, KEYS)
                };
                push(1, line(&[b"SET", touched, b"disturbed"]));
            }
        }
        push(0, line(&[b"MULTI"]));
        for _ in 0..random.below(6) {
            push_command(steps, 0, self.command(random));
        }
        steps.push(Step {
            client: 0,
            words: line(&[b"EXEC"]),
        });
    }

    /// Returns one command, in one of eight cases damaged.
    pub(super) fn command(&self, random: &mut Random) -> Vec<Vec<u8>> {
        let template = self.template(random);
        let mut words = template.expand(random, &mut word_of_kind);
        // What follows these two is a time to wait.
        let may_damage = words[0] != b"WAIT" && words.get(1).is_none_or(|word| word != b"SLEEP");
        // Both servers list all their commands, which are not the same.
        let may_damage = may_damage && words[0] != b"COMMAND";
        // It would take some members by chance, and the sets would differ.
        let may_damage = may_damage && words[0] != b"SPOP";
        // Another option could ask for members of sets in their own order.
        let may_damage = may_damage && !words[0].starts_with(b"SORT");
        // Other scores there, and what lies in a range of bytes depends on the levels that Redis draws.
        let is_lexical = |word: &Vec<u8>| word == b"lexes" || word == b"{a}lex";
        let may_damage = may_damage && !words.iter().any(is_lexical);
        if one_in(random, 8) && may_damage && !words[0].ends_with(b"SCAN-ALL") {
            damage(random, template, &mut words);
        }
        if one_in(random, 10) && !words[0].ends_with(b"SCAN-ALL") {
            words[0].make_ascii_lowercase();
        }
        lengthen_expiries(random, &mut words);
        end_waits(&mut words);
        settle_idle_times(&mut words);
        words
    }

    fn template(&self, random: &mut Random) -> &Template {
        let families = &self.generator.families;
        match self.family {
            Some(family) if !one_in(random, 4) => family.draw(random),
            Some(_) if one_in(random, 4) => pick(random, families).draw(random),
            Some(_) | None => self.generator.common.draw(random),
        }
    }
}

/// Makes waits for ever or for long, which damage can bring, short ones: as a number -0 is 0.
fn end_waits(words: &mut [Vec<u8>]) {
    let may_wait = words[0].to_ascii_uppercase();
    if ![&b"BL"[..], b"BR", b"BZ"]
        .iter()
        .any(|start| may_wait.starts_with(start))
    {
        return;
    }
    for word in words.iter_mut().skip(1) {
        let number = std::str::from_utf8(word)
            .ok()
            .and_then(|text| text.parse::<f64>().ok());
        if number.is_some_and(|number| number == 0.0 || (10.0..9e15).contains(&number)) {
            *word = b"0.001".to_vec();
        }
    }
}

/// Makes least idle times, which damage can change, those that every pending entry has, or none: how many
/// milliseconds go by between two requests is for the machine to say.
fn settle_idle_times(words: &mut [Vec<u8>]) {
    let at = match &*words[0].to_ascii_uppercase() {
        b"XCLAIM" | b"XAUTOCLAIM" => 4,
        b"XPENDING" => 4,
        _ => return,
    };
    let Some(word) = words.get_mut(at) else {
        return;
    };
    let text = std::str::from_utf8(word).ok();
    let number = text.and_then(|text| text.parse::<i64>().ok());
    if number.is_some_and(|number| (1..100_000).contains(&number)) {
        *word = b"100000".to_vec();
    }
}

/// Appends a command. Before SORT goes one that changes nothing and has Redis forget its last number
/// out of range: SORT looks at what `errno` some earlier command has left, and refuses good numbers.
fn push_command(steps: &mut Vec<Step>, client: usize, words: Vec<Vec<u8>>) {
    if words[0].to_ascii_uppercase().starts_with(b"SORT") {
        let forget = ["ZADD", "no-such-key", "XX", "1", "member"];
        steps.push(Step {
            client,
            words: forget.map(|word| word.into()).to_vec(),
        });
    }
    steps.push(Step { client, words });
}

/// Returns the command that chooses where values change their encoding: never, at once, or as usual.
fn thresholds(random: &mut Random) -> Step {
    let mut line = "CONFIG SET".to_owned();
    for (directive, usual) in THRESHOLDS {
        let value = match random.below(4) {
            0 => "0",
            1 => "1",
            _ => usual,
        };
        line.push_str(&format!(" {directive} {value}"));
    }
    Step {
        client: 0,
        words: line
            .split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect(),
    }
}

fn word_of_kind(random: &mut Random, kind: &str) -> Vec<u8> {
    let texts = match kind {
        "key" => return pick(random, KEYS).to_vec(),
        "value" => {
            if one_in(random, 30) {
                return vec![b'x'; random.index(3000)];
            }
            return pick(random, VALUES).to_vec();
        }
        "index" if one_in(random, 2) => {
            return (i64::try_from(random.below(30)).unwrap() - 12)
                .to_string()
                .into();
        }
        "int" | "index" => INTEGERS,
        "float" => FLOATS,
        "offset" => OFFSETS,
        "seconds" => SECONDS,
        "ms" => MILLISECONDS,
        "at" => TIMES,
        "at-ms" => TIMES_MS,
        "db" => DATABASES,
        "pattern" => PATTERNS,
        "count" => COUNTS,
        "name" => NAMES,
        "directive" => DIRECTIVES,
        other => FAMILIES
            .iter()
            .find_map(|family| (family.words)(other))
            .unwrap_or_else(|| panic!("no words of kind {other}")),
    };
    // The first few words are the sane ones and should be common, or nothing ever succeeds.
    if one_in(random, 2) {
        return texts[random.index(texts.len().min(4))].into();
    }
    (*pick(random, texts)).into()
}

/// Returns whether a command may store a key whose time is over already.
///
/// Redis keeps such a key until somebody looks at it or its cycle comes by.
fn stores_dead_key(words: &[Vec<u8>]) -> bool {
    words[0].eq_ignore_ascii_case(b"SET")
        && words
            .iter()
            .any(|word| word.eq_ignore_ascii_case(b"EXAT") || word.eq_ignore_ascii_case(b"PXAT"))
}

/// Returns whether the reference takes a request for one of too many words, with all that follows in a
/// transaction, as it lacks options of later versions.
fn is_newer_form(words: &[Vec<u8>]) -> bool {
    let is_rank = |name: &[u8]| words[0].eq_ignore_ascii_case(name);
    words.len() > 3 && (is_rank(b"ZRANK") || is_rank(b"ZREVRANK"))
}

/// Returns whether a reply depends on which dead keys have been removed by now. To DEBUG a dead key is
/// there until then in Redis, and here it is not.
fn shows_dead_keys(words: &[Vec<u8>]) -> bool {
    let is = |index: usize, name: &[u8]| {
        words
            .get(index)
            .is_some_and(|word| word.eq_ignore_ascii_case(name))
    };
    is(0, b"DBSIZE") || is(0, b"DEBUG") && (is(1, b"OBJECT") || is(1, b"DIGEST-VALUE"))
}

/// Returns whether a command may make or lengthen a string by writes of which none is done. The string
/// has changed, and here who watches it is told so; in Redis he is not, and reads something else than he
/// has seen.
fn may_lengthen_in_vain(words: &[Vec<u8>]) -> bool {
    words[0].eq_ignore_ascii_case(b"BITFIELD")
        && words.iter().any(|word| word.eq_ignore_ascii_case(b"FAIL"))
}

/// Makes words that no pattern yields.
fn damage(random: &mut Random, template: &Template, words: &mut Vec<Vec<u8>>) {
    let position = 1 + random.index(words.len());
    match random.below(5) {
        0 => words.truncate(position),
        1 => words.insert(position, pick(random, VALUES).to_vec()),
        2 if position < words.len() => words[position] = pick(random, VALUES).to_vec(),
        3 if position < words.len() => {
            let doubled = words[position].clone();
            words.push(doubled);
        }
        _ => {
            let other = template.expand(random, &mut word_of_kind);
            words.extend(other.into_iter().skip(position));
        }
    }
}

/// Replaces relative expiries that would be over during the sequence, and those that GT and LT might
/// compare with an equal one: which of the two is later would be a matter of milliseconds.
fn lengthen_expiries(random: &mut Random, words: &mut [Vec<u8>]) {
    let is = |word: &[u8], names: &[&str]| {
        names
            .iter()
            .any(|name| word.eq_ignore_ascii_case(name.as_bytes()))
    };
    let takes_options = is(&words[0], &["SET", "GETEX"]);
    let compares = words.iter().any(|word| is(word, &["GT", "LT"]));
    for index in 1..words.len() {
        let before = &words[index - 1];
        let is_seconds = (takes_options && is(before, &["EX"]))
            || (index == 2 && is(&words[0], &["SETEX", "EXPIRE"]));
        let is_milliseconds = (takes_options && is(before, &["PX"]))
            || (index == 2 && is(&words[0], &["PSETEX", "PEXPIRE"]));
        let shortest = match (is_seconds, is_milliseconds) {
            (false, false) => continue,
            (true, _) => SECONDS_MIN,
            (false, true) => SECONDS_MIN * 1000,
        };
        let number = std::str::from_utf8(&words[index])
            .ok()
            .and_then(|text| text.parse::<i64>().ok());
        let Some(mut number) = number.filter(|number| (1..1 << 40).contains(number)) else {
            continue;
        };
        if compares {
            number += shortest * (10 + i64::try_from(random.below(1_000_000)).unwrap());
        }
        words[index] = number.max(shortest).to_string().into();
    }
}
