//! Stacks of their own for running scripts, so that one can be put aside in the middle of a call.
//!
//! All of Lua's C frames of a script lie on its stack; Lua's jumps stay inside it. The memory behind
//! a stack is reserved at once and taken by page when touched, with a page below it that traps.
//!
//! Invariants
//! - A fiber that has begun is resumed until it ends, never unwound: see [`Fiber`].

#![expect(
    unsafe_code,
    reason = "the end of a fiber reaches native functions through Lua, which keeps no Rust reference"
)]

use std::fmt;
use std::ptr::null;

use corosensei::stack::{DefaultStack, Stack};
use corosensei::{Coroutine, CoroutineResult};

use super::context::Context;
use super::lua::Lua;
use super::state::State;
use crate::running::Step;

/// Stack of one script, in bytes: see the tests of nesting for what fills it most.
const STACK_BYTES: usize = 4 * 1024 * 1024;

/// What is kept free at the end of a stack for what does not ask: Lua and its libraries.
const STACK_RESERVE_BYTES: usize = 128 * 1024;

/// Why a script goes on.
#[derive(Debug)]
pub(crate) enum Input {
    /// It begins.
    Begin,
    /// Its slice is over, or its line is logged.
    Continue,
    /// The reply is in [`Context::reply`].
    Reply,
    /// It has to end, for this reason.
    Kill(String),
}

/// The inner end of a fiber.
pub(crate) type Yielder = corosensei::Yielder<Input, Step>;

/// Work of a Lua state on a stack of its own that ends with a `T`.
///
/// Owns the state meanwhile. Dropping one that has begun and not ended leaks stack and state: its owner
/// ends it with [`Input::Kill`] first.
pub(crate) struct Fiber<T: 'static> {
    coroutine: Option<Coroutine<Input, Step, T, DefaultStack>>,
    state: Option<State>,
}

/// A stack that nobody uses.
pub(crate) struct FiberStack(DefaultStack);

impl FiberStack {
    /// Reserves one; nothing if the system has no more room for mappings.
    pub(crate) fn new() -> Option<Self> {
        DefaultStack::new(STACK_BYTES).ok().map(Self)
    }
}

impl fmt::Debug for FiberStack {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("FiberStack").finish_non_exhaustive()
    }
}

/// What resuming a fiber brings.
pub(crate) enum Outcome<T> {
    /// It was put aside.
    Suspended(Step),
    /// It has ended.
    Ended(T, State, FiberStack),
}

impl<T: 'static> Fiber<T> {
    /// Prepares `work` of `state` on `stack`; it begins with the first [`Fiber::resume`].
    pub(crate) fn new(
        state: State,
        stack: FiberStack,
        work: impl FnOnce(&mut Lua<'_>) -> T + 'static,
    ) -> Self {
        let stack_limit = stack.0.limit().get() + STACK_RESERVE_BYTES;
        let raw = state.raw();
        let coroutine = Coroutine::with_stack(stack.0, move |yielder, _input| {
            // SAFETY: the fiber owns the state and keeps it until this has ended; nobody else uses it.
            let mut lua = unsafe { Lua::new(raw) };
            let context = lua.context();
            context.yielder.set(yielder);
            context.stack_limit.set(stack_limit);
            let value = work(&mut lua);
            context.yielder.set(null());
            context.stack_limit.set(0);
            value
        });
        Self {
            coroutine: Some(coroutine),
            state: Some(state),
        }
    }

    /// What the state's native functions share; nothing after the end.
    pub(crate) fn context(&self) -> Option<&Context> {
        self.state.as_ref().map(State::context)
    }

    /// Whether it has begun and not ended.
    pub(crate) fn is_suspended(&self) -> bool {
        self.coroutine
            .as_ref()
            .is_some_and(|coroutine| coroutine.started() && !coroutine.done())
    }

    /// Goes on until it is put aside again or ends. Nothing if it has ended before.
    pub(crate) fn resume(&mut self, input: Input) -> Option<Outcome<T>> {
        let coroutine = self.coroutine.as_mut()?;
        match coroutine.resume(input) {
            CoroutineResult::Yield(step) => Some(Outcome::Suspended(step)),
            CoroutineResult::Return(value) => {
                let stack = FiberStack(self.coroutine.take()?.into_stack());
                Some(Outcome::Ended(value, self.state.take()?, stack))
            }
        }
    }
}

impl<T: 'static> Drop for Fiber<T> {
    fn drop(&mut self) {
        if self.is_suspended() {
            // Unwinding would run through Lua's C frames, and the state is in the middle of a call.
            std::mem::forget(self.coroutine.take());
            std::mem::forget(self.state.take());
        }
    }
}

impl<T: 'static> fmt::Debug for Fiber<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Fiber")
            .field("is_suspended", &self.is_suspended())
            .finish_non_exhaustive()
    }
}

/// Puts the fiber that runs with `context` aside until it is resumed.
///
/// Outside of a fiber there is nobody to ask, and the answer is to end.
pub(crate) fn suspend(context: &Context, step: Step) -> Input {
    let yielder = context.yielder.get();
    if yielder.is_null() {
        return Input::Kill("ERR Not possible outside of a running script".to_owned());
    }
    // SAFETY: the pointer was set by `Inner::with` and is taken back before the yielder goes; only
    // what runs inside that call, on the fiber's own stack, comes here.
    unsafe { &*yielder }.suspend(step)
}

/// Whether the stack of the running fiber has room for one more level of a native recursion.
pub(crate) fn has_stack_left(context: &Context) -> bool {
    let here = 0_u8;
    std::ptr::from_ref(&here).addr() > context.stack_limit.get()
}
