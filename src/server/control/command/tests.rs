//! Expected replies are what Redis 7.0.15 sends, CR LF shown as a space; where it has sentences of
//! its own, ours stand.

use commands::spec::{Arity, BeginSearch, Docs, FindKeys, Flags, KeySpec};
use protocol::args::PackedArgs;
use protocol::reply::Resp;

use super::*;
use crate::control::declarations::{ALL, cluster, connection, server};

/// Data-plane commands as far as finding keys needs them; not those of the crate `commands`, so
/// that these tests do not change with it.
const DATA: &[&Declaration] = &[
    &data("set", 3, Flags::WRITE, &[KeySpec::at(1, VARIABLE)]),
    &data("bitfield", 2, Flags::WRITE, &[KeySpec::at(1, VARIABLE)]),
    &data(
        "mget",
        2,
        Flags::READONLY,
        &[KeySpec::range(1, -1, 1, &["RO", "access"])],
    ),
    &data(
        "spublish",
        3,
        Flags::PUBSUB,
        &[KeySpec::at(1, &["not_key"])],
    ),
    &data(
        "zunionstore",
        4,
        Flags::WRITE,
        &[
            KeySpec::at(1, &["OW", "update"]),
            KeySpec::counted(2, &["RO", "access"]),
        ],
    ),
    &data(
        "evalsha",
        3,
        EVALSHA,
        &[KeySpec::counted(2, &["RW", "access", "update"])],
    )
    .categories(&[Category::Scripting]),
    &data(
        "xread",
        4,
        Flags::READONLY
            .and(Flags::BLOCKING)
            .and(Flags::MOVABLE_KEYS),
        &[KeySpec {
            notes: "",
            flags: &["RO", "access"],
            begin: BeginSearch::Keyword("STREAMS", 1),
            find: FindKeys::Range {
                last: -1,
                step: 1,
                limit: 2,
            },
        }],
    )
    .categories(&[Category::Stream]),
];

const VARIABLE: &[&str] = &["RW", "access", "update", "variable_flags"];

const EVALSHA: Flags = Flags::NO_SCRIPT
    .and(Flags::STALE)
    .and(Flags::SKIP_MONITOR)
    .and(Flags::NO_MANDATORY_KEYS)
    .and(Flags::MOVABLE_KEYS);

const fn data(
    name: &'static str,
    words_min: u8,
    flags: Flags,
    keys: &'static [KeySpec],
) -> Declaration {
    Declaration::new(name, Arity::AtLeast(words_min), flags)
        .keys(keys)
        .docs(Docs::new("generic", "1.0.0", "S", ""))
}

/// Runs one request `COMMAND ...` as the dispatcher would, and returns the reply with CR LF shown
/// as a space.
fn reply_to(resp: Resp, request: &str) -> String {
    let table: Vec<&'static Declaration> = ALL.iter().chain(DATA).copied().collect();
    let mut packed = PackedArgs::new();
    request
        .split_whitespace()
        .for_each(|word| packed.push_word(word.as_bytes()));
    let args = packed.args();
    let mut out = Vec::new();
    let mut reply = Reply::new(&mut out, resp);
    let subcommand = args
        .get(1)
        .map(<[u8]>::to_ascii_lowercase)
        .unwrap_or_default();
    let result = match subcommand.as_slice() {
        b"" => {
            all(&table, &mut reply);
            Ok(())
        }
        b"count" => {
            count(&table, &mut reply);
            Ok(())
        }
        b"info" => {
            info(&table, args, &mut reply);
            Ok(())
        }
        b"docs" => {
            docs(&table, args, &mut reply);
            Ok(())
        }
        b"help" => {
            help(&server::COMMAND, &mut reply);
            Ok(())
        }
        b"list" => list(&table, args, &mut reply),
        b"getkeys" => keys(&table, args, &mut reply),
        b"getkeysandflags" => keys_and_flags(&table, args, &mut reply),
        _ => panic!("no such subcommand: {request}"),
    };
    match result {
        Ok(()) => String::from_utf8(out).unwrap().replace("\r\n", " "),
        Err(error) => {
            assert!(out.is_empty(), "{request}: a refused request has written");
            format!("-{} ", error.text("command", args))
        }
    }
}

