//! Replays the transcripts of `tests/conformance` on one shard.
//!
//! Each request goes through its declaration, as the server sends it, and then through its handler.
//! The expected bytes were recorded from redis-server 7.0.15 by `tests/conformance/record.py`, which
//! also says what a transcript looks like.

use std::fmt::Write as _;
use std::path::Path;

use base::clock::UnixMillis;
use base::ids::{DbIndex, ShardId};
use base::random::Random;
use protocol::args::{Args, PackedArgs};
use protocol::reply::{Reply, Resp};
use shard::effects::{EventClass, KeyEvent};
use shard::{Options, Shard};

use crate::key_object;
use crate::loans::Loans;
use crate::spec::{CommandError, Context, Declaration, Run, ShardCommand};
use crate::wait_form::Waiting;

/// The time of every request: later than that of `EXAT 1`, earlier than any other in transcripts.
const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

/// One shard and what a session would keep.
pub(crate) struct Player {
    pub(crate) shard: Shard,
    pub(crate) now: UnixMillis,
    db: DbIndex,
    resp: Resp,
    random: Random,
}

impl Player {
    pub(crate) fn new() -> Self {
        let options = Options {
            hash_seed: (7, 11),
            ..Options::default()
        };
        let mut player = Self {
            shard: Shard::new(ShardId(0), options),
            now: NOW,
            db: DbIndex(0),
            resp: Resp::V2,
            random: Random::new(1),
        };
        player.shard.set_now(NOW);
        player
    }

    /// Runs one request, given in the quoting of redis-cli, and returns the raw reply.
    pub(crate) fn run(&mut self, request: &str) -> Vec<u8> {
        let mut packed = PackedArgs::new();
        split_words(request)
            .iter()
            .for_each(|word| packed.push_word(word));
        let args = packed.args();
        let mut out = Vec::new();
        if let Err(text) = self.run_words(args, &mut out) {
            assert!(
                out.is_empty(),
                "{request}: an error after a part of a reply"
            );
            Reply::new(&mut out, self.resp).error(&text);
        }
        out
    }

    fn run_words(&mut self, args: Args<'_>, out: &mut Vec<u8>) -> Result<(), String> {
        let (declaration, run, command) = find(args.word(0));
        let resolved = declaration
            .resolve(args)
            .map_err(|error| error.text(args))?;
        self.shard.set_now(self.now);
        let mut context = Context {
            shard: &mut self.shard,
            db: self.db,
            reply: Reply::new(out, self.resp),
            now: self.now,
            touch: true,
            first_hash: None,
            random: &mut self.random,
            loans: Loans::default(),
            waiting: Waiting::Never,
        };
        let result = match command {
            Some(command) => crate::run::call(command, &mut context, args),
            None => run(&mut context, args),
        };
        if let Some(command) = command {
            crate::run::finish_now(&mut context, args, command);
        }
        crate::run::end(&mut context);
        result.map_err(|error: CommandError| error.text(resolved.name, args).into_owned())
    }

    /// Does what a line of a transcript says.
    pub(crate) fn step(&mut self, line: &str) {
        if let Some(directive) = line.strip_prefix("! ") {
            self.direct(directive);
        } else {
            self.run(line.trim_start_matches(['>', '~', '@']));
        }
    }

    fn direct(&mut self, directive: &str) {
        let (name, value) = directive.split_once(' ').expect("a directive has a value");
        let mut options = *self.shard.options();
        match (name, value) {
            ("resp", "2") => self.resp = Resp::V2,
            ("resp", "3") => self.resp = Resp::V3,
            ("db", number) => self.db = DbIndex(number.parse().unwrap()),
            ("lfu", value) => options.lfu = value == "on",
            ("bulk-max", number) => options.bulk_bytes_max = number.parse().unwrap(),
            ("config", pair) => set_threshold(&mut options, pair),
            ("events", "on") => options.events = EventClass::ALL,
            ("events", "off") => options.events = EventClass::NONE,
            _ => panic!("unknown directive: {directive}"),
        }
        self.shard.set_options(options);
    }
}

