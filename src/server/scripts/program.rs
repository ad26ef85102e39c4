//! The steps of one script or function: a program for the coordinator, see [`Program`].
//!
//! ```text
//!   claims granted ──► the script runs ──► it calls a command ──► a hop to the key's shard ──┐
//!                            ▲                                                               │
//!                            └────────────────────────── the reply ◄─────────────────────────┘
//! ```
//! The claims stand for the whole run, so nobody sees a part of it. A script that runs for long gives
//! the core back after each slice of instructions, and holds on to its claims.
//!
//! Invariants
//! - What a script may not run is refused with an error that the script can catch, and nothing is
//!   changed.
//! - A key outside of the claims is never touched.
//!
//! Not here: which claims a script needs ([`super::start`]), Lua (crate `scripting`).

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use base::clock::Monotonic;
use base::hash::Set;
use base::ids::{DbIndex, ShardId};
use commands::spec::{Flags, ShardCommand, Spread};
use coordinator::exec::Exec;
use coordinator::host::Host;
use coordinator::message::Request;
use coordinator::message::queue::{Lies, Queue};
use coordinator::route::{Route, route};
use coordinator::step::{HopOutcome, Program, Step, Surroundings};
use protocol::args::{Args, PackedArgs, equals_ignore_case};
use protocol::reply::{Reply, Resp};
use scripting::running::{KILLED, LogLevel, Resume, Running};
use shard::locks::Claim;

use super::local::{Calls, LocalScripts};
use super::start::ScriptUser;
use crate::acl::log::{Context, Entry};
use crate::acl::selector::Reason;
use crate::control::connection::parse_db;
use crate::control::sort_patterns;
use crate::table::{Command, CommandTable, Run};

/// What a script may do, and where it stands.
#[derive(Debug)]
pub(crate) struct Rights {
    /// It may not write.
    pub(crate) is_read_only: bool,
    /// Memory is short, so it may not run what takes more.
    pub(crate) is_out_of_memory: bool,
    /// Why it may not begin to write, if the disk takes nothing.
    pub(crate) refusal: Option<&'static str>,
    /// The keys it may touch; none for all.
    pub(crate) keys: Option<Set<Box<[u8]>>>,
}

/// What others can see of a script that runs, and tell it.
#[derive(Debug)]
pub(crate) struct Visible {
    /// The words that started it.
    pub(crate) words: PackedArgs,
    /// The function, if it is one.
    pub(crate) function: Option<String>,
    /// When it began to run; none while it waits for its claims.
    pub(crate) begun: Cell<Option<Monotonic>>,
    /// It has run a command that may write.
    pub(crate) has_written: Cell<bool>,
    /// It is to end.
    pub(crate) is_killed: Cell<bool>,
    /// Everybody has been told that it takes long.
    pub(crate) is_announced: Cell<bool>,
}

/// How a script is brought to run, when its claims are granted.
pub(crate) type Starter = Box<dyn FnOnce(&LocalScripts) -> Result<(Running, Rights), Vec<u8>>>;

/// The program of one run.
pub(crate) struct ScriptProgram {
    local: Rc<LocalScripts>,
    table: &'static CommandTable,
    around: Surroundings,
    me: ShardId,
    db: DbIndex,
    touch: bool,
    /// Whose rights its commands have; none for one who may do everything.
    user: Option<Arc<ScriptUser>>,
    state: State,
    rights: Rights,
    visible: Rc<Visible>,
    calls: Rc<Calls>,
}

enum State {
    /// Waits for its claims.
    Waiting(Starter),
    /// Its claims are granted.
    Granted(Starter),
    /// Its command runs on shards.
    Called(Running, Box<Exec>, &'static Command, PackedArgs),
    /// Its command is answered by the core.
    Asked(Asked),
    /// It has used its slice.
    Resting(Running),
    Over,
}

/// A command that the core answers.
struct Asked {
    running: Running,
    words: PackedArgs,
    resp: Resp,
    reply: Vec<u8>,
}

impl std::fmt::Debug for ScriptProgram {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ScriptProgram")
            .field("words", &self.visible.words)
            .finish_non_exhaustive()
    }
}

