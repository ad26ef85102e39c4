//! What a shard does in a hop, one operation after the other.
//!
//! Not here: when a hop may run (`host`), which hops a request takes (`program`).

use base::clock::Monotonic;
use base::ids::{DbIndex, ShardId};
use commands::loans::Loans;
use commands::parts;
use commands::run;
use commands::sort;
use commands::table;
use commands::table::parts::TableStep;
use commands::wait_form::Waiting;
use protocol::args::LargeWord;
use runtime::clock::monotonic;
use shard::loan::Loan;
use tables::schema::{Layout, TableId};

use super::{Host, context_of};
use crate::message::{Operation, Outcome, OwnedRequest, Request, SortStep, WaiterNumber};

impl Host {
    pub(super) fn run_operations(
        &mut self,
        from: ShardId,
        operations: Vec<Operation>,
        begun: Monotonic,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::with_capacity(operations.len());
        let mut started = begun;
        for operation in operations {
            let is_check = matches!(operation, Operation::CheckWatches(_));
            let outcome = self.run_operation(from, operation, &mut started);
            let is_changed = is_check && matches!(outcome, Outcome::Integer(0));
            outcomes.push(outcome);
            if is_changed {
                break;
            }
        }
        // What the hop has signed; nothing if it has not.
        self.shard.sign_changes(None);
        outcomes
    }

    fn run_operation(
        &mut self,
        from: ShardId,
        operation: Operation,
        started: &mut Monotonic,
    ) -> Outcome {
        match operation {
            Operation::Visit(visit) => self.visit(visit),
            Operation::Sign(author) => {
                self.shard.sign_changes(Some(author));
                Outcome::Done
            }
            Operation::Run(mut request) => match request.large.take() {
                Some(large) => self.run_large(&request, large, started),
                None => self.run_command(&request, started),
            },
            Operation::Names(request) => self.run_command(&request, started),
            Operation::RunAll(mut queue) => {
                self.run_queue(&mut queue);
                *started = monotonic();
                Outcome::Replies(queue)
            }
            Operation::Lend {
                db,
                key,
                read,
                touch,
            } => {
                let key = self.shard.key(&key);
                Outcome::Lent(Box::new(self.shard.db(db).lend(key, read, touch)))
            }
            Operation::RunWith {
                request,
                loans,
                waiting,
            } => self.run_with_loans(&request, loans, waiting, started),
            Operation::Await {
                waiter,
                request,
                words,
            } => {
                self.join_queues((from, waiter), &request, words.into_iter(), false);
                Outcome::Done
            }
            Operation::Wake { waiter, key } => self.run_wake(from, waiter, &key, started),
            Operation::Settle { db, loan } => {
                run::settle(&mut self.shard, db, *loan);
                Outcome::Done
            }
            Operation::Fetch { db, key, touch } => {
                Outcome::Entry(parts::fetch(&mut self.shard, db, &key, touch).map(Box::new))
            }
            Operation::Store {
                db,
                key,
                entry,
                event,
            } => {
                parts::store(&mut self.shard, db, &key, *entry);
                parts::tell(&mut self.shard, db, event, &key);
                Outcome::Done
            }
            Operation::Remove { db, key, event } => {
                let hashed = self.shard.key(&key);
                let existed = self.shard.db(db).remove(hashed);
                if existed {
                    parts::tell(&mut self.shard, db, event, &key);
                }
                Outcome::Integer(i64::from(existed))
            }
            Operation::Exists { db, mut keys } => {
                keys.retain(|key| parts::exists(&mut self.shard, db, key));
                Outcome::Integer(base::cast::i64_from(keys.len()))
            }
            Operation::Size { db } => {
                Outcome::Integer(base::cast::i64_from(self.shard.db(db).len()))
            }
            Operation::Watch { db, key, is_alone } => self.watch(db, &key, is_alone),
            Operation::Table(db, step) => self.run_table_step(db, *step),
            Operation::Sort(step) => self.run_sort_step(step),
            Operation::CheckWatches(watched) => {
                Outcome::Integer(i64::from(self.check_watches(&watched)))
            }
        }
    }

    fn watch(&mut self, db: DbIndex, key: &[u8], is_alone: bool) -> Outcome {
        let version = self.shard.watch(db, key);
        let table = self.shard.tables().catalog(db).lookup(key);
        if is_alone && table.is_some_and(|it| it.layout != Layout::Home) {
            // It has been spread while the request was on its way, and others do not tell this shard.
            self.shard.touch_table(db, key);
        }
        Outcome::Integer(version.cast_signed())
    }

