//! Tests of the bytes that are sent.

use super::*;
use crate::named_tests::unknown_tests;

/// Options of a command line, which must be valid.
#[track_caller]
fn options(line: &str) -> Options {
    let words: Vec<Vec<u8>> = line
        .split_whitespace()
        .map(|word| word.as_bytes().to_vec())
        .collect();
    match crate::options::parse(&words) {
        Ok(crate::options::Parsed::Run(options)) => *options,
        other => panic!("{line}: {other:?}"),
    }
}

fn requests(line: &str) -> Vec<(String, String)> {
    workloads(&options(line))
        .into_iter()
        .map(|workload| (workload.title, String::from_utf8(workload.request).unwrap()))
        .collect()
}

#[test]
fn every_test_sends_as_many_bytes_as_redis_benchmark() {
    let expected = [
        ("PING_INLINE", 6),
        ("PING_MBULK", 14),
        ("SET", 45),
        ("GET", 36),
        ("INCR", 41),
        ("LPUSH", 36),
        ("RPUSH", 36),
        ("LPOP", 26),
        ("RPOP", 26),
        ("SADD", 52),
        ("HSET", 62),
        ("SPOP", 25),
        ("ZADD", 60),
        ("ZPOPMIN", 29),
        ("LPUSH (needed to benchmark LRANGE)", 36),
        ("LRANGE_100 (first 100 elements)", 43),
        ("LRANGE_300 (first 300 elements)", 44),
        ("LRANGE_500 (first 500 elements)", 44),
        ("LRANGE_600 (first 600 elements)", 44),
        ("MSET (10 keys)", 335),
        ("XADD", 57),
    ];
    let sent: Vec<(String, usize)> = requests("--compat")
        .into_iter()
        .map(|(title, bytes)| (title, bytes.len()))
        .collect();
    let expected: Vec<(String, usize)> = expected
        .into_iter()
        .map(|(title, bytes)| (title.to_owned(), bytes))
        .collect();
    assert_eq!(sent, expected);
}

#[test]
fn key_without_random_numbers_is_the_placeholder_itself() {
    assert_eq!(
        requests("-t set"),
        [(
            "SET".to_owned(),
            "*3\r\n$3\r\nSET\r\n$16\r\nkey:__rand_int__\r\n$3\r\nVXK\r\n".to_owned()
        )]
    );
}

#[test]
fn mget_reads_ten_keys_and_is_left_out_by_compat() {
    let (title, bytes) = requests("-t MGET").remove(0);
    assert_eq!(title, "MGET (10 keys)");
    assert!(
        bytes.starts_with("*11\r\n$4\r\nMGET\r\n$16\r\nkey:__rand_int__\r\n$16\r\n"),
        "{bytes}"
    );
    assert!(
        requests("")
            .iter()
            .any(|(title, _)| title.starts_with("MGET"))
    );
    assert!(
        !requests("--compat")
            .iter()
            .any(|(title, _)| title.starts_with("MGET"))
    );
}

#[test]
fn score_is_random_only_with_a_keyspace() {
    assert!(
        requests("-t zadd")[0]
            .1
            .contains("$1\r\n0\r\n$20\r\nelement:__rand_int__")
    );
    assert!(
        requests("-t zadd -r 5")[0]
            .1
            .contains("$12\r\n__rand_int__\r\n$20\r\nelement:__rand_int__")
    );
}

#[test]
fn chosen_tests_keep_the_order_of_the_table() {
    let titles: Vec<String> = requests("-t GET,set,ping,bogus")
        .into_iter()
        .map(|(title, _)| title)
        .collect();
    assert_eq!(titles, ["PING_INLINE", "PING_MBULK", "SET", "GET"]);
    let titles: Vec<String> = requests("-t lrange_300")
        .into_iter()
        .map(|(title, _)| title)
        .collect();
    assert_eq!(
        titles,
        [
            "LPUSH (needed to benchmark LRANGE)",
            "LRANGE_300 (first 300 elements)"
        ]
    );
}

#[test]
fn unknown_names_are_told_and_missing_tests_refused() {
    let names = |list: &str| -> Vec<String> { list.split(',').map(str::to_owned).collect() };
    assert_eq!(
        unknown_tests(&names("set,bogus")),
        Ok(vec!["bogus".to_owned()])
    );
    assert!(unknown_tests(&names("fcall")).is_err());
}

#[test]
fn cluster_puts_the_tag_behind_the_prefix() {
    let all = requests("--cluster -t get,lpush,mset");
    assert!(
        all[0].1.contains("\r\n$22\r\nkey:{tag}:__rand_int__\r\n"),
        "{}",
        all[0].1
    );
    assert!(
        all[1].1.contains("\r\n$12\r\nmylist:{tag}\r\n"),
        "{}",
        all[1].1
    );
    assert_eq!(all[2].1.matches("{tag}").count(), 10);
}

#[test]
fn values_follow_the_recorded_bytes() {
    assert_eq!(value_data(16), b"VXKeHogKgJ=[5V9_");
    assert_eq!(value_data(0), b"");
}

