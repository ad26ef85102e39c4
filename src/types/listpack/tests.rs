//! Listpacks against payloads of Redis, against a vector of vectors, and damaged.

use base::random::Random;

use super::*;

fn seed() -> u64 {
    let seed = std::env::var("SEED").map_or(17, |text| text.parse().unwrap());
    println!("SEED={seed}");
    seed
}

fn listpack_of(elements: &[Vec<u8>]) -> Listpack {
    let mut listpack = Listpack::new();
    for element in elements {
        listpack.push_back(element);
    }
    listpack
}

fn elements_of(listpack: &Listpack) -> Vec<Vec<u8>> {
    listpack.iter().map(|element| element.to_vec()).collect()
}

/// Reads the listpack in every way, and compares it with the model.
fn assert_reads_as(listpack: &Listpack, model: &[Vec<u8>]) {
    assert_eq!(listpack.len(), model.len());
    assert_eq!(listpack.is_empty(), model.is_empty());
    assert_eq!(elements_of(listpack), model);
    let backwards: Vec<_> = listpack
        .iter_rev()
        .map(|element| element.to_vec())
        .collect();
    assert!(backwards.iter().eq(model.iter().rev()));
    let mut position = listpack.first();
    let mut before = None;
    for (index, expected) in model.iter().enumerate() {
        let here = position.expect("as many positions as elements");
        assert!(listpack.get(here).eq_bytes(expected));
        assert_eq!(listpack.get(here).len(), expected.len());
        assert_eq!(listpack.previous(here), before);
        let index = i64::try_from(index).unwrap();
        let from_end = index - i64::try_from(model.len()).unwrap();
        assert_eq!(listpack.position(index), position);
        assert_eq!(listpack.position(from_end), position);
        before = position;
        position = listpack.next(here);
    }
    assert_eq!(position, None);
    assert_eq!(listpack.last(), before);
    let count = i64::try_from(model.len()).unwrap();
    assert_eq!(listpack.position(count), None);
    assert_eq!(listpack.position(-count - 1), None);
    let bytes = listpack.as_bytes().to_vec();
    assert_eq!(Listpack::from_bytes(bytes).as_ref(), Ok(listpack));
    assert!(listpack.capacity_bytes() >= listpack.byte_len());
    assert!(listpack.capacity_bytes() <= (3 * listpack.byte_len()).max(1024));
}

/// Reads `61 62*3 -` of the file of vectors.
fn bytes_of(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in text.split_whitespace().filter(|&word| word != "-") {
        let (byte, times) = word.split_once('*').unwrap_or((word, "1"));
        let byte = u8::from_str_radix(byte, 16).unwrap();
        bytes.resize(bytes.len() + times.parse::<usize>().unwrap(), byte);
    }
    bytes
}

fn vectors() -> Vec<(Vec<u8>, Vec<Vec<u8>>)> {
    let lines = include_str!("vectors.txt").lines();
    lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| {
            let (bytes, elements) = line.split_once(" = ").unwrap();
            (
                bytes_of(bytes),
                elements.split(" , ").map(bytes_of).collect(),
            )
        })
        .collect()
}

#[test]
fn payloads_of_redis_are_read_and_written_byte_for_byte() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 15);
    for (bytes, elements) in vectors {
        let read = Listpack::from_bytes(bytes.clone()).unwrap();
        assert_reads_as(&read, &elements);
        assert_eq!(listpack_of(&elements).as_bytes(), bytes);
    }
}

#[test]
fn an_empty_listpack_has_seven_bytes_and_no_position() {
    let mut listpack = Listpack::default();
    assert_eq!(listpack.as_bytes(), [7, 0, 0, 0, 0, 0, 0xFF]);
    assert_reads_as(&listpack, &[]);
    listpack.append_all(&Listpack::new());
    listpack.shrink();
    assert_reads_as(&listpack, &[]);
}

