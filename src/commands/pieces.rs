//! Replies of bytes that are there: pieces, and shares of long strings.
//!
//! A share keeps the bytes as they were when the command ran, whatever becomes of their key. Nothing is copied until
//! it is sent.
//!
//! Invariant: a step adds a bounded number of bytes, unless a single piece is longer.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use protocol::reply::{Reply, Resp};

use crate::steps::WALK_STEP_BYTES;

/// Bytes that a step adds of a share.
const PIECE_STEP_BYTES: usize = 128 * 1024;

/// Bytes and shares of strings, one after the other.
#[derive(Debug, Default)]
pub struct Pieces {
    queue: VecDeque<Piece>,
}

#[derive(Debug)]
enum Piece {
    Bytes(Vec<u8>),
    Share {
        bytes: Arc<Vec<u8>>,
        rest: Range<usize>,
    },
}

impl Pieces {
    /// Appends bytes.
    pub(crate) fn bytes(&mut self, bytes: Vec<u8>) {
        self.queue.push_back(Piece::Bytes(bytes));
    }

    /// Puts bytes in front of all.
    pub(crate) fn bytes_first(&mut self, bytes: Vec<u8>) {
        self.queue.push_front(Piece::Bytes(bytes));
    }

    /// Appends a part of a string, as a bulk string.
    pub(crate) fn bulk(&mut self, bytes: Arc<Vec<u8>>, part: Range<usize>) {
        self.bytes(format!("${}\r\n", part.len()).into_bytes());
        self.queue.push_back(Piece::Share { bytes, rest: part });
        self.bytes(b"\r\n".to_vec());
    }

    /// Returns whether nothing was appended.
    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds the next part of the reply, some 100 KB, to `out`. Returns whether there is more.
    pub fn step(&mut self, out: &mut Vec<u8>) -> bool {
        let end = out.len() + PIECE_STEP_BYTES;
        while let Some(piece) = self.queue.front_mut()
            && out.len() < end
        {
            match piece {
                Piece::Bytes(bytes) => {
                    out.extend_from_slice(bytes);
                    self.queue.pop_front();
                }
                Piece::Share { bytes, rest } => {
                    let count = rest.len().min(end - out.len());
                    out.extend_from_slice(&bytes[rest.start..rest.start + count]);
                    rest.start += count;
                    if Range::is_empty(rest) {
                        self.queue.pop_front();
                    }
                }
            }
        }
        !self.queue.is_empty()
    }
}

/// Elements of a reply that gather in steps, before the line that says how many they are.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    pieces: Pieces,
    /// What is not in `pieces` yet.
    bytes: Vec<u8>,
}

impl Gathering {
    /// Returns where the next elements go.
    pub(crate) fn reply(&mut self, resp: Resp) -> Reply<'_> {
        Reply::new(&mut self.bytes, resp)
    }

    /// Begins another piece if the last one is long enough.
    pub(crate) fn cut(&mut self) {
        if self.bytes.len() >= WALK_STEP_BYTES {
            let next = Vec::with_capacity(WALK_STEP_BYTES + WALK_STEP_BYTES / 4);
            self.pieces.bytes(std::mem::replace(&mut self.bytes, next));
        }
    }

    /// Returns all, with what `head` writes in front.
    pub(crate) fn end(mut self, resp: Resp, head: impl FnOnce(&mut Reply<'_>)) -> Pieces {
        self.pieces.bytes(self.bytes);
        let mut line = Vec::new();
        head(&mut Reply::new(&mut line, resp));
        self.pieces.bytes_first(line);
        self.pieces
    }
}
