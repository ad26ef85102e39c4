//! Scores: their order, and how they lie in a listpack.
//!
//! Source: payloads of DUMP of Redis 7.0.15.

use base::number;

use crate::listpack::Element;

/// Whole scores up to this size lie in a listpack as integers: 2^62.
const WHOLE_MAX: f64 = 4_611_686_018_427_387_904.0;

/// Bytes of the longest text of a score.
const TEXT_BYTES_MAX: usize = 24;

/// A score as it is put into a listpack.
pub(super) enum Stored {
    Whole(i64),
    Text(Vec<u8>),
}

impl Stored {
    /// Converts a score; only one with a fraction or a large one allocates.
    pub(super) fn new(score: f64) -> Self {
        if score.trunc() == score && score.abs() <= WHOLE_MAX {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a whole number of at most 2^62 converts exactly"
            )]
            return Self::Whole(score as i64);
        }
        let mut text = Vec::with_capacity(TEXT_BYTES_MAX);
        number::write_f64(&mut text, score);
        Self::Text(text)
    }

    pub(super) fn element(&self) -> Element<'_> {
        match self {
            Self::Whole(value) => Element::Integer(*value),
            Self::Text(text) => Element::Bytes(text),
        }
    }
}

/// Appends a score as it lies in a listpack.
pub fn write_stored(out: &mut Vec<u8>, score: f64) {
    Stored::new(score).element().write_to(out);
}

/// Reads a score from a listpack; `None` if it is none.
pub(super) fn read(element: Element<'_>) -> Option<f64> {
    match element {
        #[expect(
            clippy::cast_precision_loss,
            reason = "scores were written from doubles; others are rounded as Redis does"
        )]
        Element::Integer(value) => Some(value as f64),
        Element::Bytes(text) => number::parse_f64(text),
    }
}
