//! Scripts that want more than there is: stack, memory, time; and random bytes for all decoders.

use base::random::Random;
use protocol::args::PackedArgs;
use protocol::reply::Resp;

use crate::running::{KILLED_SCRIPT, Resume, Running, Step};
use crate::scripts::{Environment, Limits, Scripting};

/// Starts `source` with `words` as ARGV.
fn start(scripting: &mut Scripting, source: &str, words: &[&[u8]]) -> Running {
    let sha = scripting.load(source.as_bytes()).unwrap();
    let mut args = PackedArgs::new();
    for word in words {
        args.push_word(word);
    }
    let environment = Environment { resp: Resp::V2 };
    scripting
        .start(sha, PackedArgs::new().args(), args.args(), environment)
        .unwrap()
}

/// Runs to the end; commands are answered with 1.
fn finish(mut running: Running) -> String {
    let mut step = running.resume(Resume::Begin);
    loop {
        step = match step {
            Step::Call { .. } | Step::CheckAcl { .. } => running.resume(Resume::Reply(b":1\r\n")),
            Step::Tick | Step::Log { .. } => running.resume(Resume::Continue),
            Step::Done(reply) => return String::from_utf8_lossy(&reply).into_owned(),
        };
    }
}

fn run(source: &str) -> String {
    let mut scripting = Scripting::new(Limits::default());
    let running = start(&mut scripting, source, &[]);
    finish(running)
}

#[track_caller]
fn check_ends(source: &str) {
    let mut scripting = Scripting::new(Limits::default());
    let running = start(&mut scripting, source, &[]);
    let reply = finish(running);
    assert!(!reply.is_empty(), "{source}");
    let running = start(&mut scripting, "return 'alive'", &[]);
    assert_eq!(finish(running), "$5\r\nalive\r\n", "after {source}");
}

/// Each of these nests until Lua's own limit stops it, with frames of C as large as they can be.
#[test]
fn nesting_meets_lua_s_limit_before_the_end_of_the_stack() {
    for source in [
        "local function f() return pcall(f) end return tostring(f())",
        "local function f() return xpcall(f, f) end return tostring(f())",
        "local function f() return (('x'):gsub('x', f)) end return tostring(pcall(f))",
        "local function f() return (('x'):rep(9000):gsub('x+', f)) end return tostring(pcall(f))",
        "local function f() table.sort({2, 1, 3}, f) return true end return tostring(pcall(f))",
        "local function f() table.foreach({1}, f) end return tostring(pcall(f))",
        "local function f() table.foreachi({1}, f) end return tostring(pcall(f))",
        "local t = setmetatable({}, {}) getmetatable(t).__tostring = tostring
         return tostring(pcall(tostring, t))",
        "local t = setmetatable({}, {}) getmetatable(t).__index = function(s, k) return s[k] end
         return tostring(pcall(function() return t.x end))",
        "local t = setmetatable({}, {}) getmetatable(t).__concat = function(a) return a .. 'x' end
         return tostring(pcall(function() return t .. 'x' end))",
        "local t = setmetatable({}, {}) getmetatable(t).__lt = function(a, b) return b < a end
         local u = setmetatable({}, getmetatable(t))
         return tostring(pcall(function() return t < u end))",
        "local t = setmetatable({}, {}) getmetatable(t).__call = function(s) return s() .. '' end
         return tostring(pcall(t))",
        "local function f() return coroutine.wrap(f)() end return tostring(pcall(f))",
        "local function f() local c = coroutine.create(f) return coroutine.resume(c) end
         return tostring(f())",
        "local function f() return pcall(string.gsub, 'x', 'x', f) end return tostring(f())",
        "local function f() f() f() end return tostring(pcall(f))",
        "return tostring(loadstring('return ' .. ('('):rep(5000) .. '1' .. (')'):rep(5000)))",
        "return tostring(loadstring('return ' .. ('{'):rep(5000) .. ('}'):rep(5000)))",
        "return tostring(loadstring(('do '):rep(5000) .. ('end '):rep(5000)))",
        "return tostring(loadstring('return ' .. ('function() return '):rep(5000)))",
        "return tostring(loadstring('return ' .. ('-'):rep(100000) .. '1'))",
        "return tostring(loadstring('return ' .. ('not '):rep(100000) .. '1'))",
        "return tostring(loadstring('return ' .. ('1 ..'):rep(100000) .. '1'))",
        "return tostring(loadstring('return ' .. ('a.'):rep(100000) .. 'a'))",
        "return tostring(loadstring(('if a then else'):rep(5000) .. (' end'):rep(5000)))",
    ] {
        check_ends(source);
    }
}