#[track_caller]
fn check(resp: Resp, request: &str, expected: &str) {
    assert_eq!(reply_to(resp, request), expected, "{request}");
}

/// A sentence of ours as it stands in a reply.
fn bulk(text: &str) -> String {
    format!("${} {text}", text.len())
}

#[test]
fn info_in_resp2_is_made_of_arrays() {
    check(
        Resp::V2,
        "COMMAND INFO memory|usage WATCH nosuch",
        "*3 *10 $12 memory|usage :-3 *1 +readonly :2 :2 :1 *2 +@read +@slow *0 *1 *6 $5 flags *1 \
         +RO $12 begin_search *4 $4 type $5 index $4 spec *2 $5 index :2 $9 find_keys *4 $4 type \
         $5 range $4 spec *6 $7 lastkey :0 $7 keystep :1 $5 limit :0 *0 *10 $5 watch :-2 *5 \
         +noscript +loading +stale +fast +allow_busy :1 :-1 :1 *2 +@fast +@transaction *0 *1 *6 \
         $5 flags *1 +RO $12 begin_search *4 $4 type $5 index $4 spec *2 $5 index :1 $9 find_keys \
         *4 $4 type $5 range $4 spec *6 $7 lastkey :-1 $7 keystep :1 $5 limit :0 *0 $-1 ",
    );
}

#[test]
fn info_in_resp3_has_sets_and_maps() {
    check(
        Resp::V3,
        "COMMAND INFO MEMORY|usage nosuch memory| memory|usage|x",
        "*4 *10 $12 memory|usage :-3 ~1 +readonly :2 :2 :1 ~2 +@read +@slow ~0 ~1 %3 $5 flags ~1 \
         +RO $12 begin_search %2 $4 type $5 index $4 spec %1 $5 index :2 $9 find_keys %2 $4 type \
         $5 range $4 spec %3 $7 lastkey :0 $7 keystep :1 $5 limit :0 ~0 _ _ _ ",
    );
}

#[test]
fn info_shows_searches_by_keyword_and_by_number_of_keys() {
    check(
        Resp::V3,
        "COMMAND INFO evalsha xread",
        "*2 *10 $7 evalsha :-3 ~5 +noscript +stale +skip_monitor +no_mandatory_keys +movablekeys \
         :0 :0 :0 ~2 +@slow +@scripting ~0 ~1 %3 $5 flags ~3 +RW +access +update $12 begin_search \
         %2 $4 type $5 index $4 spec %1 $5 index :2 $9 find_keys %2 $4 type $6 keynum $4 spec %3 \
         $9 keynumidx :0 $8 firstkey :1 $7 keystep :1 ~0 *10 $5 xread :-4 ~3 +readonly +blocking \
         +movablekeys :0 :0 :0 ~4 +@read +@stream +@slow +@blocking ~0 ~1 %3 $5 flags ~2 +RO \
         +access $12 begin_search %2 $4 type $7 keyword $4 spec %2 $7 keyword $7 STREAMS $9 \
         startfrom :1 $9 find_keys %2 $4 type $5 range $4 spec %3 $7 lastkey :-1 $7 keystep :1 $5 \
         limit :2 ~0 ",
    );
}

#[test]
fn info_of_a_container_holds_an_array_of_its_subcommands() {
    let reply = reply_to(Resp::V3, "COMMAND INFO slowlog");
    assert!(reply.starts_with("*1 *10 $7 slowlog :-2 ~0 :0 :0 :0 ~1 +@slow ~0 ~0 *4 *10 $11 "));
    assert!(reply.contains(
        "*10 $11 slowlog|len :2 ~3 +admin +loading +stale :0 :0 :0 ~3 +@admin +@slow +@dangerous ~3 \
         $24 request_policy:all_nodes $23 response_policy:agg_sum $23 nondeterministic_output ~0 ~0 "
    ));
}

