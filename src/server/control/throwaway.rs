use std::io::{Read, Write};
use protocol::request::*;
use protocol::args::*;
use protocol::reply::*;
use super::command;
#[test]
fn serve() {
    let Ok(port) = std::env::var("SERVE_PORT") else { return };
    let l = std::net::TcpListener::bind(("127.0.0.1", port.parse().unwrap())).unwrap();
    let table: Vec<&'static commands::spec::Declaration> = super::declarations::ALL.iter().copied().chain(commands::all().map(|c| &c.declaration)).collect();
    for _ in 0..2 {
        let (mut s, _) = l.accept().unwrap();
        let mut buf = Vec::new(); let mut parser = RequestParser::new(); let mut words = Vec::new(); let mut resp = Resp::V2;
        let mut chunk = [0u8; 65536];
        loop {
            let n = s.read(&mut chunk).unwrap(); if n == 0 { break; }
            buf.extend_from_slice(&chunk[..n]);
            loop {
                if buf.is_empty() { break; }
                match parser.parse(&mut buf, &RequestLimits { bulk_bytes_max: 1 << 20, authenticated: true }, &mut words).unwrap() {
                    Progress::Incomplete { .. } => break,
                    Progress::Complete { consumed } => {
                        let mut out = Vec::new();
                        {
                            let args = Args::new(&buf, &words);
                            if args.word(0) == b"HELLO" && args.word(1) == b"3" { resp = Resp::V3; }
                            let mut r = Reply::new(&mut out, resp);
                            let sub = args.get(1).map(|w| w.to_ascii_lowercase()).unwrap_or_default();
                            let mut res = Ok(());
                            let found = table.iter().find(|d| args.word(0).eq_ignore_ascii_case(d.name.as_bytes())).unwrap();
                            if let Err(e) = found.resolve(args).or_else(|e| if args.len() == 1 { Ok(found) } else { Err(e) }) { r.error(&e.text(args)); }
                            else if args.word(0) == b"HELLO" { r.ok(); } else { match sub.as_slice() {
                                b"" => command::all(&table, &mut r), b"count" => command::count(&table, &mut r),
                                b"info" => command::info(&table, args, &mut r), b"docs" => command::docs(&table, args, &mut r),
                                b"list" => res = command::list(&table, args, &mut r), b"getkeys" => res = command::keys(&table, args, &mut r),
                                b"getkeysandflags" => res = command::keys_and_flags(&table, args, &mut r), _ => r.error("ERR x"),
                            } }
                            if let Err(e) = res { r.error(&e.text("command", Args::new(&buf, &words))); }
                        }
                        s.write_all(&out).unwrap();
                        buf.drain(..consumed); words.clear();
                    }
                }
            }
        }
    }
}