#[test]
fn nested_data_meets_a_limit_before_the_end_of_the_stack() {
    let nest = "local t = {} local top = t for i = 1, 200000 do t[1] = {} t = t[1] end ";
    for rest in [
        "return top",
        "return cjson.encode(top)",
        "cjson.encode_max_depth(2147483647) return cjson.encode(top)",
        "return #cmsgpack.pack(top)",
        "return redis.call('x')",
    ] {
        check_ends(&format!("{nest}{rest}"));
    }
    for source in [
        "cjson.decode_max_depth(2147483647) return cjson.decode(('['):rep(500000))",
        "cjson.decode_max_depth(2147483647) return cjson.decode(('{\"a\":'):rep(500000))",
        "return cmsgpack.unpack(('\\145'):rep(500000))",
        "return cmsgpack.unpack(('\\129'):rep(500000))",
        "local t = {} t.t = t t[1] = t return t",
        "local t = {} t.map = t return t",
        "local t = {} t.set = {[t] = true} return t",
    ] {
        check_ends(source);
    }
}

#[test]
fn patterns_that_recurse_deep_are_refused_at_any_depth_of_calls() {
    for pattern in [
        "('a?'):rep(100000)",
        "('a-'):rep(100000)",
        "('(a'):rep(100000)",
        "('.*'):rep(100000)",
        "('()'):rep(100000)",
        "('a?'):rep(299)",
        "('%b()'):rep(10000)",
        "('%f[a]'):rep(100000)",
        "('%1'):rep(100000)",
    ] {
        for call in ["find", "match", "gsub", "gmatch"] {
            check_ends(&format!(
                "local s = ('a'):rep(50) return tostring(pcall(string.{call}, s, {pattern}, ''))"
            ));
        }
        check_ends(&format!(
            "local p = {pattern}
             local function f()
                 pcall(string.find, 'aaaaaaaaaa', p)
                 return (('x'):rep(9000):gsub('x+', f))
             end
             return tostring(pcall(f))"
        ));
    }
}

#[test]
fn reply_that_is_nested_deep_is_an_error() {
    let mut scripting = Scripting::new(Limits::default());
    for nested in [
        b"*1\r\n".repeat(300_000),
        b"|1\r\n".repeat(300_000),
        b"%1\r\n".repeat(300_000),
    ] {
        let mut running = start(&mut scripting, "return redis.call('x')", &[]);
        assert!(matches!(running.resume(Resume::Begin), Step::Call { .. }));
        let Step::Done(reply) = running.resume(Resume::Reply(&nested)) else {
            panic!("the script is over");
        };
        assert!(reply.starts_with(b"-ERR "), "{}", reply.escape_ascii());
    }
}

fn small() -> Limits {
    Limits {
        memory_bytes_max: 4 * 1024 * 1024,
        ..Limits::default()
    }
}

#[test]
fn memory_is_bounded_and_the_next_script_runs() {
    let mut scripting = Scripting::new(small());
    for source in [
        "local s = 'x' while true do s = s .. s end",
        "return string.rep('x', 2^31 - 10)",
        "return string.rep('x', 1e9)",
        "local t = {} while true do t[#t + 1] = {} end",
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "local function f(...) return f(1, 2, 3, ...) end f()",
        "return table.concat({('x'):rep(3e6), ('x'):rep(3e6)})",
        "return ('x'):rep(1e6):gsub('x', ('y'):rep(1e6))",
        "return cmsgpack.unpack(('\\144'):rep(3e6))",
        "return cmsgpack.unpack_limit('\\221\\127\\255\\255\\255' .. ('\\144'):rep(1e6), 1)",
        "return cjson.decode('[' .. ('[],'):rep(5e5) .. '1]')",
        "return cjson.encode({('\\1'):rep(3e6)})",
        "cjson.encode_sparse_array(false, 0) return cjson.encode({[2147483647] = 1})",
        "return struct.pack(('c0'):rep(10), unpack({('x'):rep(1e6), ('x'):rep(1e6), ('x'):rep(1e6),
             ('x'):rep(1e6), ('x'):rep(1e6), ('x'):rep(1e6), ('x'):rep(1e6)}))",
        "local t = {} while true do t[#t + 1] = coroutine.create(function() end) end",
        "local t = {} while true do t[#t + 1] = loadstring('return ' .. #t) end",
        "while true do local c = cjson.new() end",
    ] {
        let running = start(&mut scripting, source, &[]);
        let reply = finish(running);
        assert!(
            reply.starts_with("-ERR "),
            "{source}: {}",
            &reply[..reply.len().min(100)]
        );
        let running = start(&mut scripting, "return #('x'):rep(1000000)", &[]);
        assert_eq!(finish(running), ":1000000\r\n", "after {source}");
    }
    let bytes = scripting.interpreter_bytes();
    assert!(bytes <= 2 * small().memory_bytes_max, "{bytes}");
}