/// Sets a threshold of encodings from the name of its directive and its value.
fn set_threshold(options: &mut Options, pair: &str) {
    let (name, value) = pair.split_once(' ').expect("a directive has a value");
    let limits = &mut options.limits;
    if name == "list-max-listpack-size" {
        limits.list_listpack_size = value.parse().unwrap();
        return;
    }
    let place = match name {
        "hash-max-listpack-entries" => &mut limits.hash_listpack_entries,
        "hash-max-listpack-value" => &mut limits.hash_listpack_value,
        "set-max-intset-entries" => &mut limits.set_intset_entries,
        "zset-max-listpack-entries" => &mut limits.zset_listpack_entries,
        "zset-max-listpack-value" => &mut limits.zset_listpack_value,
        "stream-node-max-bytes" => &mut limits.stream_node_bytes,
        "stream-node-max-entries" => &mut limits.stream_node_entries,
        "hll-sparse-max-bytes" => &mut limits.hll_sparse_bytes,
        _ => panic!("unknown threshold: {name}"),
    };
    *place = value.parse().unwrap();
}

fn find(name: &[u8]) -> (Declaration, Run, Option<&'static ShardCommand>) {
    // MEMORY is a container of the server; here it has the one subcommand that works on a key.
    if name.eq_ignore_ascii_case(b"memory") {
        const SUBCOMMANDS: &[Declaration] = &[key_object::USAGE.declaration];
        let container = Declaration::new("memory", crate::spec::Arity::AtLeast(2), NO_FLAGS);
        return (
            container.subcommands(SUBCOMMANDS),
            key_object::USAGE.run,
            None,
        );
    }
    let command = crate::all()
        .find(|command| name.eq_ignore_ascii_case(command.declaration.name.as_bytes()))
        .unwrap_or_else(|| panic!("no command {}", name.escape_ascii()));
    (command.declaration, command.run, Some(command))
}

const NO_FLAGS: crate::spec::Flags = crate::spec::Flags::NONE;

/// Splits a request into words as redis-cli does.
fn split_words(line: &str) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut bytes = line.bytes().peekable();
    while let Some(first) = bytes.next() {
        let mut word = Vec::new();
        match first {
            b' ' => continue,
            b'"' => loop {
                match bytes.next().expect("quotes are closed") {
                    b'"' => break,
                    b'\\' => word.push(match bytes.next().expect("an escape has a letter") {
                        b'n' => b'\n',
                        b'r' => b'\r',
                        b't' => b'\t',
                        b'b' => 8,
                        b'a' => 7,
                        b'x' => {
                            let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                            u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap()
                        }
                        other => other,
                    }),
                    byte => word.push(byte),
                }
            },
            byte => {
                word.push(byte);
                word.extend(std::iter::from_fn(|| bytes.next_if(|&byte| byte != b' ')));
            }
        }
        words.push(word);
    }
    words
}

/// Shows a raw reply as a transcript does, line by line.
fn shown(reply: &[u8]) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut rest = reply
        .strip_suffix(b"\r\n")
        .expect("a reply ends with CR LF");
    while let Some((&byte, after)) = rest.split_first() {
        if rest.starts_with(b"\r\n") {
            lines.push(String::new());
            rest = &rest[2..];
            continue;
        }
        show_byte(lines.last_mut().unwrap(), byte);
        rest = after;
    }
    lines
}

