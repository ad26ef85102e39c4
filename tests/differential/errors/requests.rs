//! Requests that follow a declaration: the shortest one, and one for each option, each pair of
//! options and each alternative.
//!
//! Every word knows what it is by the declaration, so that [`super::probes`] can put something else
//! in its place. Values come from the types of the arguments; [`VALUES`] has those that the types
//! do not tell.

use super::declared::{Argument, Command, Kind};

/// What a word of a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// The command, or the subcommand.
    Name,
    /// A word of the declaration.
    Token,
    Key,
    Text,
    Integer,
    /// How many keys follow.
    Count,
    Double,
    /// How long a client waits: nothing that would wait long may stand in its place.
    Timeout,
}

/// One word of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Word {
    pub(super) bytes: Vec<u8>,
    pub(super) role: Role,
    /// Whether this request has it to show an option: the words of the shortest request were
    /// tried there.
    pub(super) is_option: bool,
}

/// A request, the name of the command first.
pub(super) type Request = Vec<Word>;

/// Values of arguments that their types do not tell: the command or `*`, the argument, the value.
const VALUES: &[(&str, &str, &str)] = &[
    ("bitop", "operation", "AND"),
    ("bitpos", "bit", "1"),
    ("setbit", "value", "1"),
    ("config|set", "parameter", "maxmemory"),
    ("config|set", "value", "0"),
    ("config|get", "parameter", "maxmemory"),
    ("geoadd", "member", "v"),
    ("lmove", "count", "1"),
    ("object|freq", "key", "k"),
    ("pfdebug", "subcommand", "ENCODING"),
    ("restore", "serialized-value", PAYLOAD),
    ("restore-asking", "serialized-value", PAYLOAD),
    ("scan", "type", "string"),
    ("wait", "numreplicas", "0"),
    ("xclaim", "lastid", "1-1"),
    ("xsetid", "last-id", "9-9"),
    ("xsetid", "max_deleted_entry_id", "1-1"),
    ("xadd", "id", "9-9"),
    ("zrangebylex", "min", "-"),
    ("zrangebylex", "max", "+"),
    ("zrevrangebylex", "min", "-"),
    ("zrevrangebylex", "max", "+"),
    ("zremrangebylex", "min", "-"),
    ("zremrangebylex", "max", "+"),
    ("zlexcount", "min", "-"),
    ("zlexcount", "max", "+"),
    ("*", "encoding", "u8"),
    ("*", "group", "group"),
    ("*", "groupname", "group"),
    ("*", "id", "1-1"),
    ("*", "threshold", "1"),
    ("*", "min-idle-time", "0"),
    ("*", "start", "0"),
    ("*", "end", "1"),
    ("*", "stop", "1"),
    ("*", "min", "0"),
    ("*", "max", "1"),
    ("*", "index1", "0"),
    ("*", "protover", "2"),
    ("*", "cursor", "0"),
    ("*", "ttl", "0"),
];

/// What DUMP says of the string `7`, in hexadecimal after a mark.
const PAYLOAD: &str = "hex:00c0070a0074cd48a283abce92";

/// What a declaration allows.
#[derive(Debug)]
pub(super) struct Requests {
    /// The shortest request, the same with what may be repeated twice, and each option and
    /// alternative by itself.
    pub(super) single: Vec<Request>,
    /// Two options, or one option twice.
    pub(super) pairs: Vec<Request>,
}

/// Returns the requests of a command.
pub(super) fn requests(command: &Command, names: &Names) -> Requests {
    let maker = Maker { command, names };
    let mut single = vec![maker.request(&[], 1), maker.request(&[], 2)];
    let mut pairs = Vec::new();
    let mut choices: Vec<(usize, Vec<Word>)> = Vec::new();
    for (place, argument) in command.arguments.iter().enumerate() {
        let needed = usize::from(!argument.is_optional);
        for words in maker.alternatives(argument, 1).into_iter().skip(needed) {
            single.push(maker.request(&[(place, &words)], 1));
            // Of ways that begin with the same word one is enough to stand beside another option.
            let is_known = choices
                .iter()
                .any(|(at, known)| *at == place && known.first() == words.first());
            if !is_known {
                choices.push((place, words));
            }
        }
    }
    for (at, (place, words)) in choices.iter().enumerate() {
        for (other, others) in &choices[at..] {
            if place == other || command.arguments[*place].is_optional {
                pairs.push(maker.request(&[(*place, words), (*other, others)], 1));
            }
        }
    }
    Requests { single, pairs }
}

/// How keys are named: by the type of value that the command works on, and the position.
#[derive(Debug)]
pub(super) struct Names {
    /// The kind of value, as in `list:0`.
    pub(super) kind: &'static str,
}

struct Maker<'m> {
    command: &'m Command,
    names: &'m Names,
}

