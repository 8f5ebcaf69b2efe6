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

fn of_hash(run: &KeyRun, hash: u64) -> Vec<Key> {
    keys_of_hash(std::slice::from_ref(run), hash).unwrap()
}

#[test]
fn every_key_is_found_again_and_no_other() {
    let mut keys: Vec<Key> = (0..1000).map(|n| key(n / 2 * 7, u32::try_from(n).unwrap())).collect();
    keys[17].verdict = Verdict::Conflict;
    let run = run_of(&keys);
    assert_eq!(run.iter().collect::<Vec<_>>(), keys);
    for wanted in 0..3600 {
        let expected: Vec<Key> = keys.iter().copied().filter(|k| k.hash == wanted).collect();
        assert_eq!(of_hash(&run, wanted), expected, "hash {wanted}");
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
            prop_assert_eq!(of_hash(&run, wanted), expected);
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
        run.of_hashes(wanted.iter().copied(), |place, key| found.push((place, key))).unwrap();
        let of_each = wanted.iter().enumerate();
        let expected: Vec<(usize, Key)> = of_each.flat_map(|(at, hash)| of_hash(&run, *hash).into_iter().map(move |key| (at, key))).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn equal_hashes_are_found_across_blocks() {
    let of = |count: usize, hash| std::iter::repeat_n(hash, count);
    let hashes = of(BLOCK_KEYS - 2, 3).chain(of(BLOCK_KEYS + 5, 8)).chain(of(1, 9));
    let keys: Vec<Key> = hashes.zip(0..).map(|(hash, line)| key(hash, line)).collect();
    let run = run_of(&keys);
    let found = |hash| of_hash(&run, hash).iter().map(|key| key.line).collect::<Vec<_>>();
    let mut at_once = vec![Vec::new(); 11];
    run.of_hashes(0..11, |hash, key| at_once[hash].push(key.line)).unwrap();
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
    assert_eq!(of_hash(&run, hash(5)), []);
    assert!(expected.iter().all(|key| of_hash(&run, key.hash) == [*key]));
}

/// Keys as far apart as hashes are, in a file, of which each byte in turn is another one.
fn for_each_damage(count: u32, mut act: impl FnMut(usize, &[Key], crate::error::Result<KeyRun>)) {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("a.keys");
    let keys: Vec<Key> = (0..count)
        .map(|n| key(u64::from(n) * (u64::MAX / u64::from(count)), n))
        .collect();
    let mut run = KeyWriter::create(&place).unwrap();
    for key in &keys {
        run.push(*key).unwrap();
    }
    let decided = Exception {
        place: 3,
        day: 7,
        verdict: Verdict::Conflict,
    };
    run.finish(&[decided]).unwrap();
    let whole = std::fs::read(&place).unwrap();
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x80;
        std::fs::write(&place, damaged).unwrap();
        act(at, &keys, KeyRun::open(&place));
    }
}

#[test]
fn a_damaged_byte_anywhere_is_found_before_runs_are_merged() {
    for_each_damage(50, |at, _, run| {
        let checked = run.and_then(|run| run.check_all());
        let error = checked.expect_err("every byte is checked").to_string();
        assert!(error.contains("a.keys"), "byte {at}: {error}");
    });
}

#[test]
fn a_damaged_byte_in_what_is_searched_is_told_before_it_hides_a_key() {
    let searched = MARK.len()..MARK.len() + STARTS_BYTES + 50 * LEAD_BYTES;
    let hashes = searched.end..searched.end + 50 * HASH_BYTES;
    for_each_damage(50, |at, keys, run| {
        let Ok(run) = run else { return };
        let outcome = run.of_hashes(keys.iter().map(|key| key.hash), |_, _| {});
        let is_searched = searched.contains(&at) || hashes.contains(&at);
        assert_eq!(outcome.is_err(), is_searched, "byte {at}");
    });
}
