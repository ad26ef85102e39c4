//! The tests that `-t` chooses from: names, titles, and the words of their requests.
//!
//! Source: recordings of redis-benchmark 7.0.15 (MGET: valkey-benchmark, XADD: redis-benchmark 7.2).
//!
//! Not here: the bytes of a request (`workload`).

/// How a word of a named test is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// As it stands.
    Text(&'static str),
    /// Prefix, then the hash tag in a cluster: the name of a collection.
    Name(&'static str),
    /// Prefix, hash tag in a cluster, `:__rand_int__`.
    Key(&'static str),
    /// The value of `-d` bytes.
    Data,
    /// A score: random with `-r`, else 0.
    Score,
    /// Ten keys, or ten pairs of key and value.
    Keys { with_data: bool },
}

/// A named test.
pub(crate) struct Test {
    /// Names of `-t` that choose it, in lower case.
    pub(crate) names: &'static [&'static str],
    /// What reports call it.
    pub(crate) title: &'static str,
    /// The request; none for the inline one.
    pub(crate) words: &'static [Word],
    /// Whether it runs when `--compat` is given without `-t`.
    pub(crate) is_classic: bool,
}

const LRANGE_NAMES: &[&str] = &[
    "lrange",
    "lrange_100",
    "lrange_300",
    "lrange_500",
    "lrange_600",
];

/// Shorthand for the rows of [`TESTS`].
const fn test(names: &'static [&'static str], title: &'static str, words: &'static [Word]) -> Test {
    Test {
        names,
        title,
        words,
        is_classic: true,
    }
}

/// All named tests in the order they run.
pub(crate) const TESTS: &[Test] = &[
    // Sent inline: `workload` knows how.
    test(&["ping_inline", "ping"], "PING_INLINE", &[]),
    test(&["ping_mbulk", "ping"], "PING_MBULK", &[Word::Text("PING")]),
    test(
        &["set"],
        "SET",
        &[Word::Text("SET"), Word::Key("key"), Word::Data],
    ),
    test(&["get"], "GET", &[Word::Text("GET"), Word::Key("key")]),
    test(
        &["incr"],
        "INCR",
        &[Word::Text("INCR"), Word::Key("counter")],
    ),
    test(
        &["lpush"],
        "LPUSH",
        &[Word::Text("LPUSH"), Word::Name("mylist"), Word::Data],
    ),
    test(
        &["rpush"],
        "RPUSH",
        &[Word::Text("RPUSH"), Word::Name("mylist"), Word::Data],
    ),
    test(
        &["lpop"],
        "LPOP",
        &[Word::Text("LPOP"), Word::Name("mylist")],
    ),
    test(
        &["rpop"],
        "RPOP",
        &[Word::Text("RPOP"), Word::Name("mylist")],
    ),
    test(
        &["sadd"],
        "SADD",
        &[
            Word::Text("SADD"),
            Word::Name("myset"),
            Word::Text("element:__rand_int__"),
        ],
    ),
    test(
        &["hset"],
        "HSET",
        &[
            Word::Text("HSET"),
            Word::Name("myhash"),
            Word::Text("element:__rand_int__"),
            Word::Data,
        ],
    ),
    test(
        &["spop"],
        "SPOP",
        &[Word::Text("SPOP"), Word::Name("myset")],
    ),
    test(
        &["zadd"],
        "ZADD",
        &[
            Word::Text("ZADD"),
            Word::Name("myzset"),
            Word::Score,
            Word::Text("element:__rand_int__"),
        ],
    ),
    test(
        &["zpopmin"],
        "ZPOPMIN",
        &[Word::Text("ZPOPMIN"), Word::Name("myzset")],
    ),
    test(
        LRANGE_NAMES,
        "LPUSH (needed to benchmark LRANGE)",
        &[Word::Text("LPUSH"), Word::Name("mylist"), Word::Data],
    ),
    test(
        &["lrange", "lrange_100"],
        "LRANGE_100 (first 100 elements)",
        &[
            Word::Text("LRANGE"),
            Word::Name("mylist"),
            Word::Text("0"),
            Word::Text("99"),
        ],
    ),
    test(
        &["lrange", "lrange_300"],
        "LRANGE_300 (first 300 elements)",
        &[
            Word::Text("LRANGE"),
            Word::Name("mylist"),
            Word::Text("0"),
            Word::Text("299"),
        ],
    ),
    test(
        &["lrange", "lrange_500"],
        "LRANGE_500 (first 500 elements)",
        &[
            Word::Text("LRANGE"),
            Word::Name("mylist"),
            Word::Text("0"),
            Word::Text("499"),
        ],
    ),
    test(
        &["lrange", "lrange_600"],
        "LRANGE_600 (first 600 elements)",
        &[
            Word::Text("LRANGE"),
            Word::Name("mylist"),
            Word::Text("0"),
            Word::Text("599"),
        ],
    ),
    test(
        &["mset"],
        "MSET (10 keys)",
        &[Word::Text("MSET"), Word::Keys { with_data: true }],
    ),
    Test {
        names: &["mget"],
        title: "MGET (10 keys)",
        words: &[Word::Text("MGET"), Word::Keys { with_data: false }],
        is_classic: false,
    },
    test(
        &["xadd"],
        "XADD",
        &[
            Word::Text("XADD"),
            Word::Name("mystream"),
            Word::Text("*"),
            Word::Text("myfield"),
            Word::Data,
        ],
    ),
];

/// Tests of other tools that this one knows but does not have.
const MISSING_TESTS: &[&str] = &["function_load", "fcall"];

/// Checks the names given with `-t`.
///
/// Returns the names that no test has; they choose nothing.
///
/// # Errors
///
/// A sentence, if a name belongs to a test that other benchmarks have and this one does not.
pub(crate) fn unknown_tests(names: &[String]) -> Result<Vec<String>, String> {
    if let Some(missing) = names
        .iter()
        .find(|name| MISSING_TESTS.contains(&name.as_str()))
    {
        return Err(format!("The test \"{missing}\" is not available"));
    }
    let is_known = |name: &String| TESTS.iter().any(|test| test.names.contains(&name.as_str()));
    Ok(names
        .iter()
        .filter(|name| !is_known(name))
        .cloned()
        .collect())
}