impl ScriptProgram {
    pub(crate) fn new(
        (local, user): (Rc<LocalScripts>, Option<Arc<ScriptUser>>),
        around: Surroundings,
        (me, db, touch): (ShardId, DbIndex, bool),
        visible: Visible,
        starter: Starter,
    ) -> Self {
        let calls = local.calls();
        Self {
            table: local.table(),
            local,
            around,
            me,
            db,
            touch,
            user,
            state: State::Waiting(starter),
            rights: Rights {
                is_read_only: true,
                is_out_of_memory: false,
                refusal: None,
                keys: None,
            },
            visible: Rc::new(visible),
            calls,
        }
    }

    /// Begins at once, on the shard of this core: what it claims there is free, and it claims nothing
    /// elsewhere. Its commands run in place for as long as they need nobody else. Returns the first
    /// step that does, or the end; only then those are served who wait for keys that it has changed, and the log
    /// is told.
    pub(crate) fn begin_here(&mut self, host: &mut Host, claim: Option<&Claim>) -> Step {
        let (State::Waiting(starter) | State::Granted(starter)) =
            std::mem::replace(&mut self.state, State::Over)
        else {
            unreachable!("a script begins once")
        };
        host.begin_in_place(claim);
        let step = self.begin(starter, Some(&mut *host));
        let is_over = matches!(step, Step::Done { .. });
        host.end_in_place(is_over);
        if is_over {
            host.serve_if_ready();
        }
        step
    }

    fn begin(&mut self, starter: Starter, host: Option<&mut Host>) -> Step {
        match starter(&self.local) {
            Ok((running, rights)) => {
                self.rights = rights;
                self.visible.begun.set(Some(runtime::clock::monotonic()));
                self.local.enter(Rc::clone(&self.visible));
                self.resume(running, Answer::Begin, host)
            }
            Err(reply) => Step::Done { reply },
        }
    }

    /// Lets the script run until it needs somebody else. With `host`, commands on the shard of this core
    /// run in place.
    fn resume(
        &mut self,
        mut running: Running,
        mut answer: Answer,
        mut host: Option<&mut Host>,
    ) -> Step {
        loop {
            let wanted = match &answer {
                Answer::Begin => running.resume(Resume::Begin),
                Answer::Continue => running.resume(Resume::Continue),
                Answer::Reply(reply) => running.resume(Resume::Reply(reply)),
                Answer::Kill(reason) => running.resume(Resume::Kill(reason)),
            };
            answer = match wanted {
                scripting::running::Step::Call { words, resp, .. } => {
                    match self.call(words, resp) {
                        Called::Answer(reply) => Answer::Reply(reply),
                        Called::Ask(words) => {
                            self.state = State::Asked(Asked {
                                running,
                                words,
                                resp,
                                reply: Vec::new(),
                            });
                            return Step::Ask(0);
                        }
                        Called::Run(command, shard_command, words) => {
                            let request = self.request(shard_command, command, resp, words.args());
                            if let Some(host) = host.as_deref_mut()
                                && self.is_here(&request)
                            {
                                let reply = self.run_here(host, request, command, &words);
                                answer = Answer::Reply(reply);
                                continue;
                            }
                            let mut queue = Queue::default();
                            queue.push(request, Lies::Apart, false);
                            let exec = Exec::new(self.around, self.me, resp, Vec::new(), queue);
                            let exec = Box::new(exec);
                            self.state = State::Called(running, exec, command, words);
                            return self.go_on(Vec::new());
                        }
                    }
                }
                scripting::running::Step::CheckAcl { words } => {
                    Answer::Reply(self.check_acl(words.args()))
                }
                scripting::running::Step::Log { level, text } => {
                    log(level, &text);
                    Answer::Continue
                }
                scripting::running::Step::Tick => {
                    self.state = State::Resting(running);
                    return Step::Pause;
                }
                scripting::running::Step::Done(reply) => {
                    self.local.leave(&self.visible);
                    return Step::Done { reply };
                }
            };
        }
    }

    /// Goes on after a slice of instructions.
    fn after_rest(&mut self, running: Running) -> Step {
        let answer = if self.visible.is_killed.get() {
            Answer::Kill(KILLED)
        } else {
            Answer::Continue
        };
        self.resume(running, answer, None)
    }