#[test]
fn integers_at_the_edges_of_each_width_take_what_the_width_says() {
    let edges: [(i64, i64, usize); 6] = [
        (0, 127, 2),
        (-4096, 4095, 3),
        (-0x8000, 0x7FFF, 4),
        (-0x80_0000, 0x7F_FFFF, 5),
        (-0x8000_0000, 0x7FFF_FFFF, 6),
        (i64::MIN, i64::MAX, 10),
    ];
    for (index, &(low, high, bytes)) in edges.iter().enumerate() {
        for value in [low, low + 1, high - 1, high] {
            let text = value.to_string().into_bytes();
            let mut listpack = Listpack::new();
            listpack.push_back(value);
            listpack.push_back(&text);
            assert_reads_as(&listpack, &[text.clone(), text]);
            assert_eq!(
                listpack.get(listpack.first().unwrap()),
                Element::Integer(value)
            );
            assert_eq!(Listpack::encoded_bytes(high), bytes);
        }
        if let Some(&(_, _, wider)) = edges.get(index + 1) {
            assert_eq!(Listpack::encoded_bytes(high + 1), wider);
            assert_eq!(
                Listpack::encoded_bytes(low - 1),
                if low == 0 { 3 } else { wider }
            );
        }
    }
}

#[test]
fn strings_at_the_edges_of_each_length_come_back() {
    for edge in [0, 1, 20, 63, 64, 125, 126, 127, 4095, 4096, 16_378, 16_379] {
        for len in [edge, edge + 1] {
            let model = vec![b"7".to_vec(), vec![b'x'; len], b"-".to_vec()];
            let listpack = listpack_of(&model);
            assert_reads_as(&listpack, &model);
            let at = listpack.position(1).unwrap();
            assert_eq!(
                listpack.find(listpack.first().unwrap(), &model[1], 0),
                Some(at)
            );
            let whole = Listpack::encoded_bytes(&model[1]);
            assert_eq!(listpack.byte_len(), EMPTY_BYTES + 2 + whole + 3);
        }
    }
}

fn random_element(random: &mut Random) -> Vec<u8> {
    match random.below(8) {
        0 => random.below(200).to_string().into_bytes(),
        1 => {
            let wide = random.next_u64().cast_signed() >> random.below(64);
            wide.to_string().into_bytes()
        }
        2 => b"-0".to_vec(),
        3 => vec![b'y'; 60 + random.index(10)],
        4 => vec![0xFF; 120 + random.index(10)],
        5 if random.below(20) == 0 => vec![0x80; 4090 + random.index(10)],
        _ => (0..random.index(6))
            .map(|_| u8::try_from(random.below(256)).unwrap())
            .collect(),
    }
}

/// Makes one change of an existing element, to both.
fn change(random: &mut Random, listpack: &mut Listpack, model: &mut Vec<Vec<u8>>) {
    let index = random.index(model.len());
    let position = listpack.position(i64::try_from(index).unwrap()).unwrap();
    let element = random_element(random);
    match random.below(10) {
        0 => {
            listpack.insert_before(position, &element);
            model.insert(index, element);
        }
        1 => {
            let inserted = listpack.insert_after(position, &element);
            assert!(listpack.get(inserted).eq_bytes(&element));
            model.insert(index + 1, element);
        }
        2 | 3 => {
            listpack.replace(position, &element);
            model[index] = element;
        }
        4 | 5 => {
            let behind = listpack.remove(position);
            model.remove(index);
            assert_eq!(behind.is_some(), index < model.len());
            let behind = behind.map(|at| listpack.get(at).to_vec());
            assert_eq!(behind.as_ref(), model.get(index));
        }
        6 => {
            let count = random.index(4);
            let behind = listpack.remove_range(position, count);
            model.drain(index..(index + count).min(model.len()));
            let behind = behind.map(|at| listpack.get(at).to_vec());
            assert_eq!(behind.as_ref(), model.get(index));
        }
        7 if random.below(4) == 0 => {
            listpack.truncate(position);
            model.truncate(index);
        }
        8 => {
            let tail = listpack.split_off(position);
            assert_reads_as(listpack, &model[..index]);
            assert_reads_as(&tail, &model[index..]);
            listpack.append_all(&tail);
        }
        _ => {
            let skip = random.index(3);
            let needle = &model[random.index(model.len())];
            let found = (index..model.len())
                .step_by(skip + 1)
                .find(|&index| model[index] == *needle)
                .map(|index| listpack.position(i64::try_from(index).unwrap()).unwrap());
            assert_eq!(listpack.find(position, needle, skip), found);
            let rest: Vec<_> = listpack.iter_from(position).map(|e| e.to_vec()).collect();
            assert_eq!(rest, model[index..]);
            let back = listpack.iter_rev_from(position).map(|e| e.to_vec());
            assert!(back.eq(model[..=index].iter().rev().cloned()));
        }
    }
}