/// Shows an event as a transcript does.
fn shown_event(event: &KeyEvent) -> String {
    let letter = [
        (EventClass::GENERIC, 'g'),
        (EventClass::STRING, '$'),
        (EventClass::LIST, 'l'),
        (EventClass::SET, 's'),
        (EventClass::HASH, 'h'),
        (EventClass::SORTED_SET, 'z'),
        (EventClass::EXPIRED, 'x'),
        (EventClass::EVICTED, 'e'),
        (EventClass::STREAM, 't'),
        (EventClass::KEY_MISS, 'm'),
        (EventClass::NEW, 'n'),
    ]
    .into_iter()
    .find_map(|(class, letter)| (class == event.class).then_some(letter))
    .expect("an event has one class");
    let mut line = format!("@ {letter} {} ", event.name);
    for &byte in &event.key {
        if byte == b' ' {
            line.push_str("\\x20");
        } else {
            show_byte(&mut line, byte);
        }
    }
    if event.db.0 > 0 {
        write!(line, " {}", event.db.0).unwrap();
    }
    line.truncate(line.trim_end().len());
    line
}

/// Shows a byte of a line as a transcript does.
fn show_byte(line: &mut String, byte: u8) {
    match byte {
        b' '..=b'~' if byte != b'\\' => line.push(char::from(byte)),
        _ => write!(line, "\\x{byte:02x}").unwrap(),
    }
}

/// Replaces the times of streams, as `record.py` does for requests with `>@`.
fn mask_times(lines: &mut [String]) {
    let is_integer = |line: Option<&String>| line.is_some_and(|line| line.starts_with(':'));
    let mut is_named = false;
    for at in 0..lines.len() {
        let names_next = matches!(&*lines[at], "idle" | "seen-time");
        let is_time = is_named || is_integer(lines.get(at + 1));
        if is_integer(lines.get(at)) && is_time {
            ":time".clone_into(&mut lines[at]);
        }
        is_named = names_next;
    }
}

/// Returns the names of all transcripts.
pub(crate) fn names() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
    let files = std::fs::read_dir(folder).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".resp")).collect();
    names.sort();
    names
}

/// Calls `each` with every directive and request of a transcript, for [`Player::step`].
pub(crate) fn each_step(name: &str, mut each: impl FnMut(&str)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let steps = text.lines().filter(|line| line.starts_with(['!', '>']));
    steps.for_each(&mut each);
}

/// Replays one transcript; fails with all steps that differ.
fn replay(name: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/conformance");
    let text = std::fs::read_to_string(folder.join(name)).unwrap();
    let mut player = Player::new();
    let mut failures = String::new();
    let mut steps = 0;
    let mut lines = text.lines().enumerate().peekable();
    while let Some((number, line)) = lines.next() {
        if let Some(directive) = line.strip_prefix("! ") {
            player.direct(directive);
        }
        let Some(request) = line.strip_prefix('>') else {
            continue;
        };
        steps += 1;
        let (request, unordered) = match request.strip_prefix('~') {
            Some(request) => (request, true),
            None => (request, false),
        };
        let (request, timed) = match request.strip_prefix('@') {
            Some(request) => (request, true),
            None => (request, false),
        };
        let mut expected = Vec::new();
        while let Some((_, reply)) = lines.next_if(|(_, line)| line.starts_with("< ")) {
            expected.push(reply[2..].to_owned());
        }
        let mut given = shown(&player.run(request));
        if unordered {
            expected.sort();
            given.sort();
        }
        if timed {
            mask_times(&mut given);
        }
        while let Some((_, event)) = lines.next_if(|(_, line)| line.starts_with("@ ")) {
            expected.push(event.to_owned());
        }
        let events = player.shard.take_events();
        given.extend(events.iter().map(shown_event));
        if given != expected {
            let number = number + 1;
            writeln!(failures, "{name}:{number}:{request}\n  given    {given:?}").unwrap();
            writeln!(failures, "  expected {expected:?}").unwrap();
        }
    }
    assert!(steps > 0, "{name} has no steps");
    assert!(failures.is_empty(), "\n{failures}");
}

#[test]
fn whole_strings_reply_as_redis_does() {
    replay("string.resp");
}

