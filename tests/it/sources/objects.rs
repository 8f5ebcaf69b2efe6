//! Buckets and folders as sources. A folder needs nothing; buckets need the feature `objects` and servers that `.ci/object-stores`
//! starts, and are left out by name elsewhere.

#[cfg(feature = "objects")]
mod buckets;
mod deadly;
#[cfg(feature = "objects")]
mod faults;
mod followed;
mod killed;
mod program;
#[cfg(feature = "objects")]
pub mod proxy;
mod pulled;
mod pullers;
#[cfg(feature = "objects")]
pub mod servers;
#[cfg(feature = "objects")]
mod weed;

use std::path::{Path, PathBuf};

use tallybook::catalog::source::kinds::Kind;
use tallybook::context::Books;
use tallybook::sources::fetch::{Content, Fetch as _, FetchError};
use tallybook::sources::objects::{Objects, store};
use tallybook::values::format::Format;

use crate::world::{Place, at, run};

const NOW: &str = "2026-11-10T00:00:00Z";
const SOURCE: &str = "mps";

/// What a listing brought, each object with its bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Brought {
    objects: Vec<(String, Vec<u8>)>,
    warnings: Vec<String>,
}

impl Brought {
    fn names(&self) -> Vec<&str> {
        self.objects.iter().map(|(name, _)| name.as_str()).collect()
    }
}

fn open(books: &Books, kind: &Kind) -> Result<Objects, FetchError> {
    Objects::open(books, SOURCE, kind, None, Some("2020-01-01T00:00:00Z"))
}

/// Fetches until there is nothing more; what is handed over is remembered as the loop that pulls does it.
async fn drain(books: &Books, objects: &mut Objects) -> Result<Brought, FetchError> {
    let mut brought = Brought::default();
    while let Some(part) = objects.fetch().await? {
        brought.warnings.extend(part.warnings);
        let Content::File { path, name, object, .. } = part.content else {
            continue;
        };
        brought.objects.push((name, std::fs::read(&path).unwrap()));
        let mut tx = books.ledger.begin().await?;
        let batch = i64::try_from(brought.objects.len()).unwrap();
        store::add(&mut tx, SOURCE, batch, &[object]).await?;
        books.ledger.commit(tx, "test").await?;
        std::fs::remove_file(path).unwrap();
        objects.acknowledge().await?;
    }
    Ok(brought)
}

async fn pull(books: &Books, kind: &Kind) -> Result<Brought, FetchError> {
    drain(books, &mut open(books, kind)?).await
}

/// A folder with files, and books beside it.
struct Folder {
    place: Place,
    root: PathBuf,
}

impl Folder {
    fn new() -> Self {
        let place = Place::new();
        let root = place.path().join("usage");
        std::fs::create_dir(&root).unwrap();
        Self { place, root }
    }

