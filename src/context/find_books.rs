//! Where books are: for a person who mistyped the place.

use std::path::{Path, PathBuf};

use crate::storage::durable_files::DataDir;
use crate::storage::ledger::{EMBEDDED_NAME, Ledger, highest_intake, without_password};
use crate::support::error::{Error, Result};
use crate::support::nearest::nearest;

/// What makes new books.
const MAKERS: &str = "`ingest`, `pull`, `nightly`, `source import`, `account add`, `rate-card import` and `migrate`";

/// Places that are named when the books are not where they were looked for.
const NAMED_MAX: usize = 3;

/// Entries of a folder that are looked at: a message is not worth more.
const LOOKED_AT_MAX: usize = 1000;

/// Data folders that nobody has to name.
pub const DEFAULT_DATA_DIR: &str = "tallybook-data";
pub const DEMO_DATA_DIR: &str = "tallybook-demo";

/// Refuses a folder without an embedded ledger, before anything is made in it.
pub fn refuse_without_books(folder: &Path) -> Result<()> {
    if has_books(folder) {
        return Ok(());
    }
    Err(no_books(folder))
}

/// The folder has no books; the nearest that has some is named.
pub fn no_books(folder: &Path) -> Error {
    let near = books_near(folder);
    let near = match &near[..] {
        [] => "no other data folder was found nearby.".to_owned(),
        [one] => format!("did you mean --data-dir {0}?", one.display()),
        [one, others @ ..] => {
            let others: Vec<String> = others.iter().map(|other| other.display().to_string()).collect();
            format!(
                "did you mean --data-dir {0}? Others: {1}.",
                one.display(),
                others.join(", ")
            )
        }
    };
    Error::Usage(format!(
        "{} is not a tallybook data folder; {near} Nothing was created: only {MAKERS} create one",
        folder.display()
    ))
}

/// What a person is told who made new books beside others; nothing where there are no others.
pub fn made_beside(folder: &Path) -> Option<String> {
    let others = books_near(folder).into_iter().filter(|other| !is_same(other, folder));
    let others: Vec<String> = others.map(|other| other.display().to_string()).collect();
    (!others.is_empty()).then(|| {
        format!(
            "created a new data folder {}; there is already one in {}: use --data-dir if you meant that one",
            folder.display(),
            others.join(", ")
        )
    })
}

/// The server's database has no tables of ours.
pub fn no_tables(url: &str) -> Error {
    Error::Usage(format!(
        "the ledger {} has no tallybook tables: check the database name in --ledger (PostgreSQL: also `search_path`). Nothing was \
         created: only {MAKERS} create them",
        without_password(url)
    ))
}

/// Books in a server whose data folder is not there.
pub fn no_data_folder(folder: &Path, url: &str) -> Error {
    Error::Usage(format!(
        "the data folder of the ledger {} is missing: {} does not exist; check --data-dir, and whether the folder is mounted on \
         this machine. Nothing was created",
        without_password(url),
        folder.display()
    ))
}

/// Refuses to begin a new data folder beside a server's ledger that has books already: their files are in another one.
pub async fn refuse_lost_folder(data: &DataDir, url: &str, wait_s: u32) -> Result<()> {
    if data.root().is_dir() {
        return Ok(());
    }
    let Some(ledger) = Ledger::open_there(url, wait_s).await? else {
        return Ok(());
    };
    let highest = highest_intake(&ledger).await;
    ledger.close().await;
    match highest? {
        0 => Ok(()),
        _ => Err(no_data_folder(data.root(), url)),
    }
}

fn has_books(folder: &Path) -> bool {
    let ledger = std::fs::metadata(folder.join(EMBEDDED_NAME));
    ledger.is_ok_and(|ledger| ledger.is_file() && ledger.len() > 0)
}

/// Folders with books, the likeliest meant first: below this one, beside it, above it, and where nobody has to say.
fn books_near(folder: &Path) -> Vec<PathBuf> {
    let parent = match folder.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => folder,
    };
    let defaults = [".", DEFAULT_DATA_DIR, DEMO_DATA_DIR].map(PathBuf::from);
    let mut found: Vec<PathBuf> = Vec::new();
    let candidates = folders_in(folder)
        .into_iter()
        .chain(folders_in(parent))
        .chain([parent.to_owned()])
        .chain(defaults);
    for candidate in candidates.filter(|candidate| has_books(candidate)) {
        if !found.iter().any(|known| is_same(known, &candidate)) {
            found.push(candidate);
        }
    }
    let name = name_of(folder);
    let names: Vec<String> = found.iter().map(|folder| name_of(folder)).collect();
    if let Some(meant) = nearest(&name, names.iter().map(String::as_str)) {
        let at = names.iter().position(|name| name == meant).unwrap_or(0);
        found[..=at].rotate_right(1);
    }
    found.truncate(NAMED_MAX);
    found
}

/// The folders in a folder, by name; none where it cannot be read.
fn folders_in(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut folders: Vec<PathBuf> = entries
        .take(LOOKED_AT_MAX)
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.is_dir())
        .map(|path| path.strip_prefix(".").map(Path::to_owned).unwrap_or(path))
        .collect();
    folders.sort();
    folders
}

fn is_same(one: &Path, other: &Path) -> bool {
    one == other
        || match (one.canonicalize(), other.canonicalize()) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        }
}

fn name_of(folder: &Path) -> String {
    folder
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_likeliest_meant_books_are_named_first() {
        let root = tempfile::tempdir().unwrap();
        for name in ["archive", "tallybook-data"] {
            let folder = root.path().join(name);
            std::fs::create_dir(&folder).unwrap();
            std::fs::write(folder.join(EMBEDDED_NAME), "x").unwrap();
        }
        std::fs::create_dir(root.path().join("tallybook-empty")).unwrap();
        let mistyped = root.path().join("tallybok-data");
        let refused = refuse_without_books(&mistyped).unwrap_err();
        assert_eq!(u8::from(refused.exit_code()), 2);
        let meant = root.path().join("tallybook-data");
        let said = refused.to_string();
        assert!(said.contains(&format!("--data-dir {}", meant.display())), "{said}");
        assert!(said.contains("Others: "), "{said}");
        assert!(!mistyped.exists());
        let above = refuse_without_books(root.path()).unwrap_err().to_string();
        assert!(above.contains("archive") && above.contains("tallybook-data"), "{above}");
        refuse_without_books(&meant).unwrap();
    }
}