#[test]
fn docs_leave_out_fields_without_content() {
    let slots = &cluster::CLUSTER_SLOTS.docs;
    let debug = &server::DEBUG.docs;
    let expected = format!(
        "%2 $13 cluster|slots %8 $7 summary {} $5 since $5 3.0.0 $5 group $7 cluster $10 complexity \
         {} $9 doc_flags ~1 +deprecated $16 deprecated_since $5 7.0.0 $11 replaced_by $16 `CLUSTER \
         SHARDS` $7 history ~2 *2 $5 4.0.0 {} *2 $5 7.0.0 {} $5 debug %5 $7 summary {} $5 since $5 \
         1.0.0 $5 group $6 server $10 complexity {} $9 doc_flags ~1 +syscmd ",
        bulk(slots.summary),
        bulk(slots.complexity),
        bulk(slots.history[0].1),
        bulk(slots.history[1].1),
        bulk(debug.summary),
        bulk(debug.complexity),
    );
    check(
        Resp::V3,
        "COMMAND DOCS cluster|slots nosuch DEBUG",
        &expected,
    );
    check(Resp::V2, "COMMAND DOCS nosuch", "*0 ");
    check(Resp::V3, "COMMAND DOCS nosuch", "%0 ");
}

#[test]
fn docs_show_arguments_as_a_tree() {
    let shutdown = &server::SHUTDOWN.docs;
    let expected = format!(
        "*2 $8 shutdown *12 $7 summary {} $5 since $5 1.0.0 $5 group $6 server $10 complexity {} $7 \
         history *1 *2 $5 7.0.0 {} $9 arguments *4 *8 $4 name $11 nosave_save $4 type $5 oneof $5 \
         flags *1 +optional $9 arguments *2 *6 $4 name $6 nosave $4 type $10 pure-token $5 token $6 \
         NOSAVE *6 $4 name $4 save $4 type $10 pure-token $5 token $4 SAVE *10 $4 name $3 now $4 \
         type $10 pure-token $5 token $3 NOW $5 since $5 7.0.0 $5 flags *1 +optional *10 $4 name $5 \
         force $4 type $10 pure-token $5 token $5 FORCE $5 since $5 7.0.0 $5 flags *1 +optional *10 \
         $4 name $5 abort $4 type $10 pure-token $5 token $5 ABORT $5 since $5 7.0.0 $5 flags *1 \
         +optional ",
        bulk(shutdown.summary),
        bulk(shutdown.complexity),
        bulk(shutdown.history[0].1),
    );
    check(Resp::V2, "COMMAND DOCS shutdown", &expected);
}

#[test]
fn every_command_is_counted_and_shown_once() {
    let top = ALL.len() + DATA.len();
    check(Resp::V2, "COMMAND COUNT", &format!(":{top} "));
    for request in ["COMMAND", "COMMAND INFO"] {
        assert!(
            reply_to(Resp::V2, request).starts_with(&format!("*{top} *10 ")),
            "{request}"
        );
    }
    assert!(reply_to(Resp::V3, "COMMAND DOCS").starts_with(&format!("%{top} ")));
    let subcommands: usize = ALL
        .iter()
        .map(|declaration| declaration.subcommands.len())
        .sum();
    assert!(reply_to(Resp::V3, "COMMAND LIST").starts_with(&format!("*{} ", top + subcommands)));
}

#[test]
fn list_filters_by_category_and_pattern() {
    check(
        Resp::V3,
        "command list filterby aclcat TRANSACTION",
        "*5 $5 multi $4 exec $7 discard $5 watch $7 unwatch ",
    );
    check(
        Resp::V2,
        "COMMAND LIST FILTERBY PATTERN SlowLog|*",
        "*4 $11 slowlog|get $11 slowlog|len $13 slowlog|reset $12 slowlog|help ",
    );
    for filter in [
        "MODULE x",
        "ACLCAT @transaction",
        "ACLCAT nosuch",
        "PATTERN nosuch",
    ] {
        check(Resp::V3, &format!("COMMAND LIST FILTERBY {filter}"), "*0 ");
    }
    for filter in [
        "x",
        "FILTERBY",
        "FILTERBY x y",
        "FILTERBY PATTERN",
        "FILTERBY PATTERN a b",
    ] {
        check(
            Resp::V2,
            &format!("COMMAND LIST {filter}"),
            "-ERR syntax error ",
        );
    }
}