    fn put(&self, key: &str, bytes: &str) -> PathBuf {
        let path = self.root.join(key);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn kind(&self) -> Kind {
        folder_kind(&self.root)
    }

    /// Files that lie in the data folder between the source and the books.
    fn spooled(&self) -> usize {
        let spools = std::fs::read_dir(self.place.data().join("spool")).unwrap();
        let files = |spool: std::io::Result<std::fs::DirEntry>| std::fs::read_dir(spool.unwrap().path()).unwrap();
        spools.map(|spool| files(spool).count()).sum()
    }

    fn pull(&self) -> Brought {
        run(async {
            let books = self.place.books(at(NOW)).await;
            let brought = pull(&books, &self.kind()).await.unwrap();
            books.ledger.close().await;
            brought
        })
    }
}

fn folder_kind(root: &Path) -> Kind {
    let mut keys = toml::Table::new();
    keys.insert("path".to_owned(), root.display().to_string().into());
    Kind::read("folder", keys).unwrap()
}

#[test]
fn files_of_a_folder_are_handed_over_once_and_stay_where_they_are() {
    let folder = Folder::new();
    let b = folder.put("2026/b.csv", "second");
    let a = folder.put("2026/a é.ndjson.gz", "first");
    let first = folder.pull();
    let name = |path: &Path| path.display().to_string();
    assert_eq!(
        first.objects,
        [(name(&a), b"first".to_vec()), (name(&b), b"second".to_vec())]
    );
    assert_eq!(first.warnings, Vec::<String>::new());
    assert_eq!(folder.pull(), Brought::default());
    let c = folder.put("2025/c.csv", "third");
    assert_eq!(folder.pull().names(), [name(&c)], "keys come in any order");
    assert!(a.exists() && b.exists() && c.exists());
}

#[test]
fn a_file_that_changed_is_told_and_read_again() {
    let folder = Folder::new();
    let path = folder.put("a.csv", "first");
    folder.pull();
    folder.put("a.csv", "first and second");
    let again = folder.pull();
    assert_eq!(
        again.objects,
        [(path.display().to_string(), b"first and second".to_vec())]
    );
    assert_eq!(again.warnings.len(), 1);
    assert!(again.warnings[0].contains("was read in batch 1 (5 bytes)"), "{again:?}");
    assert!(again.warnings[0].contains("another object now (16 bytes)"), "{again:?}");
    assert_eq!(folder.pull(), Brought::default());
}

#[test]
fn what_is_no_usage_by_its_name_is_told_and_left_and_what_programs_leave_is_not_told() {
    let folder = Folder::new();
    folder.put("notes.txt", "x");
    folder.put("_SUCCESS", "");
    folder.put(".a.csv.crc", "x");
    folder.put("_temporary/0/a.csv", "x");
    let brought = folder.pull();
    assert_eq!(brought.objects, []);
    assert_eq!(brought.warnings.len(), 1);
    assert!(brought.warnings[0].starts_with("1 object left, because the name does not show the format"));
    assert!(brought.warnings[0].contains("notes.txt"));
    assert_eq!(folder.pull(), brought, "it is told as long as it is there");
}

#[test]
fn a_file_that_changed_a_moment_ago_waits_for_the_next_time() {
    let mut folder = Folder::new();
    folder.put("a.csv", "x");
    folder.place.settings().drop_rest_s = 3600;
    let brought = folder.pull();
    assert_eq!(brought.objects, []);
    assert!(brought.warnings[0].contains("left for the next time"), "{brought:?}");
    folder.place.settings().drop_rest_s = 0;
    assert_eq!(folder.pull().objects.len(), 1);
}

#[test]
fn a_folder_that_is_not_there_needs_a_person() {
    let folder = Folder::new();
    std::fs::remove_dir(&folder.root).unwrap();
    run(async {
        let books = folder.place.books(at(NOW)).await;
        let refused = pull(&books, &folder.kind()).await.unwrap_err();
        assert!(matches!(refused, FetchError::NeedsPerson(_)));
        assert!(refused.to_string().contains("there is no folder"), "{refused}");
        books.ledger.close().await;
    });
}

#[test]
fn what_was_handed_over_and_not_committed_comes_again() {
    let folder = Folder::new();
    folder.put("a.csv", "x");
    folder.put("b.csv", "y");
    run(async {
        let books = folder.place.books(at(NOW)).await;
        let mut objects = open(&books, &folder.kind()).unwrap();
        assert!(objects.fetch().await.unwrap().is_some());
        drop(objects);
        let mut objects = open(&books, &folder.kind()).unwrap();
        assert_eq!(drain(&books, &mut objects).await.unwrap().objects.len(), 2);
        assert_eq!(
            folder.spooled(),
            0,
            "what the first laid down was removed by the second"
        );
        // The same opened source begins anew after its end.
        folder.put("c.csv", "z");
        assert_eq!(drain(&books, &mut objects).await.unwrap().objects.len(), 1);
        books.ledger.close().await;
    });
}

#[test]
fn what_another_has_laid_down_stays_as_long_as_it_is_needed() {
    let folder = Folder::new();
    folder.put("a.csv", "x");
    run(async {
        let books = folder.place.books(at(NOW)).await;
        let mut trial = open(&books, &folder.kind()).unwrap();
        trial.fetch().await.unwrap().unwrap();
        let mut pull = open(&books, &folder.kind()).unwrap();
        assert_eq!(folder.spooled(), 1);
        pull.fetch().await.unwrap().unwrap();
        assert_eq!(folder.spooled(), 2);
        drop((trial, pull));
        open(&books, &folder.kind()).unwrap();
        assert_eq!(folder.spooled(), 0);
        books.ledger.close().await;
    });
}

#[test]
fn a_run_that_lists_again_and_again_tells_each_thing_once() {
    let folder = Folder::new();
    folder.put("notes.txt", "x");
    run(async {
        let books = folder.place.books(at(NOW)).await;
        let mut objects = open(&books, &folder.kind()).unwrap();
        assert_eq!(drain(&books, &mut objects).await.unwrap().warnings.len(), 1);
        let mut objects = objects.after(None);
        assert_eq!(drain(&books, &mut objects).await.unwrap(), Brought::default());
        assert!(objects.standing()[0].contains("notes.txt"), "{:?}", objects.standing());
        folder.put("more.txt", "x");
        let mut objects = objects.after(None);
        let brought = drain(&books, &mut objects).await.unwrap();
        assert!(
            brought.warnings[0].starts_with("2 objects left") && brought.warnings[0].contains("(1 of them new)"),
            "{brought:?}"
        );
        assert!(!brought.warnings[0].contains("notes.txt"), "{brought:?}");
        books.ledger.close().await;
    });
}

#[test]
fn a_source_with_a_format_takes_every_name() {
    let folder = Folder::new();
    folder.put("events", "{}");
    run(async {
        let books = folder.place.books(at(NOW)).await;
        let format = Some(Format::MpsEvents);
        let mut objects = Objects::open(&books, SOURCE, &folder.kind(), format, None).unwrap();
        let part = objects.fetch().await.unwrap().unwrap();
        assert!(matches!(
            part.content,
            Content::File {
                format: Some(Format::MpsEvents),
                ..
            }
        ));
        books.ledger.close().await;
    });
}

#[test]
fn files_before_the_beginning_of_the_source_are_not_read() {
    let folder = Folder::new();
    folder.put("a.csv", "x");
    run(async {
        let books = folder.place.books(at(NOW)).await;
        let from = Some("2126-01-01T00:00:00Z");
        let mut objects = Objects::open(&books, SOURCE, &folder.kind(), None, from).unwrap();
        assert!(objects.fetch().await.unwrap().is_none());
        let refused = Objects::open(&books, SOURCE, &folder.kind(), None, Some("yesterday")).unwrap_err();
        assert!(refused.to_string().contains("`from` \"yesterday\""), "{refused}");
        books.ledger.close().await;
    });
}

#[cfg(not(feature = "objects"))]
#[test]
fn a_bucket_is_refused_by_a_program_that_was_built_without_buckets() {
    let place = Place::new();
    let keys = "bucket = \"usage\"\nbucket_region = \"x\"\nsecret_id_file = \"id\"\nsecret_key_file = \"id\"";
    let keys = keys.replace("\"id\"", &format!("{:?}", place.file("id", "x").display().to_string()));
    let kind = Kind::read("s3", keys.parse().unwrap()).unwrap();
    run(async {
        let books = place.books(at(NOW)).await;
        let refused = open(&books, &kind).unwrap_err().to_string();
        assert_eq!(
            refused,
            "this program was built without objects; build it with --features objects"
        );
        books.ledger.close().await;
    });
}
