use std::path::Path;

use proptest::prelude::*;

use super::*;

fn key(hash: u64, line: u32) -> Key {
    Key {
        hash,
        content: hash ^ 1,
        batch: 1,
        line,
        day: 20_000,
        verdict: Verdict::Accepted,
    }
}

fn write(place: &Path, keys: &[Key]) -> WrittenRun {
    let mut run = KeyWriter::create(place).unwrap();
    for key in keys {
        run.push(*key).unwrap();
    }
    run.finish(&[]).unwrap()
}

fn run_of(keys: &[Key]) -> KeyRun {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("a.keys");
    let written = write(&place, keys);
    assert_eq!(written.bytes, std::fs::metadata(&place).unwrap().len());
    KeyRun::open(&place).unwrap()
}

#[test]
fn every_key_is_found_again_and_no_other() {
    let mut keys: Vec<Key> = (0..1000).map(|n| key(n / 2 * 7, u32::try_from(n).unwrap())).collect();
    keys[17].verdict = Verdict::Conflict;
    let run = run_of(&keys);
    assert_eq!(run.iter().collect::<Vec<_>>(), keys);
    for wanted in 0..3600 {
        let expected: Vec<Key> = keys.iter().copied().filter(|k| k.hash == wanted).collect();
        assert_eq!(run.of_hash(wanted).collect::<Vec<_>>(), expected, "hash {wanted}");
    }
}

/// Few, many, at both ends, and far closer together than hashes are.
fn hash() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        0..10_u64,
        u64::MAX - 10..=u64::MAX,
        1_u64 << 40..(1 << 40) + 300
    ]
}

proptest! {
    #[test]
    fn a_hash_is_found_however_the_hashes_lie(
        mut hashes in prop::collection::vec(hash(), 0..300),
        wanted in prop::collection::vec(hash(), 20),
    ) {
        hashes.sort_unstable();
        let keys: Vec<Key> = hashes.iter().zip(0..).map(|(hash, line)| key(*hash, line)).collect();
        let run = run_of(&keys);
        for wanted in wanted.into_iter().chain(hashes.iter().copied()) {
            let expected: Vec<Key> = keys.iter().copied().filter(|key| key.hash == wanted).collect();
            prop_assert_eq!(run.of_hash(wanted).collect::<Vec<_>>(), expected);
        }
    }

    #[test]
    fn many_hashes_find_what_each_of_them_finds(
        mut hashes in prop::collection::vec(hash(), 0..300),
        mut wanted in prop::collection::vec(hash(), 0..40),
        known in prop::collection::vec(any::<prop::sample::Index>(), 20),
    ) {
        hashes.sort_unstable();
        wanted.extend(known.iter().filter(|_| !hashes.is_empty()).map(|known| hashes[known.index(hashes.len())]));
        wanted.sort_unstable();
        let keys: Vec<Key> = hashes.iter().zip(0..).map(|(hash, line)| key(*hash, line)).collect();
        let run = run_of(&keys);
        let mut found = Vec::new();
        run.of_hashes(wanted.iter().copied(), |place, key| found.push((place, key)));
        let of_each = wanted.iter().enumerate();
        let expected: Vec<(usize, Key)> = of_each.flat_map(|(at, hash)| run.of_hash(*hash).map(move |key| (at, key))).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn equal_hashes_are_found_across_blocks() {
    let of = |count: usize, hash| std::iter::repeat_n(hash, count);
    let hashes = of(BLOCK_KEYS - 2, 3).chain(of(BLOCK_KEYS + 5, 8)).chain(of(1, 9));
    let keys: Vec<Key> = hashes.zip(0..).map(|(hash, line)| key(hash, line)).collect();
    let run = run_of(&keys);
    let found = |hash| run.of_hash(hash).map(|key| key.line).collect::<Vec<_>>();
    let mut at_once = vec![Vec::new(); 11];
    run.of_hashes(0..11, |hash, key| at_once[hash].push(key.line));
    let lines = |hash| {
        keys.iter()
            .filter(|key| key.hash == hash)
            .map(|key| key.line)
            .collect::<Vec<_>>()
    };
    for hash in 0..11 {
        assert_eq!(found(hash), lines(hash), "hash {hash}");
        assert_eq!(at_once[usize::try_from(hash).unwrap()], lines(hash), "hash {hash}");
    }
}

#[test]
fn a_cut_off_file_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("a.keys");
    write(&place, &[key(1, 1), key(2, 2)]);
    let bytes = std::fs::read(&place).unwrap();
    std::fs::write(&place, &bytes[..bytes.len() - 1]).unwrap();
    assert!(KeyRun::open(&place).is_err());
}

#[test]
fn a_run_of_several_blocks_is_read_as_it_was_written_without_its_duplicates() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("a.keys");
    let count = u32::try_from(2 * BLOCK_KEYS + 3).unwrap();
    // As far apart as hashes are.
    let hash = |n: u32| u64::from(n) * (u64::MAX / u64::from(count));
    let keys: Vec<Key> = (0..count).map(|n| key(hash(n), n)).collect();
    let mut run = KeyWriter::create(&place).unwrap();
    for key in &keys {
        run.push(*key).unwrap();
    }
    let moved = |place, day, verdict| Exception { place, day, verdict };
    let last = u64::from(count - 1);
    let exceptions = [
        moved(5, 7, Verdict::Duplicate),
        moved(40_000, 9, Verdict::Accepted),
        moved(last, 20_000, Verdict::Conflict),
    ];
    let written = run.finish(&exceptions).unwrap();
    assert_eq!(
        (written.keys, written.bytes),
        (keys.len() - 1, std::fs::metadata(&place).unwrap().len())
    );
    let mut expected = keys;
    expected[40_000].day = 9;
    expected.last_mut().unwrap().verdict = Verdict::Conflict;
    expected.remove(5);
    let run = KeyRun::open(&place).unwrap();
    assert_eq!(run.iter().collect::<Vec<_>>(), expected);
    assert_eq!(run.of_hash(hash(5)).next(), None);
    assert!(expected.iter().all(|key| run.of_hash(key.hash).eq([*key])));
}
