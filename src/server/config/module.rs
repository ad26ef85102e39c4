//! The arguments of `loadmodule`.
//!
//! `RedisTABLE` is built in. Who starts the server as he started Redis with that module gets what he wants; any
//! other module is refused.

use std::path::Path;

use super::value::Complaint;

/// The directive that the module's only argument sets.
pub(super) const SCAN_LIMIT: &str = "max_scan_limit";

/// Returns the value that the words of `loadmodule` give for [`SCAN_LIMIT`], if they give one.
///
/// # Errors
///
/// If they name another module, or other arguments.
pub(super) fn scan_limit<'w>(words: &[&'w str]) -> Result<Option<&'w str>, Complaint> {
    // One word may hold all, as in CONFIG and in variables.
    let words: Vec<&str> = words
        .iter()
        .flat_map(|word| word.split_ascii_whitespace())
        .collect();
    match words[..] {
        [] => Ok(None),
        [path] if is_redis_table(path) => Ok(None),
        [_, SCAN_LIMIT, limit] => Ok(Some(limit)),
        [path, ..] if is_redis_table(path) => {
            Err("the only argument of RedisTABLE is max_scan_limit <rows>".into())
        }
        _ => Err("modules cannot be loaded; RedisTABLE (redistable.so) is built in".into()),
    }
}

fn is_redis_table(path: &str) -> bool {
    let stem = Path::new(path).file_stem().and_then(|stem| stem.to_str());
    let letters = stem.unwrap_or_default().replace(['_', '-'], "");
    letters.eq_ignore_ascii_case("redistable")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_redis_table_is_accepted_with_its_argument() {
        let limit = |words: &[&'static str]| scan_limit(words).ok();
        assert_eq!(limit(&[]), Some(None));
        assert_eq!(limit(&["/usr/lib/redistable.so"]), Some(None));
        assert_eq!(limit(&["x", "max_scan_limit", "5000"]), Some(Some("5000")));
        assert_eq!(limit(&["x max_scan_limit 5000"]), Some(Some("5000")));
        assert_eq!(limit(&["redisearch.so"]), None);
        assert_eq!(limit(&["redis_table.so", "max"]), None);
        assert_eq!(limit(&["redis_table.so", "MAX_SCAN_LIMIT", "5000"]), None);
    }
}
