//! Entries of streams and their ids as replies.

use protocol::reply::Reply;
use types::stream::id::Id;
use types::stream::node::Entry;

use crate::counted::write_element;

/// Answers with an id.
pub(crate) fn reply_id(reply: &mut Reply<'_>, id: Id) {
    let (mut ms, mut sequence) = (itoa::Buffer::new(), itoa::Buffer::new());
    let (ms, sequence) = (ms.format(id.ms), sequence.format(id.sequence));
    // Two numbers of at most twenty digits.
    let mut text = [b'-'; 41];
    let len = ms.len() + 1 + sequence.len();
    text[..ms.len()].copy_from_slice(ms.as_bytes());
    text[ms.len() + 1..len].copy_from_slice(sequence.as_bytes());
    reply.bulk(&text[..len]);
}

/// Answers with an entry: its id, and an array of fields and values.
pub(crate) fn reply_entry(reply: &mut Reply<'_>, entry: Entry<'_>) {
    reply.array(2);
    reply_id(reply, entry.id);
    reply.array(2 * entry.pair_count());
    for (field, value) in entry.pairs() {
        write_element(reply, field);
        write_element(reply, value);
    }
}
