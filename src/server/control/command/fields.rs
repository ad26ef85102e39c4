//! The pieces that several replies of `COMMAND` share.

use protocol::reply::Reply;

/// Writes a field of a map whose value is text.
pub(super) fn write_text(name: &str, text: &str, reply: &mut Reply<'_>) {
    reply.bulk_text(name);
    reply.bulk_text(text);
}

/// Writes a field of a map whose value is a number.
pub(super) fn write_integer(name: &str, value: i64, reply: &mut Reply<'_>) {
    reply.bulk_text(name);
    reply.integer(value);
}

/// Writes a set of words that are sent as status lines.
pub(super) fn write_simple_set(words: &[&str], reply: &mut Reply<'_>) {
    reply.set(words.len());
    for word in words {
        reply.simple(word);
    }
}