    /// Carries the command of a script on by one step.
    fn go_on(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        let State::Called(running, mut exec, command, words) =
            std::mem::replace(&mut self.state, State::Over)
        else {
            unreachable!("a command is under way");
        };
        match exec.step(outcomes) {
            Step::Done { reply } => {
                let nanos = exec.executed().map_or(0, |queue| queue.nanos(0));
                let reply = reply.strip_prefix(b"*1\r\n").unwrap_or(&reply).to_vec();
                self.calls
                    .note(command.index, self.db, &words, nanos, &reply);
                self.resume(running, Answer::Reply(reply), None)
            }
            Step::Hop { operations, .. } => {
                self.state = State::Called(running, exec, command, words);
                // Claims are kept until the script is over.
                Step::Hop {
                    operations,
                    last: false,
                }
            }
            Step::Pause => {
                self.state = State::Called(running, exec, command, words);
                Step::Pause
            }
            other @ (Step::Ask(_)
            | Step::Attempt { .. }
            | Step::Again
            | Step::Yield
            | Step::Watching { .. }
            | Step::Waiting) => {
                unreachable!("a command on shards goes by hops: {other:?}")
            }
        }
    }

    /// Decides what becomes of a command that the script calls.
    fn call(&mut self, words: PackedArgs, resp: Resp) -> Called {
        let (command, shard_command) = match self.allowed(words.args()) {
            Ok(found) => found,
            Err(text) => {
                if let Some(command) = self.table.resolve(words.args()) {
                    self.calls.reject(command.index);
                }
                return Called::Answer(error_reply(text, resp));
            }
        };
        let flags = command.declaration.flags;
        if flags.has(Flags::WRITE) {
            self.visible.has_written.set(true);
        }
        let Some(shard_command) = shard_command else {
            if command.full_name == "select" {
                return Called::Answer(self.select(words.args(), resp));
            }
            return Called::Ask(words);
        };
        Called::Run(command, shard_command, words)
    }

    fn request<'a>(
        &self,
        shard_command: &'static ShardCommand,
        command: &Command,
        resp: Resp,
        args: Args<'a>,
    ) -> Request<'a> {
        Request {
            command: shard_command,
            db: self.db,
            resp,
            touch: self.touch,
            args,
            first_hash: None,
            tag: command.index.0,
        }
    }

    /// Returns whether a command is one step on the shard of this core.
    fn is_here(&self, request: &Request<'_>) -> bool {
        match route(self.around.map, request.command, request.args) {
            Route::One(shard) => shard == self.me && request.command.spread != Spread::Cursor,
            Route::Anywhere => true,
            Route::Cursor | Route::Several(_) => false,
        }
    }

    fn run_here(
        &self,
        host: &mut Host,
        request: Request<'_>,
        command: &Command,
        words: &PackedArgs,
    ) -> Vec<u8> {
        let begun = runtime::clock::monotonic();
        let mut reply = Vec::new();
        host.run_inside(&request, &mut reply);
        let nanos = runtime::clock::monotonic().nanos_since(begun);
        self.calls
            .note(command.index, self.db, words, nanos, &reply);
        reply
    }

    /// Looks a command up and says why the script may not run it.
    fn allowed(
        &self,
        args: Args<'_>,
    ) -> Result<(&'static Command, Option<&'static ShardCommand>), &'static str> {
        let Some(command) = self.table.resolve(args) else {
            return Err("ERR Unknown Redis command called from script");
        };
        let declaration = command.declaration;
        if declaration.resolve(args).is_err() {
            return Err("ERR Wrong number of args calling Redis command from script");
        }
        let flags = declaration.flags;
        if flags.has(Flags::NO_SCRIPT) {
            return Err("ERR This Redis command is not allowed from script");
        }
        if let Some(text) = self.denied(command, args) {
            return Err(text);
        }
        if flags.has(Flags::WRITE) && self.rights.is_read_only {
            return Err("ERR Write commands are not allowed from read-only scripts.");
        }
        if flags.has(Flags::WRITE)
            && let Some(text) = self.rights.refusal
            && !self.visible.has_written.get()
        {
            return Err(text);
        }
        if flags.has(Flags::DENY_OOM)
            && self.rights.is_out_of_memory
            && !self.visible.has_written.get()
        {
            return Err("OOM command not allowed when used memory > 'maxmemory'.");
        }
        if let Some(declared) = &self.rights.keys {
            let mut is_declared = true;
            commands::keys::positions(declaration, args, |index, _| {
                is_declared &= declared.contains(args.word(index));
            });
            if !is_declared {
                return Err("ERR Script attempted to access a key that it has not declared");
            }
        }
        match command.run {
            Run::Shard(shard_command) | Run::Waiting(shard_command, _) => {
                Ok((command, Some(shard_command)))
            }
            Run::Control(_) => Ok((command, None)),
        }
    }

    fn select(&mut self, args: Args<'_>, resp: Resp) -> Vec<u8> {
        match parse_db(args.word(1), self.around.databases) {
            Ok(db) => {
                self.db = db;
                b"+OK\r\n".to_vec()
            }
            Err(error) => error_reply(&error.text("select", args), resp),
        }
    }

    /// Answers `redis.acl_check_cmd`.
    fn check_acl(&self, args: Args<'_>) -> Vec<u8> {
        let Some(command) = self.table.resolve(args) else {
            return b"-ERR Invalid command passed to redis.acl_check_cmd()\r\n".to_vec();
        };
        let known = self.local.acl().catalog.at(command.index);
        let is_denied = self
            .user
            .as_ref()
            .is_some_and(|user| user.user.check(known, args).is_err());
        if is_denied {
            b":0\r\n".to_vec()
        } else {
            b":1\r\n".to_vec()
        }
    }

    /// Returns the error of a command that the user of the script may not run.
    fn denied(&self, command: &Command, args: Args<'_>) -> Option<&'static str> {
        let user = self.user.as_ref()?;
        let acl = self.local.acl();
        let known = acl.catalog.at(command.index);
        let Err(denied) = user.user.check(known, args) else {
            return sort_patterns::refusal(&user.user, known, args);
        };
        let object = match denied.reason {
            Reason::Command => command.full_name.as_bytes(),
            Reason::Key | Reason::Channel | Reason::Auth => args.word(denied.word),
        };
        acl.note(Entry {
            count: 1,
            reason: denied.reason,
            context: Context::Lua,
            object: object.to_vec(),
            user: user.user.name().to_vec(),
            at: runtime::clock::unix_millis(),
            client: user.client.clone(),
        });
        Some(denied.script_text())
    }
}