#[test]
fn random_changes_agree_with_a_vector_of_vectors() {
    let mut random = Random::new(seed());
    for _ in 0..40 {
        let mut listpack = Listpack::new();
        let mut model = Vec::new();
        for _ in 0..200 {
            if model.is_empty() || random.below(3) == 0 {
                let element = random_element(&mut random);
                if random.below(2) == 0 {
                    listpack.push_back(&element);
                    model.push(element);
                } else {
                    listpack.push_front(&element);
                    model.insert(0, element);
                }
            } else {
                change(&mut random, &mut listpack, &mut model);
            }
            assert_reads_as(&listpack, &model);
            assert_eq!(listpack_of(&model), listpack);
        }
    }
}

#[test]
fn both_ends_of_an_iterator_meet() {
    let model: Vec<_> = (0..7).map(|n| vec![b'a'; n * 30]).collect();
    let listpack = listpack_of(&model);
    for from_front in 0..=7 {
        let mut iter = listpack.iter();
        for expected in &model[..from_front] {
            assert!(iter.next().unwrap().eq_bytes(expected));
        }
        for expected in model[from_front..].iter().rev() {
            assert!(iter.next_back().unwrap().eq_bytes(expected));
        }
        assert_eq!(iter.next(), None);
        assert_eq!(iter.next_back(), None);
    }
}

/// Whatever is accepted reads the same in both directions.
fn try_damaged(bytes: Vec<u8>) {
    if let Ok(listpack) = Listpack::from_bytes(bytes) {
        let elements = elements_of(&listpack);
        assert_reads_as(&listpack, &elements);
    }
}

#[test]
fn damaged_bytes_are_refused_or_can_be_walked_both_ways() {
    for (bytes, _) in vectors()
        .into_iter()
        .filter(|(bytes, _)| bytes.len() < 5000)
    {
        // Long runs of one letter need not be damaged at each place.
        let step = |at: usize| {
            if (40..bytes.len() - 20).contains(&at) && bytes.len() > 1000 {
                97
            } else {
                1
            }
        };
        let mut at = 0;
        while at < bytes.len() {
            for mask in [0x01, 0x02, 0x10, 0x40, 0x80, 0xFF, bytes[at], !bytes[at]] {
                let mut damaged = bytes.clone();
                damaged[at] ^= mask;
                try_damaged(damaged);
            }
            // Cut off, with and without a header and an end that fit.
            assert_eq!(Listpack::from_bytes(bytes[..at].to_vec()), Err(Damaged));
            if at >= EMPTY_BYTES {
                let mut cut = bytes[..at].to_vec();
                cut[at - 1] = END;
                cut[..4].copy_from_slice(&u32::try_from(at).unwrap().to_le_bytes());
                try_damaged(cut.clone());
                cut[4..6].fill(0xFF);
                try_damaged(cut);
            }
            at += step(at);
        }
    }
}

#[test]
fn random_entries_never_panic() {
    let mut random = Random::new(seed());
    for _ in 0..20_000 {
        let len = EMPTY_BYTES + random.index(24);
        let firsts = [
            0x00, 0x81, 0xC1, 0xE0, 0xF0, 0xF1, 0xF2, 0xF3, 0xF4, 0xF5, 0xFF, 0x02,
        ];
        let mut bytes: Vec<u8> = (0..len)
            .map(|_| firsts[random.index(firsts.len())])
            .collect();
        bytes[..4].copy_from_slice(&u32::try_from(len).unwrap().to_le_bytes());
        bytes[4..6].fill(0xFF);
        bytes[len - 1] = END;
        try_damaged(bytes);
    }
}

