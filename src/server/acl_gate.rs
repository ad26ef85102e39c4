//! The gate that asks whether a user may send a request, and what becomes of sessions when users change.
//!
//! Only sessions whose user may not do everything come here. A session gets its user when it begins, by AUTH and
//! HELLO; when users change, every core goes over its sessions once, before the change is answered. One that is on
//! its way between two cores meanwhile is looked at where it arrives.
//!
//! Not here: the rules ([`crate::acl`]).

use std::sync::Arc;

use base::ids::ClientId;
use net::Then;
use net::connection::Connection;
use protocol::args::Args;
use runtime::socket_ring::SocketId;

use crate::acl::log::{Context, Entry};
use crate::acl::selector::Reason;
use crate::acl::user::{Denied, User};
use crate::control::client_list;
use crate::control::sort_patterns;
use crate::core_loop::Core;
use crate::engine::Engine;
use crate::session::Session;
use crate::subscriptions::Kind;
use crate::table::Command;

impl Engine {
    /// Refuses a request that its user may not send. Returns what to do then.
    #[cold]
    pub(crate) fn refuse_denied(
        &mut self,
        connection: &mut Connection<Session>,
        command: &Command,
        args: Args<'_>,
    ) -> Option<Then> {
        let user = Arc::clone(&connection.session.about.user);
        let acl = Arc::clone(&self.shared.acl);
        let known = acl.catalog.at(command.index);
        let is_queued = connection.session.multi.is_some() && !command.ends_multi;
        match user.check(known, args) {
            Ok(()) if is_queued => None,
            Ok(()) => {
                let text = sort_patterns::refusal(&user, known, args)?;
                self.observed.count_error(text.as_bytes());
                self.write(connection, |reply| reply.error(text));
                Some(Then::GoOn)
            }
            Err(denied) => {
                let context = if connection.session.multi.is_some() {
                    Context::Multi
                } else {
                    Context::TopLevel
                };
                let about = (command.full_name, &*user);
                self.log_denied(connection, (context, denied), about, args);
                let text = denied.text(command.full_name);
                Some(self.reject(connection, command, &text))
            }
        }
    }

    /// Adds what was refused to ACL LOG.
    pub(crate) fn log_denied(
        &self,
        connection: &Connection<Session>,
        (context, denied): (Context, Denied),
        (full_name, user): (&str, &User),
        args: Args<'_>,
    ) {
        let object = match denied.reason {
            Reason::Command => full_name.as_bytes(),
            Reason::Key | Reason::Channel | Reason::Auth => args.word(denied.word),
        };
        self.log_refusal(connection, (context, denied.reason), object, user.name());
    }

    /// The same, for an object and a user by name.
    pub(crate) fn log_refusal(
        &self,
        connection: &Connection<Session>,
        (context, reason): (Context, Reason),
        object: &[u8],
        user: &[u8],
    ) {
        self.shared.acl.note(Entry {
            count: 1,
            reason,
            context,
            object: object.to_vec(),
            user: user.to_vec(),
            at: self.now,
            client: client_list::described(connection, self.clock, self.me),
        });
    }

    /// Returns whether a client that has not logged in has to.
    #[cold]
    pub(crate) fn requires_login(&self) -> bool {
        !self.shared.acl.default_user().is_open()
    }

    /// Gives a session that has come to this core its user, as that is now. Returns whether the user is still there, and
    /// the session may go on to listen to what it listens to.
    pub(crate) fn follow_user(&self, session: &mut Session) -> bool {
        let (users, number) = self.shared.acl.users();
        if session.users_number == number {
            return true;
        }
        session.users_number = number;
        let before = &session.about.user;
        match users.get(before.name()) {
            Some(user) if user.is_same(before) => {
                let keeps = Arc::ptr_eq(user, before) || may_go_on_listening(user, session);
                session.set_user(Arc::clone(user), number);
                keeps
            }
            Some(_) | None => false,
        }
    }
}

/// Returns whether a user may listen to all that a session listens to.
fn may_go_on_listening(user: &User, session: &Session) -> bool {
    let Some(subscriptions) = &session.subscriptions else {
        return true;
    };
    let kinds = [
        (Kind::Channel, false),
        (Kind::Pattern, true),
        (Kind::Shard, false),
    ];
    user.may_listen_to_all()
        || kinds.into_iter().all(|(kind, is_pattern)| {
            let names = subscriptions.names(kind);
            names.iter().all(|name| user.may_listen(name, is_pattern))
        })
}

impl Core {
    /// Gives all sessions of this core their users, as these are now, and closes those whose user is gone or may not
    /// listen any more to what they listen to. The client `asker` is left; returns whether it is to be closed. O(clients).
    pub(crate) fn follow_users(&mut self, asker: Option<ClientId>) -> bool {
        let mut closed: Vec<SocketId> = Vec::new();
        let mut is_asker = false;
        let Self { engine, net, .. } = self;
        for (id, connection) in net.iter_mut() {
            if !engine.follow_user(&mut connection.session) {
                if asker == Some(connection.session.client) {
                    is_asker = true;
                } else {
                    closed.push(id);
                }
            }
        }
        for id in closed {
            self.net.close(id, &mut self.engine);
        }
        is_asker
    }
}
