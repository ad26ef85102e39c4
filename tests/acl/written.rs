//! Sequences of requests by several clients.

use crate::support::client::Client;
use crate::support::server::Server;

/// What each of the clients `a`, `b` and `c` sends, one request a line; `~_` stands for a space in a word, `*` for a
/// client that connects anew. Everybody begins as the default user.
const SEQUENCES: &[&str] = &[
    // Who may run what, and in which order is looked.
    "a ACL SETUSER u on >p
     b AUTH u p
     b GET x
     b ACL WHOAMI
     b NOSUCH
     b GET
     b CONFIG NOSUCH
     b CONFIG GET x
     b MULTI
     b AUTH u bad
     b RESET
     b HELLO 3 AUTH u bad
     b AUTH nobody x
     b AUTH x
     b AUTH a b c
     b ACL WHOAMI
     a ACL SETUSER u +config|get +select|1
     b AUTH u p
     b CONFIG GET timeout
     b CONFIG SET timeout 1
     b SELECT 1
     b SELECT 0
     a ACL SETUSER u -config|get +config -config|set
     b CONFIG SET timeout 1
     b CONFIG HELP x
     a ACL DELUSER u nobody
     a ACL USERS",
    // Keys and channels.
    "a ACL SETUSER u on nopass +@all ~a* %R~r* %W~w* &c* resetchannels &c*
     b AUTH u anything
     b GET b
     b GET w1
     b SET r1 x
     b GET r1
     b SET w1 x GET
     b SET w1 x
     b EXISTS w1
     b EXISTS zz
     b COPY r1 w2
     b COPY w1 r1
     b MSET a1 x w2 y
     b MSET a1 x r2 y
     b MGET a1 r1
     b MGET a1 w1
     b SORT a1 BY a*
     b SORT a1 BY nosort
     b SORT a1 GET #
     b SORT a1 FOO GET #
     b SORT a1 LIMIT x y BY a*
     b SORT_RO a1 BY x*
     b SORT a1 STORE r1
     b GEORADIUS r1 0 0 1 m
     b GEORADIUS w1 0 0 1 m
     b GEORADIUS zz 0 0 1 m
     b BITFIELD r1 GET u8 0
     b BITFIELD r1 SET u8 0 1
     b EVAL return~_1 1 zz
     b PUBLISH d x
     b PUBLISH c1 x
     b SPUBLISH d x
     b SUBSCRIBE d
     b SSUBSCRIBE d
     b PSUBSCRIBE c1
     b PSUBSCRIBE c*
     b PUNSUBSCRIBE
     b UNSUBSCRIBE zz
     a ACL SETUSER u (%R~zz +get)
     b GET zz
     b SET zz 1
     a ACL SETUSER u clearselectors
     b GET zz",
    // MULTI: refused when queued, and again when it is run.
    "a ACL SETUSER u on nopass +@all ~a* &c*
     b AUTH u x
     b MULTI
     b GET b
     b EXEC
     b MULTI
     b SORT a1 GET a*
     b EXEC
     b MULTI
     b GET a1
     b GET a2
     b PUBLISH c1 x
     a ACL SETUSER u resetkeys ~a2 resetchannels
     b EXEC
     b MULTI
     b GET a2
     b PING
     b EVAL return~_1 0
     a ACL SETUSER u -get -ping -eval
     b EXEC
     b MULTI
     b ACL SETUSER u +get
     b GET a2
     b EXEC
     a ACL SETUSER u +get
     b MULTI
     b GET a2
     b ACL SETUSER u -get
     b GET a2
     b SET a2 x
     b EXEC
     a ACL SETUSER v on >q ~* +@all -set
     b MULTI
     b SET a2 y
     b AUTH v q
     b SET a2 z
     b GET a2
     b ACL WHOAMI
     b EXEC
     a ACL SETUSER v -exec
     b MULTI
     b EXEC
     b DISCARD
     a ACL SETUSER v -multi
     b MULTI
     b WATCH a",
    // Scripts.
    "a ACL SETUSER u on nopass +@all -get ~s* resetchannels
     b AUTH u x
     b EVAL return~_redis.call('get','s1') 0
     b EVAL return~_redis.pcall('get','s1') 0
     b EVAL return~_redis.call('set','zz',1) 0
     b EVAL return~_redis.call('set',KEYS[1],1) 1 s1
     b EVAL return~_redis.call('set',KEYS[1],ARGV[1]) 1 s2 s3
     b EVAL return~_redis.call('publish','zz',1) 0
     b EVAL return~_redis.acl_check_cmd('get','s1') 0
     b EVAL return~_redis.acl_check_cmd('set','s1','x') 0
     b EVAL return~_redis.acl_check_cmd('nosuch') 0
     b EVAL return~_redis.acl_check_cmd('set','zz') 0
     b EVAL return~_redis.call('sort','s1','get','x*') 0
     b MULTI
     b EVAL return~_redis.pcall('get',KEYS[1]) 1 s1
     b EVAL return~_redis.pcall('set',KEYS[1],1) 1 s1
     b EXEC
     a ACL LOG 100",
    // What was refused.
    "a ACL SETUSER u on >p -@all +get +multi +exec ~a
     b AUTH u p
     b GET a
     b GET b
     b GET b
     b SET a x
     b GET c
     b MULTI
     b SET a x
     b EXEC
     b GET b
     b AUTH u no
     b HELLO 3 AUTH u no
     a ACL LOG
     a ACL LOG 2
     a ACL LOG 0
     a ACL LOG -1
     a ACL LOG x
     a ACL LOG 1 2
     a CONFIG SET acllog-max-len 3
     b SET a x
     a ACL LOG
     a ACL LOG RESET
     a ACL LOG",
    // What is shown of users, and what is wrong with rules.
    "a ACL LIST
     a ACL SETUSER z (+get
     a ACL SETUSER z (+get ~x) (+set)
     a ACL LIST
     a ACL SETUSER z (+nosuch)
     a ACL SETUSER z ()
     a ACL SETUSER z (on)
     a ACL SETUSER z (
     a ACL SETUSER z )
     a ACL SETUSER z <x
     a ACL SETUSER z #ab
     a ACL SETUSER z !ab
     a ACL SETUSER z allkeys ~x
     a ACL SETUSER z allchannels &x
     a ACL SETUSER z +config|get|x
     a ACL SETUSER z +nosuch
     a ACL SETUSER z -select|0
     a ACL SETUSER z +select|
     a ACL SETUSER z +config|nosuch
     a ACL SETUSER z +@nosuch
     a ACL SETUSER z %RR~x
     a ACL SETUSER z %R
     a ACL SETUSER z %
     a ACL SETUSER z %~x
     a ACL SETUSER z ~a~_b
     a ACL SETUSER z bad
     a ACL SETUSER z~_z on
     a ACL GETUSER z
     a ACL GETUSER nobody
     a ACL SETUSER z reset on skip-sanitize-payload >one >two >one <two +@read -get ~x &y
     a ACL GETUSER z
     a ACL SETUSER z reset
     a ACL LIST
     a ACL CAT nosuch
     a ACL CAT a b
     a ACL CAT transaction
     a ACL GENPASS 0
     a ACL GENPASS x
     a ACL GENPASS 5000
     a ACL GENPASS 5 6
     a ACL DRYRUN z get x
     a ACL DRYRUN nobody get
     a ACL DRYRUN z nosuch
     a ACL DRYRUN z set
     a ACL DRYRUN z config
     a ACL DRYRUN z config zz
     a ACL DRYRUN z config get
     a ACL DRYRUN z auth x
     a ACL SAVE
     a ACL LOAD
     a ACL DELUSER default
     a ACL DELUSER z default
     a ACL WHOAMI
     a ACL WHOAMI x
     a ACL
     a ACL NOSUCH",
    // The default user and its password.
    "a CONFIG SET requirepass foo
     a ACL LIST
     a CONFIG GET requirepass
     * c
     c PING
     c HELLO 3
     c AUTH bar
     c AUTH foo
     c PING
     a ACL SETUSER default >bar
     a CONFIG GET requirepass
     * c
     c AUTH bar
     c ACL WHOAMI
     a ACL SETUSER default nopass
     a CONFIG SET requirepass ~~
     a ACL SETUSER default resetpass
     a PING
     * c
     c PING
     a ACL SETUSER default nopass
     c PING
     c ACL WHOAMI
     a ACL SETUSER default off
     * c
     c PING
     a ACL SETUSER default on -get
     c GET x
     c RESET
     c SET x y",
    // Users that go, and rights that go, close connections.
    "a ACL SETUSER u on nopass +@all allkeys allchannels
     b AUTH u x
     a CLIENT KILL USER nobody
     a CLIENT KILL USER u
     b PING
     * b
     b AUTH u x
     a ACL DELUSER u
     b PING
     a ACL SETUSER u on nopass +@all allkeys allchannels
     * b
     b AUTH u x
     b ACL DELUSER u
     b PING
     a ACL SETUSER u on nopass +@all allkeys allchannels
     * b
     b AUTH u x
     b SUBSCRIBE one
     a ACL SETUSER u resetchannels &o*
     b PING
     a ACL SETUSER u resetchannels
     b PING
     * b
     a ACL SETUSER u &o*
     b AUTH u x
     b PSUBSCRIBE o*
     a ACL SETUSER u resetchannels &one
     b PING
     * b
     b HELLO 3 AUTH u x
     b SUBSCRIBE one
     b ACL SETUSER u resetchannels
     b PING",
];

/// Two servers and the clients of each.
struct Pair {
    servers: [Server; 2],
    clients: Vec<[Client; 2]>,
}

impl Pair {
    fn new(is_third: bool) -> Self {
        let servers = [Server::redis(&[]), Server::trestle(3, &[])];
        let mut pair = Self {
            servers,
            clients: Vec::new(),
        };
        for _ in 0..3 {
            let clients = pair.connect();
            pair.clients.push(clients);
        }
        if is_third {
            for clients in &mut pair.clients {
                for client in clients {
                    client.request(&["HELLO", "3"]);
                }
            }
        }
        pair
    }

    fn connect(&self) -> [Client; 2] {
        [self.servers[0].client(), self.servers[1].client()]
    }

    fn run(&mut self, line: &str) {
        let words: Vec<String> = line
            .split_whitespace()
            .map(|word| match word {
                "~~" => String::new(),
                word => word.replace("~_", " "),
            })
            .collect();
        let number = |name: &str| usize::from(name.as_bytes()[0] - b'a');
        if words[0] == "*" {
            self.clients[number(&words[1])] = self.connect();
            return;
        }
        let clients = &mut self.clients[number(&words[0])];
        let replies = clients.each_mut().map(|client| {
            // A closed connection fails at the one or the other.
            let reply = client.send(&words[1..]).and_then(|()| client.read_reply());
            reply.map_or_else(
                |_| "closed".to_owned(),
                |reply| plain(&reply.escape_ascii().to_string()),
            )
        });
        assert_eq!(replies[0], replies[1], "{line}");
    }
}

/// Leaves out of a reply what differs between servers: what is said of clients, how long ago something was, and the
/// order of commands in a category.
fn plain(reply: &str) -> String {
    // The version is another one.
    if reply.contains("proto\\r\\n") && reply.contains("modules\\r\\n") {
        return "welcome".to_owned();
    }
    let mut plain = String::new();
    let mut lines = reply.split("\\r\\n");
    while let Some(line) = lines.next() {
        plain.push_str(line);
        plain.push('\n');
        if line == "client-info" || line == "age-seconds" {
            let header = lines.next().unwrap();
            if header.starts_with('$') {
                lines.next();
            }
        }
    }
    if reply.contains("discard") && reply.contains("unwatch") && !reply.contains("user") {
        let mut names: Vec<&str> = plain.lines().filter(|it| !it.starts_with('$')).collect();
        names.sort_unstable();
        return names.join("\n");
    }
    plain
}

#[track_caller]
fn check(is_third: bool) {
    for sequence in SEQUENCES {
        let mut pair = Pair::new(is_third);
        for line in sequence.lines() {
            pair.run(line);
        }
    }
}

#[test]
fn users_are_told_the_same_as_by_redis() {
    check(false);
}

#[test]
fn users_are_told_the_same_as_by_redis_in_the_third_protocol() {
    check(true);
}
