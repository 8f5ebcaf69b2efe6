//! What stays in a folder of backups and what goes.

use std::path::{Path, PathBuf};

use tallybook::backup::check::check;
use tallybook::backup::prune::{MANIFESTS_KEPT, Pruned, prune};
use tallybook::pipeline::ingest::payloads::PayloadFilter;
use tallybook::storage::raw::segment::read_columns;

use super::{backed_up, beside, has, kept_and_named, newest, says, small_books, try_back_up};
use crate::crashes::books::files;
use crate::crashes::play::DAY;
use crate::exactly_once::shop::{Shop, usage};
use crate::queue_data;

/// The cells of a Parquet file as text.
fn cells(path: &Path) -> String {
    let frame = read_columns(&path.to_owned(), &[]).unwrap();
    let mut text = String::new();
    for column in frame.columns() {
        for row in 0..frame.height() {
            text.push_str(&format!("{}={}\n", column.name(), column.get(row).unwrap()));
        }
    }
    text
}

/// What a file has, unpacked: the cells of a Parquet file, the lines of a packed one, the bytes of any other.
fn contents(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).unwrap();
    match path.extension().and_then(|extension| extension.to_str()) {
        Some("parquet") => cells(path).into_bytes(),
        Some("zst") => zstd::decode_all(&bytes[..]).unwrap(),
        _ => bytes,
    }
}

/// Files below a folder that have these words in them; Base64 of the beginning of a line counts too.
pub fn files_with(folder: &Path, words: &str) -> Vec<PathBuf> {
    use base64::Engine as _;
    let plain = words.as_bytes();
    // Whole groups of three bytes are the same wherever they end.
    let packed = base64::prelude::BASE64_STANDARD.encode(&plain[..plain.len() / 3 * 3]);
    let has = |bytes: &[u8], sought: &[u8]| bytes.windows(sought.len()).any(|window| window == sought);
    let mut found = Vec::new();
    for (path, file) in files(folder) {
        let contents = contents(&file);
        if has(&contents, plain) || has(&contents, packed.as_bytes()) {
            found.push(path);
        }
    }
    found
}

pub fn is_in(found: &[PathBuf], folder: &str) -> bool {
    found.iter().any(|path| path.starts_with(folder))
}

/// Books with words of their own for each class of data: an identity, a service-log field, a refused line.
pub fn spoken_books() -> Shop {
    let shop = Shop::new("CNY", "\"A\" = { unit_price = \"3\", origin = \"illustrative\" }");
    let line = usage("identity-seven", 7, "A", DAY, 60_000);
    let line = line.replace("\"appid\":1", "\"appid\":1,\"task_id\":\"task-of-the-log\"");
    shop.drop(&[line, "refused-line that is no usage\n".to_owned()]);
    shop.place.night("2024-12-10T00:00:00Z");
    shop
}

#[test]
fn what_expired_is_in_no_byte_of_the_folder_after_the_next_backup() {
    let shop = spoken_books();
    let folder = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    // The words are found where they are, so that not to find them means something.
    let identity = files_with(&folder, "identity-seven");
    assert!(
        is_in(&identity, "files/raw") && is_in(&identity, "originals"),
        "{identity:?}"
    );
    assert!(is_in(&files_with(&folder, "task-of-the-log"), "files/log"));
    assert!(is_in(&files_with(&folder, "refused-line"), "quarantine"));
    // A month later the log and the bytes of refused lines go; with them, here, the input file, whose time is that of this machine.
    shop.place.night("2025-02-10T00:00:00Z");
    std::fs::remove_dir_all(shop.place.data().join("drop/done")).unwrap();
    backed_up(&shop.place, "2025-02-10T00:00:00Z");
    for words in ["task-of-the-log", "refused-line"] {
        assert_eq!(files_with(&folder, words), Vec::<PathBuf>::new(), "{words}");
    }
    assert!(is_in(&files_with(&folder, "identity-seven"), "files/raw"));
    shop.place.night("2025-06-19T00:00:00Z");
    shop.place.night("2025-06-20T00:00:00Z");
    let done = backed_up(&shop.place, "2025-06-20T00:00:00Z");
    assert_eq!(files_with(&folder, "identity-seven"), Vec::<PathBuf>::new());
    assert_eq!(done.points, 2, "the earlier backups can be restored without it");
}