impl Program for ScriptProgram {
    fn step(&mut self, outcomes: Vec<HopOutcome>) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Waiting(starter) => {
                self.state = State::Granted(starter);
                Step::Again
            }
            State::Granted(starter) => self.begin(starter, None),
            called @ State::Called(..) => {
                self.state = called;
                self.go_on(outcomes)
            }
            State::Asked(asked) => self.resume(asked.running, Answer::Reply(asked.reply), None),
            State::Resting(running) => self.after_rest(running),
            State::Over => unreachable!("a script ends once"),
        }
    }

    fn answer(&mut self, reply: Vec<u8>) {
        if let State::Asked(asked) = &mut self.state {
            asked.reply = reply;
        }
    }

    fn asks_as(&self) -> Option<(DbIndex, Resp)> {
        match &self.state {
            State::Asked(asked) => Some((self.db, asked.resp)),
            _ => None,
        }
    }

    fn control_args(&self, _index: usize) -> Option<Args<'_>> {
        match &self.state {
            State::Asked(asked) => Some(asked.words.args()),
            _ => None,
        }
    }
}

impl Drop for ScriptProgram {
    fn drop(&mut self) {
        self.local.leave(&self.visible);
    }
}

/// What the script gets next.
enum Answer {
    Begin,
    Continue,
    Reply(Vec<u8>),
    Kill(&'static str),
}

/// What becomes of a command.
enum Called {
    Answer(Vec<u8>),
    Ask(PackedArgs),
    Run(&'static Command, &'static ShardCommand, PackedArgs),
}

/// Encodes an error.
pub(crate) fn error_reply(text: &str, resp: Resp) -> Vec<u8> {
    let mut out = Vec::new();
    Reply {
        out: &mut out,
        resp,
    }
    .error(text);
    out
}

/// Writes what a script says into the log.
pub(crate) fn log(level: LogLevel, text: &[u8]) {
    let text = String::from_utf8_lossy(text);
    match level {
        LogLevel::Debug => tracing::debug!(target: "script", "{text}"),
        LogLevel::Verbose | LogLevel::Notice => tracing::info!(target: "script", "{text}"),
        LogLevel::Warning => tracing::warn!(target: "script", "{text}"),
    }
}

/// Returns whether a command runs a script or a function, and so is a program of its own inside of
/// MULTI.
pub(crate) fn is_run(name: &[u8]) -> bool {
    [
        "EVAL",
        "EVALSHA",
        "EVAL_RO",
        "EVALSHA_RO",
        "FCALL",
        "FCALL_RO",
    ]
    .iter()
    .any(|it| equals_ignore_case(name, it))
}