impl Maker<'_> {
    /// Puts a request together: the arguments that are needed, `chosen` words in the places of
    /// their arguments (two of one place follow each other), and `repeat` of what may be repeated.
    fn request(&self, chosen: &[(usize, &Vec<Word>)], repeat: usize) -> Request {
        let mut request: Request = self
            .command
            .name
            .split('|')
            .map(|name| word(name, Role::Name))
            .collect();
        for (place, argument) in self.command.arguments.iter().enumerate() {
            let here: Vec<_> = chosen.iter().filter(|(at, _)| *at == place).collect();
            if here.is_empty() && (!argument.is_optional || (repeat > 1 && argument.is_multiple)) {
                let first = self.alternatives(argument, repeat).swap_remove(0);
                request.extend(first);
            }
            for (_, words) in here {
                let marked = words.iter().cloned().map(|word| Word {
                    is_option: true,
                    ..word
                });
                request.extend(marked);
            }
        }
        number_keys(&mut request, self.names);
        count_keys(&mut request);
        request
    }

    /// Returns the ways to write an argument, the plainest first; never none.
    fn alternatives(&self, argument: &Argument, repeat: usize) -> Vec<Vec<Word>> {
        let ways = match argument.kind {
            Kind::Token => vec![Vec::new()],
            Kind::OneOf => argument
                .parts
                .iter()
                .flat_map(|part| self.alternatives(part, repeat))
                .collect(),
            Kind::Block => self.block(&argument.parts, repeat),
            _ => vec![vec![self.value(argument)]],
        };
        let times = if argument.is_multiple { repeat } else { 1 };
        let token = argument.token.as_ref().filter(|token| !token.contains('"'));
        ways.into_iter()
            .map(|way| {
                let mut words = Vec::new();
                for time in 0..times {
                    if let Some(token) = token
                        && (time == 0 || argument.repeats_token)
                    {
                        words.push(word(token, Role::Token));
                    }
                    words.extend(way.iter().cloned());
                }
                words
            })
            .collect()
    }

    /// Returns the ways to write a block: what is needed, and then one other way at a time.
    fn block(&self, parts: &[Argument], repeat: usize) -> Vec<Vec<Word>> {
        let lists: Vec<_> = parts
            .iter()
            .map(|part| self.alternatives(part, repeat))
            .collect();
        let plain = |place: usize| {
            if parts[place].is_optional {
                Vec::new()
            } else {
                lists[place][0].clone()
            }
        };
        let mut ways = vec![(0..parts.len()).flat_map(plain).collect::<Vec<_>>()];
        for (changed, list) in lists.iter().enumerate() {
            for other in list.iter().skip(usize::from(!parts[changed].is_optional)) {
                let way = (0..parts.len()).flat_map(|place| {
                    if place == changed {
                        other.clone()
                    } else {
                        plain(place)
                    }
                });
                ways.push(way.collect());
            }
        }
        ways
    }

    /// Returns a value of the argument's type.
    fn value(&self, argument: &Argument) -> Word {
        let listed = VALUES.iter().find(|(command, name, _)| {
            (*command == "*" || *command == self.command.name) && *name == argument.name
        });
        let token = argument.token.as_deref().unwrap_or_default();
        let is_timeout = argument.name == "timeout" || token == "BLOCK";
        let (role, default) = match argument.kind {
            Kind::Key => return word("key", Role::Key),
            _ if is_timeout => (Role::Timeout, "1"),
            Kind::Integer if argument.name == "numkeys" => (Role::Count, "1"),
            Kind::Integer => (Role::Integer, "1"),
            Kind::Double => (Role::Double, "1"),
            Kind::Time if argument.name.contains("milliseconds") => {
                (Role::Integer, "4102444800000")
            }
            Kind::Time => (Role::Integer, "4102444800"),
            Kind::Pattern => (Role::Text, "*"),
            _ => (Role::Text, "v"),
        };
        word(listed.map_or(default, |(_, _, value)| value), role)
    }
}

fn word(text: &str, role: Role) -> Word {
    let bytes = match text.strip_prefix("hex:") {
        Some(digits) => (0..digits.len() / 2)
            .map(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap())
            .collect(),
        None => text.as_bytes().to_vec(),
    };
    Word {
        bytes,
        role,
        is_option: false,
    }
}

/// Names the keys of a request by their positions.
fn number_keys(request: &mut Request, names: &Names) {
    let keys = request.iter_mut().filter(|word| word.role == Role::Key);
    for (position, key) in keys.enumerate() {
        key.bytes = format!("{}:{position}", names.kind).into_bytes();
    }
}

/// Sets the words that count keys to the number of keys that follow each other behind them.
fn count_keys(request: &mut Request) {
    for at in 0..request.len() {
        if request[at].role == Role::Count {
            let keys = request[at + 1..].iter();
            let count = keys.take_while(|word| word.role == Role::Key).count();
            request[at].bytes = count.to_string().into_bytes();
        }
    }
}