#[test]
fn parts_of_strings_reply_as_redis_does() {
    replay("string_range.resp");
}

#[test]
fn numbers_in_strings_reply_as_redis_does() {
    replay("string_number.resp");
}

#[test]
fn several_strings_reply_as_redis_does() {
    replay("string_many.resp");
}

#[test]
fn lcs_replies_as_redis_does() {
    replay("lcs.resp");
}

#[test]
fn keys_reply_as_redis_does() {
    replay("key.resp");
}

#[test]
fn moving_keys_replies_as_redis_does() {
    replay("key_move.resp");
}

#[test]
fn expiry_replies_as_redis_does() {
    replay("key_expire.resp");
}

#[test]
fn scanning_replies_as_redis_does() {
    replay("key_scan.resp");
}

#[test]
fn object_replies_as_redis_does() {
    replay("key_object.resp");
}

#[test]
fn keys_tell_their_events_as_in_redis() {
    replay("events.resp");
}

#[test]
fn databases_reply_as_redis_does() {
    replay("keyspace.resp");
}

#[test]
fn bitmaps_reply_as_redis_does() {
    replay("bitmap.resp");
}

#[test]
fn hyperloglogs_reply_as_redis_does() {
    replay("hyperloglog.resp");
}

#[test]
fn streams_reply_as_redis_does() {
    replay("stream.resp");
}

#[test]
fn trimming_streams_replies_as_redis_does() {
    replay("stream_trim.resp");
}

#[test]
fn reading_streams_replies_as_redis_does() {
    replay("stream_read.resp");
}

#[test]
fn consumer_groups_reply_as_redis_does() {
    replay("stream_group.resp");
}

#[test]
fn pending_entries_reply_as_redis_does() {
    replay("stream_pending.resp");
}

#[test]
fn sets_reply_as_redis_does() {
    replay("set.resp");
}

#[test]
fn algebra_of_sets_replies_as_redis_does() {
    replay("set_algebra.resp");
}

#[test]
fn choices_and_scans_of_sets_reply_as_redis_does() {
    replay("set_random.resp");
}

#[test]
fn hashes_reply_as_redis_does() {
    replay("hash.resp");
}

#[test]
fn parts_of_hashes_reply_as_redis_does() {
    replay("hash_scan.resp");
}

#[test]
fn expiry_of_fields_replies_as_documented() {
    replay("hash_expire.resp");
}

#[test]
fn fields_with_their_expiry_reply_as_documented() {
    replay("hash_volatile.resp");
}

#[test]
fn ends_of_lists_reply_as_redis_does() {
    replay("list.resp");
}

#[test]
fn indexes_of_lists_reply_as_redis_does() {
    replay("list_index.resp");
}

#[test]
fn searching_lists_replies_as_redis_does() {
    replay("list_search.resp");
}

#[test]
fn moving_between_lists_replies_as_redis_does() {
    replay("list_move.resp");
}

#[test]
fn members_of_sorted_sets_reply_as_redis_does() {
    replay("sorted_set.resp");
}

#[test]
fn ranges_of_sorted_sets_reply_as_redis_does() {
    replay("sorted_set_range.resp");
}

#[test]
fn taking_from_sorted_sets_replies_as_redis_does() {
    replay("sorted_set_pop.resp");
}

#[test]
fn several_sorted_sets_reply_as_redis_does() {
    replay("sorted_set_algebra.resp");
}

#[test]
fn places_reply_as_redis_does() {
    replay("geo.resp");
}

#[test]
fn searches_for_places_reply_as_redis_does() {
    replay("geo_search.resp");
}

#[test]
fn newer_options_of_sorted_sets_reply_as_documented() {
    replay("sorted_set_newer.resp");
}

#[test]
fn sorting_replies_as_redis_does() {
    replay("sort.resp");
}

#[test]
fn dump_and_restore_reply_as_redis_does() {
    replay("key_dump.resp");
}
