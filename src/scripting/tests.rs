//! Scripts run against a few commands that answer what the test says.

use protocol::args::PackedArgs;
use protocol::reply::Resp;

use crate::running::{Resume, Running, Step};
use crate::scripts::{Environment, Limits, Scripting};

/// The words of `text`, parted by spaces.
fn words(text: &str) -> PackedArgs {
    let mut words = PackedArgs::new();
    for word in text.split_whitespace() {
        words.push_word(word.as_bytes());
    }
    words
}

/// Starts `source` with the given keys and arguments.
fn start(scripting: &mut Scripting, source: &str, keys: &str, args: &str) -> Running {
    let sha = scripting.load(source.as_bytes()).unwrap();
    let environment = Environment { resp: Resp::V2 };
    scripting
        .start(sha, words(keys).args(), words(args).args(), environment)
        .unwrap()
}

/// Runs a script to its end; every command is answered with its words as an array.
fn run_with(scripting: &mut Scripting, source: &str) -> String {
    let mut running = start(scripting, source, "", "");
    let mut step = running.resume(Resume::Begin);
    loop {
        step = match step {
            Step::Call { words, .. } | Step::CheckAcl { words } => {
                let mut reply = format!("*{}\r\n", words.args().len());
                for word in words.args().iter() {
                    let word = String::from_utf8_lossy(word);
                    reply.push_str(&format!("${}\r\n{word}\r\n", word.len()));
                }
                running.resume(Resume::Reply(reply.as_bytes()))
            }
            Step::Tick | Step::Log { .. } => running.resume(Resume::Continue),
            Step::Done(reply) => return String::from_utf8_lossy(&reply).into_owned(),
        };
    }
}

fn run(source: &str) -> String {
    run_with(&mut Scripting::new(Limits::default()), source)
}

#[test]
fn script_returns_keys_and_arguments() {
    let mut scripting = Scripting::new(Limits::default());
    let mut running = start(
        &mut scripting,
        "return {KEYS[1], ARGV[1], ARGV[2]}",
        "k",
        "a b",
    );
    let Step::Done(reply) = running.resume(Resume::Begin) else {
        panic!("a script without commands is done at once");
    };
    assert_eq!(reply, b"*3\r\n$1\r\nk\r\n$1\r\na\r\n$1\r\nb\r\n");
}

#[test]
fn command_waits_inside_of_callbacks_of_c() {
    let reply = run("local out = {}
         local ok = pcall(function()
             string.gsub('abc', '.', function(letter)
                 table.sort({3, 1, 2}, function(a, b)
                     out[#out + 1] = redis.call('echo', letter, a)[2]
                     return a < b
                 end)
             end)
         end)
         return table.concat(out)");
    assert!(reply.contains("aabbcc"), "{reply}");
}

#[test]
fn killed_script_cannot_catch_its_end() {
    let mut scripting = Scripting::new(Limits::default());
    let source = "while true do pcall(function() while true do end end) end";
    let mut running = start(&mut scripting, source, "", "");
    assert!(matches!(running.resume(Resume::Begin), Step::Tick));
    assert!(matches!(running.resume(Resume::Continue), Step::Tick));
    let Step::Done(reply) = running.resume(Resume::Kill(crate::running::KILLED)) else {
        panic!("a killed script is done");
    };
    let reply = String::from_utf8(reply).unwrap();
    assert!(
        reply.starts_with("-ERR Script killed by user with SCRIPT KILL... script: "),
        "{reply}"
    );
    assert_eq!(scripting.running_count(), 0);
}

#[test]
fn dropped_script_ends_first() {
    let mut scripting = Scripting::new(Limits::default());
    let source = "return pcall(redis.call, 'get', 'k')";
    let mut running = start(&mut scripting, source, "", "");
    assert!(matches!(running.resume(Resume::Begin), Step::Call { .. }));
    assert_eq!(scripting.running_count(), 1);
    drop(running);
    assert_eq!(scripting.running_count(), 0);
    drop(start(&mut scripting, source, "", ""));
    assert_eq!(scripting.running_count(), 0);
    assert_eq!(run_with(&mut scripting, "return 1"), ":1\r\n");
}
