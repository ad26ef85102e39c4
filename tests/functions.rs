//! Scripts and functions of libraries on several cores: what a call claims, which code it runs, and what is
//! kept of it.
//!
//! Not here: what functions answer (`differential`), reading a library (`scripts::declared_functions` of the
//! server).

use protocol::value::Value;

use crate::support::client::{Client, value_of};
use crate::support::server::Server;

const LIBRARY: &str = "#!lua name=lib
local suffix = '!'
local function decorated(text) return text .. suffix end
local function put(keys, args)
  for i, key in ipairs(keys) do redis.call('SET', key, decorated(args[1])) end
  return redis.call('GET', keys[1])
end
local function hidden(keys, args) return redis.call('GET', args[1]) end
redis.register_function('put', put)
redis.register_function{function_name='hidden', callback=hidden, flags={'no-writes'}}
";

/// How often calls came to run here, there, over several cores and everywhere, on all cores together.
fn counts(client: &mut Client) -> [u64; 4] {
    let Value::Bulk(info) = client.line("INFO trestle") else {
        panic!("INFO is text");
    };
    let info = String::from_utf8(info).unwrap();
    ["here", "there", "several", "everywhere"].map(|kind| {
        let name = format!("scripts_{kind}=");
        info.split(&name)
            .skip(1)
            .map(|rest| {
                let end = rest.find(|sign: char| !sign.is_ascii_digit());
                rest[..end.unwrap_or(rest.len())].parse::<u64>().unwrap()
            })
            .sum()
    })
}

#[test]
fn a_function_that_names_only_its_keys_claims_only_them() {
    let server = Server::trestle(4, &[]);
    let mut client = server.client();
    assert_eq!(
        client.request(&["FUNCTION", "LOAD", LIBRARY]),
        Value::Bulk(b"lib".to_vec())
    );
    for number in 0..40 {
        let key = format!("key:{number}");
        let reply = client.request(&["FCALL", "PUT", "1", &key, "value"]);
        assert_eq!(reply, Value::Bulk(b"value!".to_vec()));
    }
    let [here, there, several, everywhere] = counts(&mut client);
    // One that is sent to another core is counted there too, as one that runs here.
    assert!(here >= 40 && there <= 40, "{here} {there}");
    assert_eq!((several, everywhere), (0, 0));
    let keys: Vec<String> = (0..12).map(|number| format!("other:{number}")).collect();
    let mut words = vec!["FCALL", "put", "12"];
    words.extend(keys.iter().map(String::as_str));
    words.push("more");
    assert_eq!(client.request(&words), Value::Bulk(b"more!".to_vec()));
    let after = counts(&mut client);
    assert_eq!((after[2], after[3]), (1, 0));
    let reply = client.request(&["FCALL_RO", "hidden", "0", "other:7"]);
    assert_eq!(reply, Value::Bulk(b"more!".to_vec()));
    assert_eq!(counts(&mut client)[3], 1);
}

#[test]
fn a_call_runs_the_function_that_was_there_when_it_was_sent() {
    let server = Server::trestle(4, &[]);
    let mut client = server.client();
    client.ok("SET elsewhere two");
    let declared = "#!lua name=lib\nredis.register_function('f', function(keys) \
                    redis.call('SET', keys[1], 'one') return redis.call('GET', keys[1]) end)";
    let hidden = "#!lua name=lib\nredis.register_function('f', function(keys) \
                  redis.call('SET', keys[1] .. ':2', 'two') return redis.call('GET', 'elsewhere') end)";
    for number in 0..100 {
        let key = format!("key:{number}");
        for code in [declared, hidden] {
            client.send(&["FUNCTION", "LOAD", "REPLACE", code]).unwrap();
            client.send(&["FCALL", "f", "1", &key]).unwrap();
        }
        client.send(&["MULTI"]).unwrap();
        client
            .send(&["FUNCTION", "LOAD", "REPLACE", declared])
            .unwrap();
        client.send(&["FCALL", "f", "1", &key]).unwrap();
        client
            .send(&["FUNCTION", "LOAD", "REPLACE", hidden])
            .unwrap();
        client.send(&["FCALL", "f", "1", &key]).unwrap();
        client.send(&["EXEC"]).unwrap();
        let mut next = || value_of(&client.read_reply().unwrap());
        let bulk = |text: &str| Value::Bulk(text.as_bytes().to_vec());
        for expected in ["lib", "one", "lib", "two"] {
            assert_eq!(next(), bulk(expected), "round {number}");
        }
        for _ in 0..5 {
            next();
        }
        let expected = ["lib", "one", "lib", "two"].map(bulk).to_vec();
        assert_eq!(next(), Value::Array(expected), "round {number}");
    }
}

#[test]
fn a_script_that_is_forgotten_behind_its_call_stays_forgotten() {
    let server = Server::trestle(4, &[]);
    let mut client = server.client();
    for number in 0..60 {
        let source = format!("return redis.call('GET', KEYS[1]) or '{number}'");
        let Value::Bulk(sha) = client.request(&["SCRIPT", "LOAD", &source]) else {
            panic!("a name is text");
        };
        let sha = String::from_utf8(sha).unwrap();
        client.ok("SCRIPT FLUSH");
        let key = format!("key:{number}");
        client.send(&["EVAL", &source, "1", &key]).unwrap();
        client.send(&["SCRIPT", "FLUSH"]).unwrap();
        assert_eq!(
            value_of(&client.read_reply().unwrap()),
            Value::Bulk(number.to_string().into_bytes())
        );
        assert_eq!(client.read_reply().unwrap(), b"+OK\r\n");
        let known = client.line(&format!("SCRIPT EXISTS {sha}"));
        assert_eq!(known, Value::Array(vec![Value::Integer(0)]), "{key}");
    }
}
