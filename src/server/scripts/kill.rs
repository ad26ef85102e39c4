//! SCRIPT KILL and FUNCTION KILL: to end what runs for too long.

use crate::core_loop::Core;

/// What is to be ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A script.
    Script,
    /// A function.
    Function,
}

/// What a core found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    /// Nothing that runs.
    Nothing,
    /// Something of the other kind.
    OtherKind,
    /// It has written, so it may not be ended half way.
    HasWritten,
    /// It ends now.
    Killed,
}

/// Ends what takes long on one core, unless it has written. What runs for shorter than
/// `busy-reply-threshold` counts as nothing: a request of the same client on its way through another
/// core may be among it.
pub(crate) fn kill(core: &Core, kind: Kind) -> Found {
    let mut found = Found::Nothing;
    core.engine.scripts.for_each_running(|script| {
        if !script.is_announced.get() {
            return;
        }
        let is_function = script.function.is_some();
        let outcome = if is_function != (kind == Kind::Function) {
            Found::OtherKind
        } else if script.has_written.get() {
            Found::HasWritten
        } else {
            script.is_killed.set(true);
            Found::Killed
        };
        found = stronger(found, outcome);
    });
    found
}

/// Makes one reply of what all cores found.
pub(crate) fn reply(kind: Kind, outcomes: &[Found]) -> Vec<u8> {
    let found = outcomes.iter().copied().fold(Found::Nothing, stronger);
    let text: &[u8] = match (found, kind) {
        (Found::Killed, _) => b"+OK\r\n",
        (Found::HasWritten, _) => {
            b"-UNKILLABLE Sorry the script already executed write commands against the dataset. You \
              can either wait the script termination or kill the server in a hard way using the \
              SHUTDOWN NOSAVE command.\r\n"
        }
        (Found::OtherKind, Kind::Script) => {
            b"-BUSY Redis is busy running a script. You can only call FUNCTION KILL or SHUTDOWN \
              NOSAVE.\r\n"
        }
        (Found::OtherKind, Kind::Function) => {
            b"-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN \
              NOSAVE.\r\n"
        }
        (Found::Nothing, _) => b"-NOTBUSY No scripts in execution right now.\r\n",
    };
    text.to_vec()
}

fn stronger(first: Found, second: Found) -> Found {
    let rank = |found| match found {
        Found::Nothing => 0,
        Found::OtherKind => 1,
        Found::HasWritten => 2,
        Found::Killed => 3,
    };
    if rank(second) > rank(first) {
        second
    } else {
        first
    }
}
