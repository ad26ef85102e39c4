//! A message to a channel, encoded once for all who get it.

use bytes::Bytes;
use protocol::reply::{Reply, Resp};

use crate::subscriptions::Kind;

/// A message to a channel. Cheap to clone: cores share the bytes, which never change.
#[derive(Clone, Debug)]
pub struct Message {
    is_shard: bool,
    /// The frame of RESP2 for those who listen to the channel by its name.
    frame: Bytes,
    channel: Bytes,
    payload: Bytes,
}

impl Message {
    /// Creates a message to a channel, of a slot if `is_shard`.
    #[must_use]
    pub fn new(is_shard: bool, channel: &[u8], payload: &[u8]) -> Self {
        let kind = if is_shard { "smessage" } else { "message" };
        let mut out = Vec::with_capacity(channel.len() + payload.len() + FRAME_ROOM);
        let mut reply = Reply {
            out: &mut out,
            resp: Resp::V2,
        };
        reply.push(3);
        reply.bulk_text(kind);
        reply.bulk(channel);
        // The line that tells the length of the payload lies between the two.
        let channel_end = reply.out.len() - LINE_END;
        reply.bulk(payload);
        let frame = Bytes::from(out);
        let payload_end = frame.len() - LINE_END;
        Self {
            is_shard,
            channel: frame.slice(channel_end - channel.len()..channel_end),
            payload: frame.slice(payload_end - payload.len()..payload_end),
            frame,
        }
    }

    /// Returns what those who get it by the channel's name have subscribed to.
    #[must_use]
    pub fn kind(&self) -> Kind {
        if self.is_shard {
            Kind::Shard
        } else {
            Kind::Channel
        }
    }

    /// Returns the channel.
    #[must_use]
    pub fn channel(&self) -> &[u8] {
        &self.channel
    }

    /// Returns the frame for those who listen to the channel, in RESP2.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        &self.frame
    }

    /// Returns the frame for those who listen to a pattern, in RESP2.
    #[must_use]
    pub fn pattern_frame(&self, pattern: &[u8]) -> Vec<u8> {
        let room = pattern.len() + self.frame.len() + FRAME_ROOM;
        let mut out = Vec::with_capacity(room);
        let mut reply = Reply {
            out: &mut out,
            resp: Resp::V2,
        };
        reply.push(4);
        reply.bulk_text("pmessage");
        reply.bulk(pattern);
        reply.bulk(&self.channel);
        reply.bulk(&self.payload);
        out
    }
}

/// Bytes of a frame beside channel, pattern and payload, at most about.
const FRAME_ROOM: usize = 64;

/// Bytes behind a string in a frame.
const LINE_END: usize = 2;

/// Appends a frame of RESP2 as one of `resp`: they differ in the first byte.
pub(super) fn push_frame(out: &mut Vec<u8>, frame: &[u8], resp: Resp) {
    match resp {
        Resp::V2 => out.extend_from_slice(frame),
        Resp::V3 => {
            out.push(b'>');
            out.extend_from_slice(&frame[1..]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_frame_are_found_again() {
        let message = Message::new(true, b"news\r\n", b"");
        assert_eq!(message.channel(), b"news\r\n");
        assert_eq!(&*message.payload, b"");
        let frame = b"*3\r\n$8\r\nsmessage\r\n$6\r\nnews\r\n\r\n$0\r\n\r\n";
        assert_eq!(message.frame(), frame);
    }

    #[test]
    fn frames_of_both_protocols_differ_in_their_first_byte() {
        let message = Message::new(false, b"c", b"hey");
        let mut out = Vec::new();
        push_frame(&mut out, &message.pattern_frame(b"*"), Resp::V3);
        let expected = b">4\r\n$8\r\npmessage\r\n$1\r\n*\r\n$1\r\nc\r\n$3\r\nhey\r\n";
        assert_eq!(out, expected);
    }
}
