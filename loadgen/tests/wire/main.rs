//! Tests with a real redis-server and, for comparison, a real redis-benchmark.

mod behaviour;
mod redis_benchmark;
mod support;
