//! Which operations change something, as far as can be said before they run.
//!
//! Invariant: an operation that may change something which a client could miss after a crash is among them. Those
//! that are not may remove what is dead.

use commands::spec::Flags;
use commands::table::parts::TableStep;

use super::{Operation, OwnedRequest, SortStep};

/// Returns whether one of the operations may change something.
pub(crate) fn may_change(operations: &[Operation]) -> bool {
    operations.iter().any(Operation::may_change)
}

impl Operation {
    fn may_change(&self) -> bool {
        match self {
            Self::Run(request) | Self::RunWith { request, .. } => writes(request),
            Self::RunAll(queue) => queue.requests().any(|request| {
                let flags = request.command.declaration.flags_of(request.args);
                flags.has(Flags::WRITE)
            }),
            Self::Wake { .. } | Self::Store { .. } | Self::Remove { .. } => true,
            Self::Settle { loan, .. } => loan.is_changed(),
            Self::Table(_, step) => match &**step {
                TableStep::Apply(..)
                | TableStep::Note { .. }
                | TableStep::Take(_)
                | TableStep::Store(..) => true,
                TableStep::Run { plan, .. } => plan.is_write(),
                TableStep::RunMany(many) => many.works.iter().any(|it| it.plan.is_write()),
                TableStep::Prepare { .. }
                | TableStep::PlanSpread(..)
                | TableStep::Build(..)
                | TableStep::Values(..)
                | TableStep::PlanEnd { .. }
                | TableStep::Refuse { .. }
                | TableStep::Holders { .. }
                | TableStep::Explain(_)
                | TableStep::Info(_) => false,
            },
            Self::Sort(step) => match step {
                SortStep::Store { .. } => true,
                SortStep::Elements { .. } | SortStep::LookUp { .. } => false,
            },
            Self::Visit(_)
            | Self::Sign(_)
            | Self::Names(_)
            | Self::Lend { .. }
            | Self::Await { .. }
            | Self::Fetch { .. }
            | Self::Exists { .. }
            | Self::Size { .. }
            | Self::Watch { .. }
            | Self::CheckWatches(_) => false,
        }
    }
}

fn writes(request: &OwnedRequest) -> bool {
    let flags = request.command.declaration.flags_of(request.args.args());
    flags.has(Flags::WRITE)
}