#[test]
fn garbage_does_not_count_against_the_bound() {
    let mut scripting = Scripting::new(small());
    let source = "local keep = ('k'):rep(1000000)
                  for i = 1, 20000 do local s = ('x'):rep(1000) .. i end
                  return #keep";
    let running = start(&mut scripting, source, &[]);
    assert_eq!(finish(running), ":1000000\r\n");
    let source = "for i = 1, 300 do cjson.decode('[' .. ('[1],'):rep(1000) .. '1]') end return 1";
    let running = start(&mut scripting, source, &[]);
    assert_eq!(finish(running), ":1\r\n");
}

/// Resumes until a tick comes, then kills; the script must be done at once.
#[track_caller]
fn check_killed(source: &str) {
    let mut scripting = Scripting::new(Limits::default());
    let mut running = start(&mut scripting, source, &[]);
    let mut step = running.resume(Resume::Begin);
    let mut ticks = 0;
    while ticks < 3 {
        step = match step {
            Step::Tick => {
                ticks += 1;
                running.resume(Resume::Continue)
            }
            Step::Call { .. } => running.resume(Resume::Reply(b":1\r\n")),
            other => panic!("{source}: {other:?}"),
        };
    }
    let Step::Done(reply) = running.resume(Resume::Kill(KILLED_SCRIPT)) else {
        panic!("a killed script is done: {source}");
    };
    let reply = String::from_utf8_lossy(&reply).into_owned();
    assert!(
        reply.starts_with("-ERR Script killed by user"),
        "{source}: {reply}"
    );
    let running = start(&mut scripting, "return 1", &[]);
    assert_eq!(finish(running), ":1\r\n");
}

#[test]
fn kill_ends_scripts_that_catch_everything() {
    for source in [
        "while true do end",
        "while true do pcall(error) end",
        "local function f() while true do end end while true do pcall(f) end",
        "local function f() while true do end end while true do xpcall(f, f) end",
        "local function f() while true do end end
         while true do coroutine.resume(coroutine.create(f)) end",
        "while true do coroutine.wrap(function() pcall(function() while true do end end) end)() end",
        "while true do redis.call('x') end",
        "while true do pcall(redis.call, 'x') redis.pcall('x') end",
        "while true do ('x'):gsub('x', function() while true do end end) end",
        "local function f() while true do end end
         while true do pcall(table.sort, {1, 2, 3}, f) end",
        "setmetatable({}, {__index = function() while true do end end}).x()",
        "while true do local ok, e = pcall(loadstring('while true do end')) end",
    ] {
        check_killed(source);
    }
}

#[test]
fn killed_script_runs_no_more_commands() {
    let mut scripting = Scripting::new(Limits::default());
    let source = "local ok = pcall(redis.call, 'get', 'k')
                  redis.call('set', 'k', 'after') return 'over'";
    let mut running = start(&mut scripting, source, &[]);
    assert!(matches!(running.resume(Resume::Begin), Step::Call { .. }));
    let Step::Done(reply) = running.resume(Resume::Kill(KILLED_SCRIPT)) else {
        panic!("no further command is asked for");
    };
    assert!(
        reply.starts_with(b"-ERR Script killed"),
        "{}",
        reply.escape_ascii()
    );
}

#[test]
fn library_that_does_not_end_is_refused() {
    let mut scripting = Scripting::new(Limits {
        load_slices_max: 3,
        ..Limits::default()
    });
    let code = b"#!lua name=endless\nwhile true do end";
    let error = scripting
        .load_library(code, false, &mut |_, _| {})
        .unwrap_err();
    assert_eq!(
        error.0,
        b"ERR Error registering functions: ERR FUNCTION LOAD timeout"
    );
    assert_eq!(scripting.library_count(), 0);
    let code = b"#!lua name=fine\nredis.register_function('f', function() return 1 end)";
    assert!(scripting.load_library(code, false, &mut |_, _| {}).is_ok());
}