#[test]
fn custom_command_is_titled_by_its_words() {
    let workloads = workloads(&options("-n 5 set foo bar"));
    assert_eq!(workloads.len(), 1);
    assert_eq!(workloads[0].title, "set foo bar");
    assert_eq!(
        workloads[0].request,
        b"*3\r\n$3\r\nset\r\n$3\r\nfoo\r\n$3\r\nbar\r\n"
    );
    assert_eq!(workloads[0].payload_bytes, 31);
}

#[test]
fn prefix_goes_auth_tracking_select_hello() {
    let (bytes, replies) = prefix(&options(
        "-a x --user default --dbnum 3 -3 --enable-tracking",
    ));
    assert_eq!(replies, 4);
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        "*3\r\n$4\r\nAUTH\r\n$7\r\ndefault\r\n$1\r\nx\r\n\
         *3\r\n$6\r\nCLIENT\r\n$8\r\nTRACKING\r\n$2\r\non\r\n\
         *2\r\n$6\r\nSELECT\r\n$1\r\n3\r\n*2\r\n$5\r\nHELLO\r\n$1\r\n3\r\n"
    );
    assert_eq!(prefix(&options("")), (Vec::new(), 0));
    assert_eq!(prefix(&options("--cluster --dbnum 3")).1, 0);
}

fn drawn(keyspace: u64) -> Numbers {
    Numbers {
        keyspace: Some(keyspace),
        count_by: None,
    }
}

#[test]
fn counted_numbers_are_those_of_their_requests() {
    let numbers = Numbers {
        keyspace: Some(1),
        count_by: Some(7),
    };
    let request = b"id=1### g# __rand_int__ x";
    let mut batch = Batch::new(request, 2, numbers, false);
    let mut random = Random::new(1);
    let mut sent = String::new();
    for requests in [2, 1, 2] {
        sent.push_str(&String::from_utf8_lossy(patched(
            &mut batch,
            requests,
            &mut random,
        )));
    }
    let expected = ["000 g0", "007 g7", "014 g4", "021 g1", "028 g8"];
    let expected: String = expected
        .iter()
        .map(|digits| format!("id=1{digits} 000000000000 x"))
        .collect();
    assert_eq!(sent, expected);
    // Two threads take turns.
    let mut batch = Batch::new(b"##", 2, numbers, false);
    batch.share_count(1, 2);
    assert_eq!(patched(&mut batch, 2, &mut random), b"0721");
    let mut batch = Batch::new(b"##", 1, Numbers::default(), false);
    assert_eq!(patched(&mut batch, 1, &mut random), b"##");
}

/// Patches and returns the bytes of `requests` requests.
fn patched<'b>(batch: &'b mut Batch, requests: usize, random: &mut Random) -> &'b [u8] {
    batch.patch(requests, random);
    batch.bytes(requests)
}

#[test]
fn each_copy_draws_its_own_number() {
    let mut batch = Batch::new(b"GET __rand_int__\r\n", 8, drawn(100), false);
    let mut random = Random::new(12_345);
    let text = String::from_utf8(patched(&mut batch, 8, &mut random).to_vec()).unwrap();
    let numbers: Vec<&str> = text
        .lines()
        .map(|line| line.strip_prefix("GET 0000000000").unwrap())
        .collect();
    assert_eq!(numbers, ["99", "21", "73", "51", "21", "04", "37", "02"]);
}

#[test]
fn shortened_batch_draws_only_for_what_it_sends() {
    let mut batch = Batch::new(b"__rand_int__ __rand_int__\r\n", 4, drawn(1_000), false);
    let mut random = Random::new(9);
    let length = patched(&mut batch, 1, &mut random).len();
    assert_eq!(length, 27);
    let mut reference = Random::new(9);
    reference.draw();
    reference.draw();
    assert_eq!(random.draw(), reference.draw());
}

#[test]
fn placeholders_stay_without_a_keyspace_and_behind_a_nul() {
    let mut random = Random::new(1);
    let mut batch = Batch::new(b"__rand_int__", 1, Numbers::default(), false);
    assert_eq!(patched(&mut batch, 1, &mut random), b"__rand_int__");
    let mut batch = Batch::new(b"__rand_int__\0__rand_int__", 2, drawn(0), false);
    assert_eq!(
        patched(&mut batch, 2, &mut random),
        b"000000000000\0__rand_int____rand_int__\0__rand_int__"
    );
}

#[test]
fn digits_fill_twelve_places() {
    let mut digits = *RANDOM_PLACEHOLDER.first_chunk().unwrap();
    put_digits(&mut digits, u32::MAX);
    assert_eq!(&digits, b"004294967295");
    put_digits(&mut digits, 1_020_304);
    assert_eq!(&digits, b"000001020304");
}

#[test]
fn tags_are_overwritten_in_place() {
    let mut batch = Batch::new(b"a{tag} b{tag}", 1, Numbers::default(), true);
    assert!(batch.has_tags());
    batch.set_tag(*b"06S");
    assert_eq!(
        patched(&mut batch, 1, &mut Random::new(1)),
        b"a{06S} b{06S}"
    );
    assert!(!Batch::new(b"a{tag}", 1, Numbers::default(), false).has_tags());
}
