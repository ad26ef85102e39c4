//! What is sent: the bytes of the chosen tests, and the batch that is patched before each write.
//!
//! A command is rendered once. A batch holds it `pipeline` times; before a write only the digits of
//! the random numbers (and, in a cluster, the hash tags) are overwritten in place, so that a
//! request costs a few stores and no formatting.
//!
//! Source of the bytes: recordings of redis-benchmark 7.0.15; `tests/` compares with the installed one
//! again.
//!
//! Invariants
//! - Numbers are drawn in the order of the bytes, one for each placeholder of each copy.
//! - Placeholders behind the first NUL byte of a batch stay as they are (as in redis-benchmark).
//! - A request with counted numbers has the same one in all their places. The first one is 0.
//!
//! Not here: which tests there are (`named_tests`), sending (`client`), choosing the tag of a slot (`cluster`).

use base::cast;

use crate::named_tests::{TESTS, Test, Word};
use crate::options::Options;
use crate::random::Random;

/// Stands for 12 random digits once `-r` is given.
pub(crate) const RANDOM_PLACEHOLDER: &[u8] = b"__rand_int__";
/// Stands for a hash tag in a cluster.
pub(crate) const TAG_PLACEHOLDER: &[u8] = b"{tag}";

/// Each run of it stands for the last digits of the number of a request, with `--count-by`.
pub(crate) const COUNT_PLACEHOLDER: u8 = b'#';

/// One run: what it is called and what it sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Workload {
    /// Name in reports.
    pub(crate) title: String,
    /// One request as it goes over the wire, placeholders included.
    pub(crate) request: Vec<u8>,
    /// The "bytes payload" of the report.
    pub(crate) payload_bytes: usize,
}

/// Returns the runs that `options` ask for, in order: the custom command, or the chosen tests.
pub(crate) fn workloads(options: &Options) -> Vec<Workload> {
    if !options.command.is_empty() {
        let mut request = Vec::new();
        push_command(&mut request, &options.command);
        let title: Vec<_> = options
            .command
            .iter()
            .map(|word| String::from_utf8_lossy(word))
            .collect();
        let payload_bytes = request.len();
        return vec![Workload {
            title: title.join(" "),
            request,
            payload_bytes,
        }];
    }
    let data = value_data(options.data_bytes);
    let is_chosen = |test: &Test| match &options.tests {
        Some(names) => test
            .names
            .iter()
            .any(|name| names.iter().any(|chosen| chosen == name)),
        None => test.is_classic || !options.compat,
    };
    TESTS
        .iter()
        .filter(|test| is_chosen(test))
        .map(|test| Workload {
            title: test.title.to_owned(),
            request: request_of(test, &data, options),
            payload_bytes: data.len(),
        })
        .collect()
}

/// Renders one request of `test`.
fn request_of(test: &Test, data: &[u8], options: &Options) -> Vec<u8> {
    if test.words.is_empty() {
        return b"PING\r\n".to_vec();
    }
    let tag = if options.cluster { ":{tag}" } else { "" };
    let key = |prefix: &str| format!("{prefix}{tag}:__rand_int__").into_bytes();
    let mut words: Vec<Vec<u8>> = Vec::new();
    for word in test.words {
        match *word {
            Word::Text(text) => words.push(text.as_bytes().to_vec()),
            Word::Name(name) => words.push(format!("{name}{tag}").into_bytes()),
            Word::Key(prefix) => words.push(key(prefix)),
            Word::Data => words.push(data.to_vec()),
            Word::Score if options.keyspace.is_some() => words.push(RANDOM_PLACEHOLDER.to_vec()),
            Word::Score => words.push(b"0".to_vec()),
            Word::Keys { with_data } => {
                for _ in 0..10 {
                    words.push(key("key"));
                    if with_data {
                        words.push(data.to_vec());
                    }
                }
            }
        }
    }
    let mut request = Vec::new();
    push_command(&mut request, &words);
    request
}

/// Appends `words` as a RESP array of bulk strings.
pub(crate) fn push_command<W: AsRef<[u8]>>(out: &mut Vec<u8>, words: &[W]) {
    out.extend_from_slice(format!("*{}\r\n", words.len()).as_bytes());
    for word in words {
        let word = word.as_ref();
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
}

/// Returns the `length` bytes that every request sends as its value.
fn value_data(length: usize) -> Vec<u8> {
    let mut state = 1234_u32;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_103_515_245).wrapping_add(12_345);
            b'0' + u8::try_from((state >> 16) & 63).unwrap_or(0)
        })
        .collect()
}

/// Returns what a connection sends before its first request, and how many replies that brings.
pub(crate) fn prefix(options: &Options) -> (Vec<u8>, u64) {
    let mut bytes = Vec::new();
    let mut replies = 0;
    let mut push = |words: &[&[u8]]| {
        push_command(&mut bytes, words);
        replies += 1;
    };
    match (&options.user, &options.password) {
        (Some(user), Some(password)) => push(&[b"AUTH", user.as_bytes(), password.as_bytes()]),
        (None, Some(password)) => push(&[b"AUTH", password.as_bytes()]),
        (_, None) => {}
    }
    if options.enable_tracking {
        push(&[b"CLIENT", b"TRACKING", b"on"]);
    }
    if options.database != 0 && !options.cluster {
        push(&[b"SELECT", options.database.to_string().as_bytes()]);
    }
    if options.resp3 {
        push(&[b"HELLO", b"3"]);
    }
    (bytes, replies)
}

