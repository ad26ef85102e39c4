//! Whole connections, byte for byte: what is no request, and when the connection ends.
//!
//! Each script is sent, followed by `QUIT` and the end of input, and everything that comes back until
//! the server closes the connection is compared. A server that goes on where Redis hangs up shows by
//! its answers to what follows, one that hangs up too early by their lack.

use super::SHARDS;
use super::differences::raw_reply_for;
use crate::support::client::{Client, encode};
use crate::support::server::Server;

/// Name and bytes.
const SCRIPTS: &[(&str, &[u8])] = &[
    ("inline", b"PING\r\nSET a 1\r\nGET a\r\n"),
    ("inline with line feeds only", b"PING\nECHO x\n"),
    ("inline with quotes", b"ECHO \"a b\"\r\nECHO 'it\\'s'\r\nECHO \"\\x41\\n\\t\\\\\"\r\n"),
    ("inline with empty words", b"ECHO \"\"\r\nSET \"\" ''\r\nGET \"\"\r\n"),
    ("inline with much space", b"  PING  \r\n\r\n   \r\n\t PING\t\r\n"),
    ("inline with a zero byte", b"ECHO a\0b\r\nPING\r\n"),
    ("unbalanced quotes", b"ECHO \"a\r\nPING\r\n"),
    ("unbalanced single quotes", b"ECHO 'a\r\nPING\r\n"),
    ("text right after a quote", b"ECHO \"a\"b\r\nPING\r\n"),
    ("quote inside a word", b"ECHO a\"b c\"\r\nPING\r\n"),
    ("inline and multibulk in turn", b"PING\r\n*1\r\n$4\r\nPING\r\nPING\r\n"),
    ("no words", b"*0\r\nPING\r\n"),
    ("negative count of words", b"*-1\r\n*-100\r\nPING\r\n"),
    ("count is no number", b"*abc\r\nPING\r\n"),
    ("count is empty", b"*\r\nPING\r\n"),
    ("count has a space", b"* 1\r\n$4\r\nPING\r\n"),
    ("count has a plus", b"*+1\r\n$4\r\nPING\r\n"),
    ("count has a leading zero", b"*01\r\n$4\r\nPING\r\n"),
    ("count is too big", b"*1048577\r\nPING\r\n"),
    ("count is far too big", b"*99999999999999999999\r\nPING\r\n"),
    ("count is as big as an int", b"*2147483648\r\nPING\r\n"),
    ("no dollar", b"*1\r\nxyz\r\nPING\r\n"),
    ("a colon for a dollar", b"*1\r\n:4\r\nPING\r\n"),
    ("unprintable for a dollar", b"*1\r\n\x01\r\nPING\r\n"),
    ("empty line for a dollar", b"*1\r\n\r\nPING\r\n"),
    ("negative length", b"*1\r\n$-1\r\nPING\r\n"),
    ("length is no number", b"*1\r\n$abc\r\nPING\r\n"),
    ("length is empty", b"*1\r\n$\r\nPING\r\n"),
    ("length has a leading zero", b"*1\r\n$04\r\nPING\r\n"),
    ("length is above the limit", b"*1\r\n$536870913\r\nPING\r\n"),
    ("length is far above the limit", b"*1\r\n$99999999999999999999\r\nPING\r\n"),
    ("wrong end of a word", b"*1\r\n$4\r\nPINGxxPING\r\n"),
    ("empty command", b"*1\r\n$0\r\n\r\nPING\r\n"),
    ("unknown command", b"NOSUCH a b c\r\nPING\r\n"),
    ("unknown command with line ends", b"*2\r\n$6\r\nNO\r\nSU\r\n$2\r\n\r\n\r\n"),
    ("unknown command of 200 bytes", &[b'x'; 200]),
    ("unknown subcommand", b"CLIENT NOSUCH a\r\nCONFIG\r\nOBJECT x y z\r\n"),
    ("wrong number of words", b"GET\r\nGET a b\r\nSET a\r\nMGET\r\nMSET a\r\nMSET a 1 b\r\n"),
    ("errors in a transaction", b"MULTI\r\nGET\r\nEXEC\r\nMULTI\r\nNOSUCH\r\nEXEC\r\n"),
    ("quit in the middle", b"SET a 1\r\nQUIT\r\nSET a 2\r\n"),
    ("quit with words", b"QUIT now\r\nPING\r\n"),
    ("quit in a transaction", b"MULTI\r\nSET a 3\r\nQUIT\r\nEXEC\r\n"),
    ("replies off and on", b"CLIENT REPLY OFF\r\nPING\r\nNOSUCH\r\nCLIENT REPLY ON\r\nPING\r\n"),
    ("replies off until quit", b"PING\r\nCLIENT REPLY OFF\r\nPING\r\n"),
    (
        "one reply left out",
        b"CLIENT REPLY SKIP\r\nPING\r\nECHO a\r\nCLIENT REPLY SKIP\r\nCLIENT REPLY SKIP\r\nECHO b\r\nECHO c\r\n",
    ),
    ("replies off in a transaction", b"MULTI\r\nCLIENT REPLY SKIP\r\nPING\r\nEXEC\r\nPING\r\n"),
    ("replies off and a protocol error", b"CLIENT REPLY OFF\r\n*x\r\n"),
    ("replies off and reset", b"CLIENT REPLY OFF\r\nRESET\r\nPING\r\n"),
    ("hello", b"HELLO 4\r\nHELLO 3 AUTH\r\nHELLO 3 SETNAME\r\nHELLO 3 NOSUCH\r\nPING\r\n"),
    ("nulls of RESP3 after hello", b"CLIENT REPLY SKIP\r\nHELLO 3\r\nGET x\r\nMGET x y\r\nHELLO 2 x\r\n"),
    ("a web browser posts", b"POST / HTTP/1.1\r\nHost: x\r\n\r\nPING\r\n"),
    ("a web browser's header", b"Host: x\r\nPING\r\n"),
];

