use std::path::Path;

use proptest::prelude::*;

use super::read::{standing, start_of_exceptions};
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

fn write(path: &Path, keys: &[Key]) -> WrittenRun {
    let mut run = KeyWriter::create(path, Fingerprints::NOW).unwrap();
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
fn a_run_names_the_oldest_version_of_its_fingerprints() {
    let dir = tempfile::tempdir().unwrap();
    for version in [Fingerprints::Spelling, Fingerprints::Coarse] {
        let place = dir.path().join(version.text());
        let mut run = KeyWriter::create(&place, version).unwrap();
        run.push(key(1, 1)).unwrap();
        run.finish(&[]).unwrap();
        assert_eq!(KeyRun::open(&place).unwrap().fingerprints(), version);
        assert!(std::fs::read(&place).unwrap().starts_with(mark_of(version)));
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
    let mut run = KeyWriter::create(&place, Fingerprints::NOW).unwrap();
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

/// Keys as far apart as hashes are, with an exception.
fn keys_far_apart(count: u32) -> (Vec<Key>, Exception) {
    let key_of = |n: u32| key(u64::from(n) * (u64::MAX / u64::from(count)), n);
    let decided = Exception {
        place: 3,
        day: 7,
        verdict: Verdict::Conflict,
    };
    ((0..count).map(key_of).collect(), decided)
}

/// Writes keys, and hands on the run with each of some bytes changed in turn.
fn for_each_damage(count: u32, bytes: impl Fn(usize) -> Vec<usize>, mut act: impl FnMut(usize, Result<KeyRun>)) {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().join("a.keys");
    let (keys, decided) = keys_far_apart(count);
    let mut run = KeyWriter::create(&place, Fingerprints::NOW).unwrap();
    for key in keys {
        run.push(key).unwrap();
    }
    run.finish(&[decided]).unwrap();
    let whole = std::fs::read(&place).unwrap();
    for at in bytes(whole.len()) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x80;
        std::fs::write(&place, damaged).unwrap();
        act(at, KeyRun::open(&place));
    }
}

fn assert_told(outcome: Result<()>) {
    let told = outcome.expect_err("damage is told").to_string();
    assert!(
        told.contains("a.keys: has changed since it was written")
            || told.contains("a.keys: is not an identity index file"),
        "{told}"
    );
}

#[test]
fn a_damaged_byte_anywhere_is_found_before_runs_are_merged() {
    let all = |length| (0..length).collect();
    for_each_damage(50, all, |_, run| {
        assert_told(run.and_then(|run| run.check_all()));
    });
    let some = |length| (0..length).step_by(40_009).chain(length - 200..length).collect();
    let several_blocks = u32::try_from(2 * BLOCK_KEYS + 3).unwrap();
    for_each_damage(several_blocks, some, |_, run| {
        assert_told(run.and_then(|run| run.check_all()));
    });
}

#[test]
fn a_damaged_byte_is_told_by_a_search_before_it_hides_or_changes_a_key() {
    let (keys, decided) = keys_far_apart(50);
    let blocks_end = start_of_exceptions(50);
    let in_block = |length| (0..length).collect();
    for_each_damage(50, in_block, |at, run| {
        let is_in_block = (MARK_BYTES..blocks_end).contains(&at);
        if !is_in_block {
            return assert_told(run.map(drop));
        }
        let run = run.unwrap();
        assert_told(run.of_hashes(keys.iter().map(|key| key.hash), |_, _| {}));
        // One by one: what is found is what was written, and what is not is told.
        for (place, key) in (0..).zip(&keys) {
            let found = keys_of_hash(std::slice::from_ref(&run), key.hash);
            let written = if place == decided.place {
                standing(*key, Some(decided)).unwrap()
            } else {
                *key
            };
            assert!(found.is_err() || found.unwrap() == [written], "byte {at}, key {place}");
        }
    });
}
