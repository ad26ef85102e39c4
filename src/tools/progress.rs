//! The bar on a terminal while a task goes on; nothing elsewhere.

use indicatif::{ProgressBar, ProgressStyle};

/// Returns a bar for so many bytes.
pub(crate) fn bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let style =
        ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// Returns a bar for so many rows; without a number, what counts them.
pub(crate) fn rows(rows: Option<u64>) -> ProgressBar {
    let (bar, template) = match rows {
        Some(rows) => (
            ProgressBar::new(rows),
            "{bar:40} {pos}/{len} rows {per_sec} {eta}",
        ),
        None => (ProgressBar::no_length(), "{pos} rows {per_sec}"),
    };
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