/// Returns the scripts of the table and those that need to be made.
fn scripts() -> Vec<(String, Vec<u8>)> {
    let mut scripts: Vec<(String, Vec<u8>)> = SCRIPTS
        .iter()
        .map(|(name, bytes)| ((*name).to_owned(), bytes.to_vec()))
        .collect();
    let mut add = |name: &str, bytes: Vec<u8>| scripts.push((name.to_owned(), bytes));
    add(
        "long inline",
        [&b"ECHO "[..], &vec![b'a'; 60_000], b"\r\n"].concat(),
    );
    add("too long inline", vec![b'a'; 70_000]);
    add("too long count", [&b"*"[..], &vec![b'1'; 70_000]].concat());
    add(
        "too long length",
        [&b"*1\r\n$"[..], &vec![b'1'; 70_000]].concat(),
    );
    let mut many = b"ECHO".to_vec();
    many.extend(b" x".repeat(5000));
    many.extend_from_slice(b"\r\n");
    add("inline of many words", many);
    for size in [0, 1, 127, 128, 129] {
        let mut bytes = Vec::new();
        encode(
            &[vec![b'n'; size], vec![b'a'; size], vec![b'b'; size]],
            &mut bytes,
        );
        add(&format!("unknown command of {size} letters"), bytes);
    }
    let mut bytes = Vec::new();
    encode(
        &[
            b"nosuch".to_vec(),
            vec![b'a'; 100],
            vec![b'b'; 100],
            vec![0; 3],
        ],
        &mut bytes,
    );
    add("unknown command with long words", bytes);
    scripts
}

/// Sends `bytes` and `QUIT` in pieces of `piece` bytes and returns all that comes back.
fn converse(server: &Server, bytes: &[u8], piece: usize) -> String {
    let mut setup = server.client();
    setup.ok("FLUSHALL");
    let mut client = Client::connect(server.port);
    let mut whole = bytes.to_vec();
    whole.extend_from_slice(b"\r\nQUIT\r\n");
    for part in whole.chunks(piece) {
        // A server that has hung up already refuses the rest; what it said counts.
        if client.send_bytes(part).is_err() {
            break;
        }
    }
    // With replies off, Redis never gets around to hanging up; the end of input makes it.
    drop(client.close_sending());
    match client.read_to_end(1 << 20) {
        Ok(reply) => reply.escape_ascii().to_string(),
        Err(error) => format!("the connection stays open: {error}"),
    }
}

/// Compares what the servers say; returns the first difference.
fn compare(redis: &Server, servers: &[Server], name: &str, bytes: &[u8]) -> Option<String> {
    for piece in [usize::MAX, 7, 1] {
        if bytes.len() / piece > 5000 {
            continue;
        }
        let expected = match raw_reply_for(name) {
            Some(ours) => ours.as_bytes().escape_ascii().to_string(),
            None => converse(redis, bytes, piece),
        };
        for server in servers {
            let actual = converse(server, bytes, piece);
            if actual != expected {
                let name = &server.name;
                return Some(format!(
                    "{name}, in pieces of {piece}:\n  Wanted  {expected}\n  Trestle {actual}"
                ));
            }
        }
    }
    None
}

#[test]
fn connections_get_the_bytes_of_redis() {
    let redis = Server::redis(&[]);
    let servers = SHARDS.map(|shards| Server::trestle(shards, &[]));
    let mut failures = 0;
    for (name, bytes) in scripts() {
        if let Some(report) = compare(&redis, &servers, &name, &bytes) {
            failures += 1;
            eprintln!("{name}, {report}");
        }
    }
    assert_eq!(failures, 0, "connections that differ");
}
