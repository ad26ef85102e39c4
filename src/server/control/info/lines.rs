//! The text of INFO: `name:value` lines under headings.

use std::fmt::Display;

/// A text of lines, each ended by CR and LF.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    pub(crate) text: String,
}

impl Lines {
    /// Begins a section; an empty line parts it from the one before.
    pub(super) fn heading(&mut self, title: &str) {
        if !self.text.is_empty() {
            self.text.push_str("\r\n");
        }
        self.text.push_str(&format!("# {title}\r\n"));
    }

    /// Adds a field.
    pub(crate) fn field(&mut self, name: &str, value: impl Display) {
        self.text.push_str(&format!("{name}:{value}\r\n"));
    }

    /// Adds fields of things that this server does not have.
    pub(super) fn zeros(&mut self, names: &[&str]) {
        for name in names {
            self.field(name, 0);
        }
    }

    /// Adds a size in bytes, and the same for people.
    pub(super) fn size(&mut self, name: &str, bytes: u64) {
        self.field(name, bytes);
        self.field(&format!("{name}_human"), human(bytes));
    }
}

/// Returns a size in the unit that makes it readable.
pub(crate) fn human(bytes: u64) -> String {
    const UNITS: &[(u64, &str)] = &[
        (1 << 50, "P"),
        (1 << 40, "T"),
        (1 << 30, "G"),
        (1 << 20, "M"),
        (1 << 10, "K"),
    ];
    for (unit, name) in UNITS {
        if bytes >= *unit {
            return format!("{:.2}{name}", quotient(bytes, *unit));
        }
    }
    format!("{bytes}B")
}

/// Returns `one / other`, and 0 if there is nothing to divide by.
pub(crate) fn quotient(one: u64, other: u64) -> f64 {
    if other == 0 {
        return 0.0;
    }
    one as f64 / other as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_as_redis_shows_them() {
        let cases = [
            (0, "0B"),
            (200, "200B"),
            (1024, "1.00K"),
            (990_664, "967.45K"),
            (7_163_904, "6.83M"),
            (25_276_510_208, "23.54G"),
        ];
        for (bytes, text) in cases {
            assert_eq!(human(bytes), text);
        }
    }

    #[test]
    fn headings_are_parted_by_an_empty_line() {
        let mut lines = Lines::default();
        lines.heading("One");
        lines.field("a", 1);
        lines.heading("Two");
        lines.zeros(&["b"]);
        assert_eq!(lines.text, "# One\r\na:1\r\n\r\n# Two\r\nb:0\r\n");
    }
}
