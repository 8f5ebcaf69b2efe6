//! Backups: the books as one state, in a folder or a bucket from which they can be restored to any engine.
//!
//! ```text
//! backup.json                  what the folder is
//! manifests/00000007-...json   what a backup has, by digest; written last. Each names the digest of the one before
//! ledger/...jsonl.zst          the ledger, in one state: see `storage/ledger/dump`
//! files/raw/day=.../...        files that the ledger names, and exports, laid out as in the data folder
//! originals/SHA256.zst         input files of done/ and refused/, packed but for those that are compressed already
//! quarantine/DAY-...jsonl.zst  bytes of refused lines, by the day of their receipt: they go before the ledger's rows do
//! ....SHA256.age               any of these files, encrypted: see `encryption.rs`
//! tmp/                         what is being written; in a folder alone
//! lock                         held by who reads or writes the folder; in a folder alone
//! newest                       the key of the newest manifest; in a bucket alone
//! ```
//!
//! Files of the books are never altered and no name is used twice, so each goes over once. The ledger is read first and in one state;
//! if a file that it names is removed before it was copied (a night merges and expires), the ledger is read again. What neither the newest
//! backup needs nor an earlier one that can be restored is removed after a backup, and so is what expired in the books: see `points.rs`.

/// Whether a backup is what its manifest says.
pub mod check;

/// What a backup must have.
mod contents;

/// One backup.
pub mod create;

/// Encryption with age.
mod encryption;

/// What a restore of an earlier backup leaves out.
mod leave_out;

/// Where backups are.
pub mod location;

/// What a backup has.
pub mod manifest;

/// Files while they are written.
mod object_writer;

/// Input files, packed.
mod packing;

/// Bytes of refused lines.
mod payloads;

/// Earlier backups that can be restored.
pub mod points;

/// What goes from the place.
pub mod prune;

/// Backups at their place, a folder or a bucket.
pub mod repository;

/// From a backup to books.
pub mod restore;

mod store;
