//! When, or how often, a key was used: 24 bits beside each key.
//!
//! Under an LRU policy (and by default) they are the second of the last access modulo 2^24, 194
//! days. Under an LFU policy they are minutes modulo 2^16 and an 8-bit counter that grows
//! logarithmically with accesses and shrinks with time. Source: the Redis documentation on key
//! eviction, checked with OBJECT IDLETIME and OBJECT FREQ of redis-server 7.0.15.
//!
//! Invariant: a change of policy leaves old notes as they are; they are then read in the new way, as
//! in Redis, until the next access.

use base::cast;
use base::clock::UnixMillis;
use base::random::Random;

const CLOCK_MASK: u32 = (1 << 24) - 1;
const MINUTES_MASK: u32 = (1 << 16) - 1;
const COUNTER_MASK: u32 = 0xFF;

/// Where the counter of a new key begins, so that it is not evicted at once.
const COUNTER_START: u32 = 5;

/// How accesses are noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    pub(crate) lfu: bool,
    pub(crate) log_factor: u32,
    pub(crate) decay_minutes: u32,
}

/// Returns the note of a new key.
pub(crate) fn first(policy: Policy, now: UnixMillis) -> u32 {
    if policy.lfu {
        minutes(now) << 8 | COUNTER_START
    } else {
        seconds(now)
    }
}

/// Returns the note of a key that was used so many seconds ago, under an LRU policy. What is longer ago
/// than the second 0 of the clock of 24 bits counts, as in Redis, from half of the clock ahead.
pub(crate) fn used_before(now: UnixMillis, seconds_ago: u64) -> u32 {
    let clock = seconds(now);
    match u32::try_from(seconds_ago) {
        Ok(ago) if ago <= clock => clock - ago,
        _ => (clock + CLOCK_MASK / 2) % CLOCK_MASK,
    }
}

/// Returns the note of a key with this counter, under an LFU policy.
pub(crate) fn used_often(now: UnixMillis, counter: u8) -> u32 {
    minutes(now) << 8 | u32::from(counter)
}

/// Returns the note after an access at `now`; without LFU that of a new key.
pub(crate) fn next(policy: Policy, old: u32, now: UnixMillis, random: &mut Random) -> u32 {
    if !policy.lfu {
        return first(policy, now);
    }
    let counter = decayed(old, now, policy.decay_minutes);
    let counter = counter + u32::from(grows(counter, policy.log_factor, random));
    minutes(now) << 8 | counter
}

/// Returns the seconds since the last access, under an LRU policy.
pub(crate) fn idle_seconds(note: u32, now: UnixMillis) -> u64 {
    u64::from(seconds(now).wrapping_sub(note) & CLOCK_MASK)
}

/// Returns the counter of a note, less what time has taken off, under an LFU policy.
pub(crate) fn decayed(note: u32, now: UnixMillis, decay_minutes: u32) -> u32 {
    let passed = minutes(now).wrapping_sub(note >> 8) & MINUTES_MASK;
    let periods = passed.checked_div(decay_minutes).unwrap_or(0);
    (note & COUNTER_MASK).saturating_sub(periods)
}

/// Decides whether the counter grows: with probability 1 / ((counter - 5) * factor + 1).
fn grows(counter: u32, log_factor: u32, random: &mut Random) -> bool {
    if counter >= COUNTER_MASK {
        return false;
    }
    let above = u64::from(counter.saturating_sub(COUNTER_START));
    random.below(above * u64::from(log_factor) + 1) == 0
}

fn seconds(now: UnixMillis) -> u32 {
    wrapped(now.seconds(), CLOCK_MASK)
}

fn minutes(now: UnixMillis) -> u32 {
    wrapped(now.seconds().div_euclid(60), MINUTES_MASK)
}

fn wrapped(value: i64, mask: u32) -> u32 {
    let low = value.cast_unsigned() & u64::from(mask);
    cast::u32_from(cast::usize_from(low))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LFU: Policy = Policy {
        lfu: true,
        log_factor: 10,
        decay_minutes: 1,
    };
    const LRU: Policy = Policy {
        lfu: false,
        log_factor: 10,
        decay_minutes: 1,
    };

    #[test]
    fn idle_time_survives_the_wrap_of_its_clock() {
        let before = UnixMillis((1 << 24) * 1000 - 2000);
        let after = UnixMillis((1 << 24) * 1000 + 3000);
        assert_eq!(idle_seconds(first(LRU, before), after), 5);
        assert_eq!(idle_seconds(first(LRU, after), after), 0);
    }

    #[test]
    fn counter_grows_with_accesses_and_shrinks_with_minutes() {
        let mut random = Random::new(1);
        let mut note = first(LFU, UnixMillis(0));
        assert_eq!(decayed(note, UnixMillis(0), 1), 5);
        for _ in 0..1000 {
            note = next(LFU, note, UnixMillis(0), &mut random);
        }
        // The Redis documentation gives 18 for 1000 hits at factor 10.
        let counter = decayed(note, UnixMillis(0), 1);
        assert!((12..=26).contains(&counter), "{counter}");
        assert_eq!(decayed(note, UnixMillis(3 * 60_000), 1), counter - 3);
        assert_eq!(decayed(note, UnixMillis(3 * 60_000), 0), counter);
        assert_eq!(decayed(note, UnixMillis(600 * 60_000), 1), 0);
    }

    #[test]
    fn counter_stops_at_its_largest_value() {
        let mut random = Random::new(2);
        let policy = Policy {
            log_factor: 0,
            ..LFU
        };
        let mut note = first(policy, UnixMillis(0));
        for _ in 0..1000 {
            note = next(policy, note, UnixMillis(0), &mut random);
        }
        assert_eq!(decayed(note, UnixMillis(0), 1), 255);
    }
}
