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
