//! Slots to shards.
//!
//! Not here: where requests go (`coordinator::route`).

use base::hash::key_slot;
use base::ids::{ShardId, SlotId};
use base::limits::SLOT_COUNT;

/// Returns which of `shards` shards owns `slot`: each has a range of almost equal length, all together every slot.
#[must_use]
pub fn owner(slot: SlotId, shards: u16) -> ShardId {
    let shard = u32::from(slot.0) * u32::from(shards) / u32::from(SLOT_COUNT);
    ShardId(u16::try_from(shard).unwrap_or(0))
}

/// Returns which of `shards` shards owns `key`.
#[inline]
#[must_use]
pub fn owner_of_key(key: &[u8], shards: u16) -> ShardId {
    if shards <= 1 {
        ShardId(0)
    } else {
        owner(key_slot(key), shards)
    }
}
