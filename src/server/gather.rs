//! Questions to all cores: one job each, and what is made of the parts.
//!
//! The control plane uses this for everything that is not data: `CLIENT LIST`, `INFO`,
//! `CONFIG SET`. The connection that asked waits; nobody else does.

use base::hash::Map;
use base::ids::{ShardId, TxId};
use coordinator::message::Origin;
use runtime::channel::Receiver;

use crate::core_loop::Core;
use crate::engine::{Job, Part};
use crate::persistence::delivery::Parcel;

/// Which cores are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whom {
    /// Every core.
    All,
    /// One core.
    One(ShardId),
}

/// A question.
pub struct Gather {
    /// Who is asked.
    pub whom: Whom,
    /// Makes the job of one core.
    pub job: Box<dyn Fn() -> Job>,
    /// Makes something of the parts, which stand in the order of the cores.
    pub finish: Finish,
}

/// Makes something of the parts of a gather.
pub type Finish = Box<dyn FnOnce(&mut Core, Vec<Part>) -> Finished>;

/// What came out of a gather.
pub enum Finished {
    /// The reply.
    Reply(Vec<u8>),
    /// Another question.
    More(Gather),
    /// A copy of the data, which is on its way.
    Copy(Receiver<Parcel>),
}

impl Gather {
    /// Creates a question to every core. `job` runs on each; `finish` writes the reply.
    pub fn all<T: Send + 'static>(
        job: impl Fn(&mut Core) -> T + Clone + Send + 'static,
        finish: impl FnOnce(&mut Core, Vec<T>) -> Finished + 'static,
    ) -> Self {
        Self::new(Whom::All, job, finish)
    }

    /// Creates a question to `whom`.
    pub fn new<T: Send + 'static>(
        whom: Whom,
        job: impl Fn(&mut Core) -> T + Clone + Send + 'static,
        finish: impl FnOnce(&mut Core, Vec<T>) -> Finished + 'static,
    ) -> Self {
        Self {
            whom,
            job: Box::new(move || {
                let job = job.clone();
                Box::new(move |core| Box::new(job(core)))
            }),
            finish: Box::new(move |core, parts| {
                let parts = parts
                    .into_iter()
                    .filter_map(|part| part.downcast::<T>().ok());
                let parts = parts.map(|part| *part).collect();
                finish(core, parts)
            }),
        }
    }
}

/// Whose question it is.
#[derive(Clone, Copy, Debug)]
pub enum Asker {
    /// A client waits for the reply.
    Client(Origin),
    /// A MULTI needs the reply of one of its commands.
    Transaction(TxId),
    /// Nobody; the reply is dropped.
    Nobody,
}

struct Waiting {
    asker: Asker,
    parts: Vec<Option<Part>>,
    missing: usize,
    whom: Whom,
    finish: Finish,
}

/// The questions a core waits for.
#[derive(Default)]
pub struct Gathers {
    next: u64,
    waiting: Map<u64, Waiting>,
}

impl std::fmt::Debug for Gathers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Gathers")
            .field("waiting", &self.waiting.len())
            .finish()
    }
}

impl Gathers {
    /// Notes a question and returns its number.
    pub fn begin(
        &mut self,
        asker: Asker,
        gather: Gather,
        cores: usize,
    ) -> (u64, Vec<(ShardId, Job)>) {
        let number = self.next;
        self.next += 1;
        let whom = gather.whom;
        let asked: Vec<ShardId> = match whom {
            Whom::All => (0..cores)
                .filter_map(|it| u16::try_from(it).ok())
                .map(ShardId)
                .collect(),
            Whom::One(core) => vec![core],
        };
        let waiting = Waiting {
            asker,
            parts: asked.iter().map(|_| None).collect(),
            missing: asked.len(),
            whom,
            finish: gather.finish,
        };
        self.waiting.insert(number, waiting);
        (
            number,
            asked
                .into_iter()
                .map(|core| (core, (gather.job)()))
                .collect(),
        )
    }

    /// Takes the part of core `from`. With the last part it returns what is to be done.
    pub fn receive(
        &mut self,
        from: ShardId,
        number: u64,
        part: Part,
    ) -> Option<(Asker, Vec<Part>, Finish)> {
        let waiting = self.waiting.get_mut(&number)?;
        let index = if waiting.whom == Whom::All {
            from.index()
        } else {
            0
        };
        let place = waiting.parts.get_mut(index)?;
        if place.replace(part).is_none() {
            waiting.missing -= 1;
        }
        if waiting.missing > 0 {
            return None;
        }
        let waiting = self.waiting.remove(&number)?;
        Some((
            waiting.asker,
            waiting.parts.into_iter().flatten().collect(),
            waiting.finish,
        ))
    }
}