#[test]
fn events_are_in_no_dump_of_the_ledger_and_gone_after_the_next_backup_when_a_person_deleted_them() {
    let place = queue_data::place();
    let event =
        queue_data::edit("task-one", "session-of-the-one") + &queue_data::edit("task-two", "session-of-another");
    queue_data::drop_event(&place, "mps", "events.ndjson", &event);
    place.night("2026-01-05T02:00:00Z");
    let folder = beside(&place);
    backed_up(&place, "2026-01-05T12:00:00Z");
    let found = files_with(&folder, "session-of-the-one");
    assert!(
        is_in(&found, "files/payload") && is_in(&found, "originals"),
        "{found:?}"
    );
    assert!(!is_in(&found, "ledger"), "{found:?}");
    let filter = PayloadFilter {
        session: Some("session-of-the-one".to_owned()),
        ..PayloadFilter::default()
    };
    assert_eq!(queue_data::deleted(&place, "2026-01-06T02:00:00Z", &filter).payloads, 1);
    // The input file has its own clock.
    std::fs::remove_dir_all(place.data().join("drop/done")).unwrap();
    backed_up(&place, "2026-01-06T12:00:00Z");
    assert_eq!(files_with(&folder, "session-of-the-one"), Vec::<PathBuf>::new());
    assert!(is_in(&files_with(&folder, "session-of-another"), "files/payload"));
}

#[test]
fn what_expired_goes_also_when_a_backup_lacks_something_and_what_may_mend_it_stays() {
    let shop = spoken_books();
    let folder = beside(&shop.place);
    let late = "2025-05-20T10:00:00+08:00";
    shop.drop(&[usage("later", 7, "A", late, 60_000)]);
    shop.place.night("2025-06-18T00:00:00Z");
    backed_up(&shop.place, "2025-06-18T00:00:00Z");
    let before = newest(&folder);
    // A file of a day that is kept is lost before it was ever backed up.
    shop.drop(&[usage("lost", 7, "A", late, 60_000)]);
    shop.place.night("2025-06-19T00:00:00Z");
    shop.place.night("2025-06-20T00:00:00Z");
    let day = shop.place.data().join("raw/day=2025-05-20");
    let lost: Vec<PathBuf> = std::fs::read_dir(&day)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    for path in &lost {
        let key = format!("files/raw/day=2025-05-20/{}", path.file_name().unwrap().display());
        if !folder.join(key).exists() {
            std::fs::remove_file(path).unwrap();
        }
    }
    let done = backed_up(&shop.place, "2025-06-20T00:00:00Z");
    assert_eq!(done.missing.len(), 1, "{done:?}");
    assert_eq!(files_with(&folder, "identity-seven"), Vec::<PathBuf>::new());
    assert!(!has(&folder, "files/raw/day=2024-11-15"));
    assert!(has(&folder, "files/raw/day=2025-05-20"));
    assert!(
        folder.join(before.ledger.object.key).exists(),
        "the ledger of the last whole backup"
    );
}

#[test]
fn manifests_of_long_ago_go_with_a_backup_and_by_hand_and_the_chain_holds() {
    let shop = small_books();
    let folder = beside(&shop.place);
    let manifests = || std::fs::read_dir(folder.join("manifests")).unwrap().count();
    let now = "2024-12-11T00:00:00Z";
    let past = MANIFESTS_KEPT + 2;
    for _ in 0..past {
        backed_up(&shop.place, now);
    }
    assert_eq!(manifests(), MANIFESTS_KEPT);
    let agrees = || assert_eq!(check(&folder).unwrap().differences, Vec::<String>::new());
    agrees();
    // Of the earlier backups that can be restored one stays, and the ledgers of the others go.
    let pruned = prune(&folder, Some(2)).unwrap();
    let expected = Pruned {
        removed_files: 13,
        removed_manifests: MANIFESTS_KEPT - 2,
    };
    assert_eq!(pruned, expected);
    agrees();
    // What a killed backup left goes too.
    std::fs::write(folder.join("originals/left"), "left").unwrap();
    std::fs::write(folder.join("tmp/left"), "left").unwrap();
    let pruned = prune(&folder, None).unwrap();
    assert_eq!((pruned.removed_files, pruned.removed_manifests), (1, 0));
    let pruned = prune(&folder, Some(1)).unwrap();
    assert_eq!((pruned.removed_files, pruned.removed_manifests), (1, 1));
    assert_eq!(std::fs::read_dir(folder.join("tmp")).unwrap().count(), 0);
    let (kept, named) = kept_and_named(&folder);
    assert_eq!(kept, named);
    let next = try_back_up(&shop.place, now, &folder).unwrap();
    assert_eq!(next.number, past as u64 + 1);
    agrees();
    says(&prune(shop.place.path(), None).unwrap_err(), 2, "has no backups");
}