#[test]
fn getkeys_finds_keys_by_every_kind_of_search() {
    for (request, expected) in [
        ("Mget a b", "*2 $1 a $1 b "),
        ("Memory USAGE a b c", "*1 $1 a "),
        ("zunionstore d 2 a b c", "*3 $1 d $1 a $1 b "),
        ("xread count 2 streams a b 1 1", "*2 $1 a $1 b "),
        ("evalsha x 1 k", "*1 $1 k "),
        ("evalsha x 0", "*0 "),
        ("evalsha x 5 a", "*0 "),
        ("evalsha x a", "*0 "),
    ] {
        check(Resp::V3, &format!("COMMAND GETKEYS {request}"), expected);
    }
}

#[test]
fn getkeys_says_why_there_are_none() {
    for (request, expected) in [
        ("nosuch a", "-ERR Invalid command specified "),
        ("client nosuch", "-ERR Invalid command specified "),
        ("client|list x", "-ERR Invalid command specified "),
        ("client list", "-ERR The command has no key arguments "),
        ("time a", "-ERR The command has no key arguments "),
        ("spublish a b", "-ERR The command has no key arguments "),
        (
            "set a",
            "-ERR Invalid number of arguments specified for command ",
        ),
        (
            "memory usage",
            "-ERR Invalid number of arguments specified for command ",
        ),
        (
            "zunionstore d 0 a",
            "-ERR Invalid arguments specified for command ",
        ),
        (
            "zunionstore d 9 a",
            "-ERR Invalid arguments specified for command ",
        ),
        (
            "zunionstore d x a",
            "-ERR Invalid arguments specified for command ",
        ),
        (
            "xread foo bar baz",
            "-ERR Invalid arguments specified for command ",
        ),
    ] {
        check(Resp::V3, &format!("COMMAND GETKEYS {request}"), expected);
        check(
            Resp::V2,
            &format!("COMMAND GETKEYSANDFLAGS {request}"),
            expected,
        );
    }
}

#[test]
fn getkeysandflags_looks_at_options_where_the_flags_depend_on_them() {
    let (reads, writes, both) = ("~2 +RO +access", "~2 +OW +update", "~3 +RW +access +update");
    for (request, flags) in [
        ("set a get", writes),
        ("set a b ex", writes),
        ("set a b ex GeT", both),
        ("bitfield a", reads),
        ("bitfield a GET u8 0 overflow wrap", reads),
        ("bitfield a get get get", reads),
        ("bitfield a get u8", both),
        ("bitfield a get u8 0 set u8 0 1", both),
        ("bitfield a nonsense", both),
    ] {
        let expected = format!("*1 *2 $1 a {flags} ");
        check(
            Resp::V3,
            &format!("COMMAND GETKEYSANDFLAGS {request}"),
            &expected,
        );
    }
    check(
        Resp::V2,
        "COMMAND GETKEYSANDFLAGS watch a",
        "*1 *2 $1 a *1 +RO ",
    );
}

#[test]
fn help_has_two_lines_for_each_subcommand() {
    let reply = reply_to(Resp::V2, "COMMAND HELP");
    let lines = 1 + 2 * server::COMMAND.subcommands.len();
    assert!(reply.starts_with(&format!("*{lines} +COMMAND ")));
    assert_eq!(reply.matches('+').count(), lines);
    assert!(
        reply.contains("+LIST [FILTERBY <MODULE module-name|ACLCAT category|PATTERN pattern>] ")
    );
    assert!(reply.contains("+DOCS [command-name [command-name ...]] "));
}

#[test]
fn form_of_arguments_shows_choices_and_repetition() {
    let form = |declaration: &Declaration| {
        let mut form = String::new();
        declaration
            .docs
            .arguments
            .iter()
            .for_each(|argument| push_form(argument, &mut form));
        form
    };
    assert_eq!(form(&connection::CLIENT_REPLY), "<ON|OFF|SKIP>");
    assert_eq!(
        form(&server::CONFIG_SET),
        "parameter value [parameter value ...]"
    );
    assert_eq!(form(&server::LOLWUT), "[VERSION version]");
    assert_eq!(
        form(&connection::HELLO),
        "[protover [AUTH username password] [SETNAME clientname]]"
    );
}

#[test]
fn names_are_lower_case_and_unique() {
    let mut names: Vec<String> = Vec::new();
    for declaration in ALL {
        let command = Named::top(declaration);
        names.extend(
            std::iter::once(command)
                .chain(command.subcommands())
                .map(Named::full_name),
        );
    }
    assert!(names.iter().all(|name| *name == name.to_ascii_lowercase()));
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}