#[test]
fn entries_in_a_longer_form_are_rewritten_in_the_shortest() {
    let long: &[&[u8]] = &[
        &[0x81, b'5', 2],
        &[0xC0, 5, 2],
        &[0xF1, 5, 0, 3],
        &[0xF4, 5, 0, 0, 0, 0, 0, 0, 0, 9],
        &[0xE0, 1, b'5', 3],
        &[0xF0, 1, 0, 0, 0, b'5', 6],
    ];
    for entry in long {
        let total = u8::try_from(EMPTY_BYTES + entry.len()).unwrap();
        let bytes = [&[total, 0, 0, 0, 1, 0][..], entry, &[END]].concat();
        let listpack = Listpack::from_bytes(bytes).unwrap();
        assert_eq!(listpack, listpack_of(&[b"5".to_vec()]));
        assert_eq!(
            listpack.find(listpack.first().unwrap(), 5, 0),
            listpack.first()
        );
    }
}

#[test]
fn above_65534_elements_the_header_does_not_know_the_count() {
    let mut listpack = Listpack::new();
    for value in 0..65_534 {
        listpack.push_back(value);
    }
    assert_eq!(listpack.known_count(), Some(65_534));
    listpack.push_back(65_534);
    assert_eq!(listpack.known_count(), None);
    assert_eq!(listpack.len(), 65_535);
    for (index, value) in [(0, 0), (65_534, 65_534), (-1, 65_534), (-65_535, 0)] {
        let at = listpack.position(index).unwrap();
        assert_eq!(listpack.get(at), Element::Integer(value));
    }
    assert_eq!(listpack.position(65_535), None);
    assert_eq!(listpack.position(-65_536), None);
    let tail = listpack.split_off(listpack.position(60_000).unwrap());
    assert_eq!((listpack.len(), tail.len()), (60_000, 5535));
    // Coming from outside, the count is written down again.
    let known = Listpack::from_bytes(listpack.as_bytes().to_vec()).unwrap();
    assert_eq!(known.known_count(), Some(60_000));
    assert_eq!(known, listpack);
    listpack.truncate(listpack.first().unwrap());
    assert_reads_as(&listpack, &[]);
    assert_eq!(listpack.known_count(), Some(0));
}

#[test]
fn elements_are_read_without_regard_to_how_they_lie() {
    for value in [0, 9, 10, -1, -10, i64::MAX, i64::MIN] {
        let text = value.to_string();
        let element = Element::Integer(value);
        assert_eq!(element.len(), text.len());
        assert!(element.eq_bytes(text.as_bytes()));
        assert!(!element.eq_bytes(format!("0{text}").as_bytes()));
        assert_eq!(element.with_bytes(|bytes| bytes.len()), text.len());
        assert_eq!(Element::from(text.as_bytes()).integer(), Some(value));
        let mut out = b"x".to_vec();
        element.write_to(&mut out);
        assert_eq!(out, format!("x{text}").into_bytes());
    }
    assert_eq!(Element::from(b"1.5").integer(), None);
}

#[test]
fn memory_is_given_back_when_elements_leave() {
    let mut listpack = listpack_of(&vec![vec![b'x'; 50]; 200]);
    let full = listpack.capacity_bytes();
    assert!(full <= listpack.byte_len() * 5 / 4);
    while let Some(last) = listpack.last() {
        listpack.remove(last);
        assert!(listpack.capacity_bytes() <= (3 * listpack.byte_len()).max(1024));
    }
    // Small ones wait until somebody asks.
    listpack.shrink();
    assert_eq!(listpack.capacity_bytes(), 16);
    assert!(listpack.would_fit(TOTAL_BYTES_MAX - EMPTY_BYTES));
    assert!(!listpack.would_fit(TOTAL_BYTES_MAX - EMPTY_BYTES + 1));
}