/// Which numbers requests get.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbers {
    /// Random ones below this.
    pub(crate) keyspace: Option<u64>,
    /// Counted ones, so far apart.
    pub(crate) count_by: Option<u64>,
}

/// A batch of requests with the places to be patched.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    bytes: Vec<u8>,
    request_bytes: usize,
    /// Starts of the 12 digits, ascending; empty without `-r`.
    random_at: Vec<usize>,
    /// Places in `random_at` for one request; all requests have the same, up to a NUL byte.
    randoms_per_request: usize,
    /// Starts of `{tag}`, ascending; empty outside a cluster.
    tag_at: Vec<usize>,
    /// Numbers are drawn below this.
    keyspace: u64,
    /// Places of counted numbers in a request: where they begin, and how many digits they have.
    count_at: Vec<(usize, usize)>,
    /// The number of the next request, and how far those behind it are apart.
    count: u64,
    count_by: u64,
}

impl Batch {
    /// Returns a batch of `pipeline` times `request`.
    pub(crate) fn new(request: &[u8], pipeline: usize, numbers: Numbers, is_cluster: bool) -> Self {
        let keyspace = numbers.keyspace;
        let bytes = request.repeat(pipeline);
        let searched = match memchr::memchr(0, &bytes) {
            Some(end) => &bytes[..end],
            None => &bytes[..],
        };
        let places = |wanted: bool, needle: &[u8]| -> Vec<usize> {
            if wanted {
                memchr::memmem::find_iter(searched, needle).collect()
            } else {
                Vec::new()
            }
        };
        let random_at = places(keyspace.is_some(), RANDOM_PLACEHOLDER);
        let tag_at = places(is_cluster, TAG_PLACEHOLDER);
        let randoms_per_request = random_at.partition_point(|&at| at < request.len());
        Self {
            request_bytes: request.len(),
            random_at,
            randoms_per_request,
            tag_at,
            keyspace: keyspace.unwrap_or(0),
            count_at: match numbers.count_by {
                Some(_) => runs_of(COUNT_PLACEHOLDER, request),
                None => Vec::new(),
            },
            count: 0,
            count_by: numbers.count_by.unwrap_or(0),
            bytes,
        }
    }

    /// Makes the numbers of thread `index` of `threads` others than those of the other threads.
    pub(crate) fn share_count(&mut self, index: usize, threads: usize) {
        let (index, threads) = (cast::u64_from(index), cast::u64_from(threads));
        self.count = self.count_by.wrapping_mul(index);
        self.count_by = self.count_by.wrapping_mul(threads);
    }

    /// Draws the numbers of the first `requests` requests.
    ///
    /// Cost: a draw and 12 bytes for each random place; nothing if there is none.
    #[inline]
    pub(crate) fn patch(&mut self, requests: usize, random: &mut Random) {
        let places = self
            .random_at
            .len()
            .min(requests * self.randoms_per_request);
        for &at in &self.random_at[..places] {
            let number = random.draw_below(self.keyspace);
            if let Some(digits) = self.bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
                put_digits(digits, number);
            }
        }
        if !self.count_at.is_empty() {
            self.patch_counts(requests);
        }
    }

    fn patch_counts(&mut self, requests: usize) {
        let copies = self.bytes.chunks_exact_mut(self.request_bytes);
        for copy in copies.take(requests) {
            for &(begin, len) in &self.count_at {
                let mut rest = self.count;
                for digit in copy[begin..begin + len].iter_mut().rev() {
                    *digit = b'0' + u8::try_from(rest % 10).unwrap_or(0);
                    rest /= 10;
                }
            }
            self.count = self.count.wrapping_add(self.count_by);
        }
    }

    /// Returns the bytes of the first `requests` requests.
    #[inline]
    pub(crate) fn bytes(&self, requests: usize) -> &[u8] {
        &self.bytes[..requests * self.request_bytes]
    }

    /// Overwrites every tag by `tag`, three characters.
    pub(crate) fn set_tag(&mut self, tag: [u8; 3]) {
        for &at in &self.tag_at {
            self.bytes[at + 1..at + 4].copy_from_slice(&tag);
        }
    }

    /// Returns whether there are tags to set.
    pub(crate) fn has_tags(&self) -> bool {
        !self.tag_at.is_empty()
    }
}

/// Returns where runs of a byte begin, and how long they are.
fn runs_of(byte: u8, bytes: &[u8]) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for at in memchr::memchr_iter(byte, bytes) {
        match runs.last_mut() {
            Some((begin, len)) if *begin + *len == at => *len += 1,
            _ => runs.push((at, 1)),
        }
    }
    runs
}

/// Writes `number` as 12 digits with leading zeros.
#[inline]
fn put_digits(digits: &mut [u8; RANDOM_PLACEHOLDER.len()], number: u32) {
    // A 32-bit number has ten digits; the placeholder's first two are always zeros.
    digits[0] = b'0';
    digits[1] = b'0';
    let mut rest = number;
    for place in (1..6).rev() {
        let pair = &DIGIT_PAIRS[cast::usize_from_u32(rest % 100)];
        rest /= 100;
        digits[2 * place] = pair[0];
        digits[2 * place + 1] = pair[1];
    }
}

/// The numbers 00 to 99 as text.
const DIGIT_PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[b'0'; 2]; 100];
    let mut tens = 0_u8;
    let mut index = 0;
    while tens < 10 {
        let mut ones = 0_u8;
        while ones < 10 {
            pairs[index] = [b'0' + tens, b'0' + ones];
            index += 1;
            ones += 1;
        }
        tens += 1;
    }
    pairs
};

#[cfg(test)]
mod tests;