#[test]
fn one_script_leaves_nothing_for_the_next() {
    let mut scripting = Scripting::new(Limits::default());
    for source in [
        "getmetatable('').__index = function() return 'changed' end",
        "getmetatable(_G).__index = nil",
        "cjson.encode_max_depth(1)",
        "redis.setresp(3)",
        "redis.set_repl(0)",
        "collectgarbage('stop') collectgarbage('setpause', 1000)",
        "table.insert(KEYS, 'k')",
        "for k, v in pairs(_G) do _G[k] = nil end",
        "for k, v in pairs(_G) do pcall(rawset, v, 'x', 1) pcall(table.insert, v, 1) end",
        "local k, v = next(_G) rawset(_G, k, nil)",
        "pcall(setmetatable, '', {}) setmetatable(string, nil)",
        "table.sort(redis) table.remove(redis) table.foreach(_G, function(k, v) v.x = 1 end)",
    ] {
        let running = start(&mut scripting, source, &[]);
        finish(running);
        let check = "local t = {('abc'):upper(), cjson.encode({{{1}}}), #KEYS, tostring(redis.x),
                         tostring(rawget(_G, 'x')), tostring(string.x), #redis, type(pairs)}
                     local ok, err = pcall(function() return nothing end)
                     t[#t + 1] = tostring(ok)
                     return table.concat(t, ' ')";
        let running = start(&mut scripting, check, &[]);
        let expected = "$46\r\nABC [[[1]]] 0 nil nil nil 0 function false\r\n";
        assert_eq!(
            finish(running).split_once("\r\n").unwrap().1,
            expected.split_once("\r\n").unwrap().1,
            "after {source}"
        );
    }
}

#[test]
fn decoders_survive_random_bytes() {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let mut scripting = Scripting::new(Limits::default());
    let source = "local s, f = ARGV[1], ARGV[2]
                  pcall(cjson.decode, s) pcall(cmsgpack.unpack, s) pcall(cmsgpack.unpack_one, s, #s / 2)
                  pcall(cmsgpack.unpack_limit, s, 3, 1)
                  pcall(struct.unpack, f, s) pcall(struct.pack, f, s, 1, s, 2, s) pcall(struct.size, f)
                  pcall(struct.unpack, s, f) pcall(struct.size, s)
                  pcall(loadstring, s) pcall(string.format, s, 1, s, 2) pcall(string.find, f, s)
                  local ok, v = pcall(cmsgpack.unpack_one, s)
                  local ok, packed = pcall(cmsgpack.pack, v) if ok then pcall(cjson.encode, v) end
                  return v";
    let json = b"[]{}:,\"\\u0dD8e+-.12 \ntruefalsnanif";
    let format = b"<>!=bBhHiIlLTfdsxc0123456789 ";
    for _ in 0..3000 {
        let len = random.index(40);
        let from_alphabet = random.below(2) == 0;
        let mut word: Vec<u8> = (0..len)
            .map(|_| match from_alphabet {
                true => json[random.index(json.len())],
                false => u8::try_from(random.below(256)).unwrap(),
            })
            .collect();
        if random.below(4) == 0 && !word.is_empty() {
            word[0] = 0x80 | u8::try_from(random.below(128)).unwrap();
        }
        let format: Vec<u8> = (0..random.index(12))
            .map(|_| format[random.index(format.len())])
            .collect();
        let running = start(&mut scripting, source, &[&word, &format]);
        let reply = finish(running);
        assert!(
            !reply.is_empty(),
            "{} {}",
            word.escape_ascii(),
            format.escape_ascii()
        );
    }
}

#[test]
fn sources_of_random_bytes_compile_or_fail() {
    let seed = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    println!("SEED={seed}");
    let mut random = Random::new(seed);
    let mut scripting = Scripting::new(Limits::default());
    let pieces: [&[u8]; 20] = [
        b"#!lua",
        b" flags=",
        b"no-writes",
        b"name=",
        b"\n",
        b"return ",
        b"\x1bLua",
        b"'",
        b"\"",
        b"[[",
        b"function f() ",
        b"end ",
        b"1 ",
        b"+ ",
        b"( ",
        b") ",
        b"{ ",
        b"} ",
        b"local x = ",
        b"redis.call",
    ];
    for _ in 0..3000 {
        let count = random.index(12);
        let source: Vec<u8> = (0..count)
            .flat_map(|_| pieces[random.index(pieces.len())].iter().copied())
            .collect();
        // Whether it fails does not matter, only that it is an answer.
        if let Err(error) = scripting.load(&source) {
            assert!(error.0.starts_with(b"ERR "), "{}", source.escape_ascii());
        }
        if let Err(error) = scripting.load_library(&source, true, &mut |_, _| {}) {
            assert!(error.0.starts_with(b"ERR "), "{}", source.escape_ascii());
        }
    }
}

#[test]
fn nothing_but_text_is_ever_loaded_as_code() {
    let reply = run(
        "local code = string.dump(function() return 'loaded' end)
         local n, m = 0, 0
         return {tostring(loadstring(code)), tostring(load(function() n = n + 1 return ({code})[n] end)),
                 tostring(load(function() m = m + 1 return ({'\\27', code:sub(2)})[m] end))}",
    );
    assert_eq!(reply, "*3\r\n$3\r\nnil\r\n$3\r\nnil\r\n$3\r\nnil\r\n");
}
