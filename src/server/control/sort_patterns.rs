//! What SORT says when its patterns name keys that its user may not read.
//!
//! The keys behind BY and GET follow from the elements, so no rule about keys can be asked beforehand: a user needs to
//! be allowed to read all keys.

use base::number::parse_i64;
use protocol::args::{Args, equals_ignore_case};

use crate::acl::catalog::Known;
use crate::acl::user::User;

const BY: &str = "ERR BY option of SORT denied due to insufficient ACL permissions.";
const GET: &str = "ERR GET option of SORT denied due to insufficient ACL permissions.";

/// Returns the error of a SORT with patterns that its user may not use. What is wrong with the words before
/// comes first.
pub(crate) fn refusal(user: &User, known: &Known, args: Args<'_>) -> Option<&'static str> {
    if !known.reads_by_pattern || user.may_read_all(known, args) {
        return None;
    }
    let is = |index: usize, text: &str| {
        args.get(index)
            .is_some_and(|word| equals_ignore_case(word, text))
    };
    let mut index = 2;
    while index < args.len() {
        let left = args.len() - index - 1;
        if is(index, "ASC") || is(index, "DESC") || is(index, "ALPHA") {
            index += 1;
        } else if is(index, "LIMIT") && left >= 2 {
            parse_i64(args.word(index + 1))?;
            parse_i64(args.word(index + 2))?;
            index += 3;
        } else if is(index, "STORE") && left >= 1 {
            index += 2;
        } else if is(index, "BY") && left >= 1 {
            if args.word(index + 1).contains(&b'*') {
                return Some(BY);
            }
            index += 2;
        } else if is(index, "GET") && left >= 1 {
            return Some(GET);
        } else {
            return None;
        }
    }
    None
}
