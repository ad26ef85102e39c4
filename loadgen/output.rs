//! The one place that writes to standard output and standard error.
//!
//! A reader that went away (a closed pipe) is no reason to stop: the load goes on, as the JSON
//! document may still be wanted.

use std::io::Write;

/// Writes `text` to standard output as it stands and sends it off.
pub(crate) fn print(text: &str) {
    let mut stdout = std::io::stdout().lock();
    // See the head of the module: nobody reads, so nobody is told.
    if stdout.write_all(text.as_bytes()).is_ok() {
        drop(stdout.flush());
    }
}

/// Writes `line` and the end of a line to standard error.
pub(crate) fn print_error(line: &str) {
    let mut stderr = std::io::stderr().lock();
    drop(writeln!(stderr, "{line}"));
}
