//! The commands of a MULTI, looked at once more when EXEC comes: their user may have other rights by then.
//!
//! What each command is allowed is found out before any of them runs. A login among them counts for those behind
//! it, and so does a change of users. What is not allowed is replaced in the queue by its error.
//!
//! Not here: what was refused when it was queued (`crate::acl_gate`).

use std::borrow::Cow;
use std::sync::Arc;

use coordinator::message::queue::{Queue, Queued};
use coordinator::route::route;
use protocol::args::{Args, PackedArgs, equals_ignore_case};

use super::{ControlContext, acl, client_list, connection, sort_patterns};
use crate::acl::Users;
use crate::acl::log::Context;
use crate::acl::user::{DEFAULT_USER, User};
use crate::layer_options;
use crate::scripts::start::ScriptUser;

/// Whose rights the commands of a MULTI have.
#[derive(Debug, Default)]
pub(super) struct RunAs {
    /// By command; empty if all have a user who may do everything.
    users: Vec<Arc<User>>,
    /// The client, as ACL LOG shows it.
    client: Arc<str>,
}

impl RunAs {
    /// Returns the user of a script, if it may not do everything.
    pub(super) fn of_script(&self, index: usize) -> Option<Arc<ScriptUser>> {
        let user = self.users.get(index)?;
        ScriptUser::if_limited(user, || String::from(&*self.client))
    }
}

/// Returns the queue with errors in the place of what is not allowed, and whose rights the others have.
pub(super) fn reviewed(context: &mut ControlContext<'_>, queue: Queue) -> (Queue, RunAs) {
    let is_limited = context.session().is_limited;
    if !is_limited
        && !queue
            .iter()
            .any(|queued| may_change_rights(args_of(&queued)))
    {
        return (queue, RunAs::default());
    }
    let users = foresee(context, &queue);
    let mut refused: Vec<Option<Cow<'static, str>>> = Vec::new();
    for (queued, user) in queue.iter().zip(&users) {
        refused.push(refuse(context, user, args_of(&queued)));
    }
    let connection = &*context.connection;
    let engine = &*context.engine;
    let client = client_list::described(connection, engine.clock, engine.me).into();
    let run_as = RunAs { users, client };
    if refused.iter().all(Option::is_none) {
        return (queue, run_as);
    }
    let mut changed = context.engine.spare_queue();
    for (index, queued) in queue.iter().enumerate() {
        match (queued, &refused[index]) {
            (_, Some(text)) => {
                let mut words = PackedArgs::new();
                words.push_word(MARK);
                words.push_word(text.as_bytes());
                changed.push_control(words.args(), queue.tag(index), false);
            }
            (Queued::Shard(request), None) => {
                let lies = route(context.engine.map, request.command, request.args).into();
                changed.push(request, lies, false);
            }
            (Queued::Control { args, sees_data }, None) => {
                changed.push_control(args, queue.tag(index), sees_data);
            }
        }
    }
    context.engine.keep_queue(queue);
    (changed, run_as)
}

/// The name of no command: what stands for one that was refused.
const MARK: &[u8] = b"";

/// Returns the error that stands in the place of a command.
pub(super) fn refusal(args: Args<'_>) -> Option<Cow<'_, str>> {
    let is_mark = args.word(0) == MARK;
    is_mark.then(|| String::from_utf8_lossy(args.get(1).unwrap_or_default()))
}

fn args_of<'q>(queued: &Queued<'q>) -> Args<'q> {
    match queued {
        Queued::Shard(request) => request.args,
        Queued::Control { args, .. } => *args,
    }
}

fn may_change_rights(args: Args<'_>) -> bool {
    ["AUTH", "HELLO", "ACL"]
        .iter()
        .any(|name| equals_ignore_case(args.word(0), name))
}

/// Returns why a user may not run a command, and notes it.
fn refuse(context: &ControlContext<'_>, user: &User, args: Args<'_>) -> Option<Cow<'static, str>> {
    if user.may_do_everything() {
        return None;
    }
    let acl = &context.engine.shared.acl;
    let known = acl
        .catalog
        .at(context.engine.shared.table.resolve(args)?.index);
    match user.check(known, args) {
        Ok(()) => sort_patterns::refusal(user, known, args).map(Cow::Borrowed),
        Err(denied) => {
            context.engine.log_denied(
                context.connection,
                (Context::Multi, denied),
                (known.full_name, user),
                args,
            );
            Some(Cow::Owned(denied.exec_text()))
        }
    }
}

/// Finds out whose rights each command will have.
fn foresee(context: &mut ControlContext<'_>, queue: &Queue) -> Vec<Arc<User>> {
    let shared = Arc::clone(&context.engine.shared);
    let defaults = layer_options::acl(&context.engine.config);
    let mut user = Arc::clone(&context.session().about.user);
    let mut users: Users = (*shared.acl.users().0).clone();
    let mut found = Vec::with_capacity(queue.len());
    for queued in queue.iter() {
        found.push(Arc::clone(&user));
        let args = args_of(&queued);
        let is = |index: usize, text: &str| {
            args.get(index)
                .is_some_and(|word| equals_ignore_case(word, text))
        };
        let command = shared.table.resolve(args);
        let may_run = command.is_some_and(|command| {
            user.check(shared.acl.catalog.at(command.index), args)
                .is_ok()
        });
        if !may_run || !may_change_rights(args) {
            continue;
        }
        if is(0, "ACL") && is(1, "SETUSER") {
            if let Ok(rules) = acl::join_rules(args.from(3)) {
                // What is wrong with the rules is told when the command runs.
                shared
                    .acl
                    .set_user(&mut users, (args.word(2), defaults), &rules)
                    .ok();
            }
            if let Some(changed) = users.get(user.name()) {
                user = Arc::clone(changed);
            }
        } else if !is(0, "ACL")
            && let Some((name, password)) = connection::login_of(args)
        {
            let is_for_nobody = is(0, "AUTH")
                && args.len() == 2
                && users
                    .get(DEFAULT_USER)
                    .is_none_or(|user| user.takes_any_password());
            let found = connection::find_user(&users, name, password);
            if let Some(found) = found.filter(|_| !is_for_nobody) {
                user = found;
            }
        }
    }
    found
}
