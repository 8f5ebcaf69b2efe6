//! Backups that are encrypted with age.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use tallybook::backup::check::{check, check_with};
use tallybook::context::Settings;

use super::deaths::kill_at;
use super::kept::{files_with, spoken_books};
use super::{
    backed_up, beside, differences, kept_and_named, newest, restored, says, small_books, try_back_up, try_restore,
};
use crate::crashes::books::{difference, dump, files};
use crate::crashes::play::DAY;
use crate::crashes::process::program;
use crate::exactly_once::shop::{Shop, usage};
use crate::faults::small::{NIGHT, ends, night, place};
use crate::ledgers::is_embedded;
use crate::world::Place;

/// A secret key of age, and the public key that belongs to it.
const SECRET: &str = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
const PUBLIC: &str = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";

/// A file of the secret key, which nobody else can read.
fn identity(folder: &Path) -> PathBuf {
    let path = folder.join("key.txt");
    std::fs::write(&path, format!("# a key for tests\n{SECRET}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path
}

pub fn encrypt(place: &mut Place) {
    place.settings().backup_age_recipients = vec![PUBLIC.to_owned()];
}

pub fn with_identity(place: &mut Place) -> Settings {
    let path = identity(place.path());
    place.settings().backup_age_identity_file = Some(path);
    place.settings().clone()
}

fn encrypted(mut shop: Shop) -> Shop {
    encrypt(&mut shop.place);
    shop
}

#[test]
fn everything_but_manifests_is_encrypted_and_books_come_back_with_the_key_alone() {
    let mut shop = encrypted(spoken_books());
    let folder = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    for words in ["identity-seven", "task-of-the-log", "refused-line"] {
        assert_eq!(files_with(&folder, words), Vec::<PathBuf>::new(), "{words}");
    }
    let (kept, named) = kept_and_named(&folder);
    assert_eq!(kept, named);
    for key in &kept {
        let bytes = std::fs::read(folder.join(key)).unwrap();
        assert!(
            Path::new(key).extension().is_some_and(|ending| ending == "age")
                && bytes.starts_with(b"age-encryption.org/v1\n"),
            "{key}"
        );
    }
    // What is there is not copied again, though the same bytes are other ones each time that they are encrypted.
    let again = backed_up(&shop.place, "2024-12-11T00:00:00Z");
    assert_eq!((again.new_files, again.points), (1, 1), "{again:?}");
    let mut without = Place::with_cards(shop.cards(), "c");
    says(
        &try_restore(&folder, &mut without).unwrap_err(),
        2,
        "are encrypted: name the file",
    );
    assert!(!without.data().exists());
    with_identity(&mut shop.place);
    let place = restored(&mut shop, &folder);
    assert_eq!(difference(&dump(shop.place.path()), &dump(place.path())), None);
    assert_eq!(differences(&place, "2024-12-11T00:00:00Z"), Vec::<String>::new());
    // And they go on in the same place, without the secret key.
    let next = try_back_up(&place, "2024-12-12T00:00:00Z", &folder).unwrap();
    assert_eq!((next.number, next.new_files), (3, 1));
}

#[test]
fn what_expired_goes_from_encrypted_backups_too() {
    let shop = encrypted(spoken_books());
    let folder = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    for now in ["2025-02-10T00:00:00Z", "2025-06-19T00:00:00Z", "2025-06-20T00:00:00Z"] {
        shop.place.night(now);
    }
    backed_up(&shop.place, "2025-06-20T00:00:00Z");
    let (kept, named) = kept_and_named(&folder);
    assert_eq!(kept, named);
    for folder in ["files/raw/", "files/log/", "quarantine/"] {
        assert!(!kept.iter().any(|key| key.starts_with(folder)), "{folder}: {kept:?}");
    }
}

#[test]
fn a_flipped_byte_of_an_encrypted_file_is_found_with_and_without_the_key() {
    let mut shop = encrypted(small_books());
    let folder = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    let settings = with_identity(&mut shop.place);
    let (blind, open) = (check(&folder).unwrap(), check_with(&folder, &settings).unwrap());
    assert!(!blind.is_decrypted && blind.differences.is_empty(), "{blind:?}");
    assert!(
        open.is_decrypted && open.differences.is_empty() && open.ledger_rows > 0,
        "{open:?}"
    );
    for key in &kept_and_named(&folder).0 {
        let path = folder.join(key);
        let whole = std::fs::read(&path).unwrap();
        for at in [0, whole.len() / 2, whole.len() - 1] {
            let mut flipped = whole.clone();
            flipped[at] ^= 1;
            std::fs::write(&path, flipped).unwrap();
            for checked in [check(&folder), check_with(&folder, &settings)] {
                let found = checked.unwrap().differences;
                assert!(
                    found.len() == 1 && found[0].contains(key),
                    "byte {at} of {key}: {found:?}"
                );
            }
        }
        std::fs::write(&path, whole).unwrap();
    }
}

#[test]
fn another_key_opens_nothing_and_says_so() {
    let mut shop = encrypted(small_books());
    let folder = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    let mut settings = with_identity(&mut shop.place);
    let other = shop.place.path().join("other.txt");
    let key = age::x25519::Identity::generate();
    std::fs::write(&other, age::secrecy::ExposeSecret::expose_secret(&key.to_string())).unwrap();
    settings.backup_age_identity_file = Some(other.clone());
    let found = check_with(&folder, &settings).unwrap().differences;
    assert!(
        !found.is_empty() && found[0].contains("encrypted to other keys"),
        "{found:?}"
    );
    let mut place = Place::with_cards(shop.cards(), "c");
    place.settings().backup_age_identity_file = Some(other);
    says(
        &try_restore(&folder, &mut place).unwrap_err(),
        2,
        "encrypted to other keys",
    );
}

#[test]
fn a_place_is_encrypted_from_its_first_backup_or_not_at_all() {
    let now = "2024-12-11T00:00:00Z";
    let mut shop = small_books();
    let folder = beside(&shop.place);
    backed_up(&shop.place, now);
    encrypt(&mut shop.place);
    says(
        &try_back_up(&shop.place, now, &folder).unwrap_err(),
        3,
        "is not encrypted, and the settings name recipients",
    );
    let own = shop.place.path().join("own");
    try_back_up(&shop.place, now, &own).unwrap();
    shop.place.settings().backup_age_recipients.clear();
    says(
        &try_back_up(&shop.place, now, &own).unwrap_err(),
        3,
        "the settings name no recipients",
    );
    let other = age::x25519::Identity::generate().to_public().to_string();
    shop.place.settings().backup_age_recipients = vec![PUBLIC.to_owned(), other];
    says(
        &try_back_up(&shop.place, now, &own).unwrap_err(),
        3,
        "the settings name other recipients",
    );
    assert_eq!((newest(&folder).number, newest(&own).number), (1, 1));
}

#[test]
fn an_encrypted_backup_killed_and_run_again_is_whole_and_goes_on_with_what_it_wrote() {
    let place = place();
    std::fs::write(
        place.path().join("tallybook.toml"),
        format!("backup_age_recipients = [\"{PUBLIC}\"]\n"),
    )
    .unwrap();
    ends(&mut night(place.path()), 0);
    let books = dump(place.path());
    let key = identity(place.path());
    let backup = ["backup", "kept"];
    let points = [
        "moved raw",
        "moved originals",
        "moved quarantine",
        "moved ledger",
        "moved manifests",
    ];
    for point in points.into_iter().skip(if is_embedded() { 0 } else { 3 }) {
        let killed = tempfile::tempdir().unwrap();
        crate::crashes::copy(place.path(), killed.path());
        kill_at(&mut program(killed.path(), NIGHT, &backup), point);
        let kept = killed.path().join("kept");
        let left: Vec<(PathBuf, Vec<u8>)> = files(&kept.join("files"))
            .into_iter()
            .map(|(path, file)| (path, std::fs::read(file).unwrap()))
            .collect();
        ends(&mut program(killed.path(), NIGHT, &backup), 0);
        for (path, bytes) in left {
            assert!(
                std::fs::read(kept.join("files").join(path)).unwrap() == bytes,
                "{point}"
            );
        }
        let verify = ["backup", "verify", "kept", "--identity", key.to_str().unwrap()];
        ends(&mut program(killed.path(), NIGHT, &verify), 0);
        let (files, named) = kept_and_named(&kept);
        assert_eq!(files, named, "{point}");
        let to = tempfile::tempdir().unwrap();
        let restore = ["restore", kept.to_str().unwrap(), "--identity", key.to_str().unwrap()];
        ends(&mut program(to.path(), NIGHT, &restore), 0);
        assert_eq!(difference(&books, &dump(to.path())), None, "{point}");
    }
}

#[test]
fn an_identity_that_everybody_can_read_is_told_and_never_shown() {
    let mut shop = encrypted(small_books());
    let folder = beside(&shop.place);
    backed_up(&shop.place, "2024-12-11T00:00:00Z");
    shop.drop(&[usage("b", 7, "A", DAY, 30_000)]);
    backed_up(&shop.place, "2024-12-12T00:00:00Z");
    with_identity(&mut shop.place);
    let key = shop.place.path().join("key.txt");
    for (mode, is_told) in [(0o644, true), (0o600, false)] {
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(mode)).unwrap();
        let drill = [
            "backup",
            "drill",
            folder.to_str().unwrap(),
            "--identity",
            key.to_str().unwrap(),
        ];
        let said = ends(&mut program(shop.place.path(), "2024-12-12T00:00:00Z", &drill), 0);
        assert_eq!(said.contains("everybody on this machine can read"), is_told, "{said}");
        assert!(!said.contains("AGE-SECRET-KEY"), "{said}");
    }
}