    fn run_table_step(&mut self, db: DbIndex, step: TableStep) -> Outcome {
        let id = TableId(self.ids.next().0);
        let outcome = table::parts::run(&mut self.shard, (db, id), step);
        Outcome::Table(Box::new(outcome))
    }

    fn run_command(&mut self, request: &OwnedRequest, started: &mut Monotonic) -> Outcome {
        let ran = self.run_timed(request, Loans::default(), Waiting::Never, started);
        Outcome::Reply {
            bytes: ran.bytes,
            nanos: ran.nanos,
        }
    }

    fn run_with_loans(
        &mut self,
        request: &OwnedRequest,
        loans: Vec<Loan>,
        waiting: Waiting,
        started: &mut Monotonic,
    ) -> Outcome {
        let ran = self.run_timed(request, Loans::foreign(loans), waiting, started);
        Outcome::ReplyWith {
            bytes: ran.bytes,
            nanos: ran.nanos,
            loans: ran.loans,
            waits: ran.waits,
        }
    }

    fn run_wake(
        &mut self,
        from: ShardId,
        waiter: WaiterNumber,
        key: &[u8],
        started: &mut Monotonic,
    ) -> Outcome {
        let Some(bytes) = self.wake_offered((from, waiter), key) else {
            return Outcome::Done;
        };
        let ended = monotonic();
        let nanos = ended.nanos_since(*started);
        *started = ended;
        Outcome::Reply { bytes, nanos }
    }

    fn run_sort_step(&mut self, step: SortStep) -> Outcome {
        match step {
            SortStep::Elements {
                db,
                key,
                touch,
                order,
            } => {
                let taken = sort::elements(&mut self.shard, db, &key, touch, order);
                Outcome::Elements(Box::new(taken))
            }
            SortStep::LookUp {
                db,
                keys,
                field,
                touch,
            } => {
                let field = field.as_deref();
                Outcome::Values(sort::look_up(&mut self.shard, db, &keys, field, touch))
            }
            SortStep::Store { db, key, shown } => {
                sort::store(&mut self.shard, db, &key, &shown);
                Outcome::Done
            }
        }
    }

    /// Runs a request as a step of a hop; its time is that since `started`, which moves on.
    fn run_timed(
        &mut self,
        request: &OwnedRequest,
        loans: Loans,
        waiting: Waiting,
        started: &mut Monotonic,
    ) -> StepOfHop {
        let mut bytes = Vec::new();
        let (shard, random) = (&mut self.shard, &mut self.random);
        let mut context = context_of(shard, random, &request.as_request(), loans, &mut bytes);
        context.waiting = waiting;
        run::run(request.command, &mut context, request.args.args());
        run::finish_now(&mut context, request.args.args(), request.command);
        let loans = run::end(&mut context);
        let waits = context.waiting == Waiting::Wanted;
        let ended = monotonic();
        let nanos = ended.nanos_since(*started);
        *started = ended;
        StepOfHop {
            bytes,
            nanos,
            loans,
            waits,
        }
    }

    /// Runs a request of which all keys lie here and that may wait; nothing if it wants to.
    pub(crate) fn run_waiting(
        &mut self,
        request: Request<'_>,
        waiting: Waiting,
    ) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let loans = Loans::default();
        let (shard, random) = (&mut self.shard, &mut self.random);
        let mut context = context_of(shard, random, &request, loans, &mut bytes);
        context.waiting = waiting;
        run::run(request.command, &mut context, request.args);
        run::finish_now(&mut context, request.args, request.command);
        let foreign = run::end(&mut context);
        debug_assert!(foreign.is_empty(), "nothing was lent from elsewhere");
        let waits = context.waiting == Waiting::Wanted;
        (!waits).then_some(bytes)
    }

    /// Runs a request of which a long word came by itself.
    fn run_large(
        &mut self,
        request: &OwnedRequest,
        large: LargeWord,
        started: &mut Monotonic,
    ) -> Outcome {
        let mut bytes = Vec::new();
        let (shard, random) = (&mut self.shard, &mut self.random);
        let wanted = request.as_request();
        let mut context = context_of(shard, random, &wanted, Loans::default(), &mut bytes);
        run::run_large(request.command, &mut context, wanted.args, large);
        run::finish_now(&mut context, wanted.args, wanted.command);
        run::end(&mut context);
        let ended = monotonic();
        let nanos = ended.nanos_since(*started);
        *started = ended;
        Outcome::Reply { bytes, nanos }
    }
}

/// What came of a request as a step of a hop.
struct StepOfHop {
    bytes: Vec<u8>,
    nanos: u64,
    /// The loans that go back to other shards.
    loans: Vec<Loan>,
    /// It asks to wait.
    waits: bool,
}
