//! Tests with a real redis-server and, for comparison, a real redis-benchmark.
#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod behaviour;
mod redis_benchmark;
mod support;
