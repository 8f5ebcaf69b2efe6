//! The contract: every point at which the program can be stopped, and which of them are tried on the ledger of a run.

use std::collections::BTreeSet;

use crate::ledgers::is_embedded;

/// Whether a kill is tried at every pass of every point, on servers too, as the environment may ask for. Otherwise it is tried once at each
/// point on the embedded ledger, and on a server, where what it leaves of files is the same, at every third of the ledger's own points.
pub fn is_every_point_tried() -> bool {
    std::env::var_os("TALLYBOOK_TEST_EVERY_POINT").is_some()
}

/// Whether a kill is tried at a point on the ledger of this run.
pub fn is_tried(point: &str) -> bool {
    is_every_point_tried() || is_embedded() || is_of_ledger(point)
}

/// The passes of a point that are tried, of as many as there are: the last, or the first, the second and the last.
pub fn passes(times: u32) -> BTreeSet<u32> {
    if is_every_point_tried() {
        [1, 2.min(times), times].into()
    } else {
        [times].into()
    }
}

/// The cases that are tried on the ledger of this run.
pub fn chosen<T>(cases: impl IntoIterator<Item = T>) -> Vec<T> {
    let step = if is_every_point_tried() || is_embedded() { 1 } else { 3 };
    cases.into_iter().step_by(step).collect()
}

/// A point of a transaction, between two of them, or between a part of a source and its commit: those of files are named `VERB PLACE`.
fn is_of_ledger(point: &str) -> bool {
    point.contains('.') || PARTS.contains(&point)
}

/// Every transaction there is but those of a restore and of an erasure, which are plays of their own: each has a point before its commit and one after it. Who adds one adds it here; none is removed
/// unseen.
pub const COMMITS: [&str; 47] = [
    "account",
    "account_import",
    "blanked",
    "cards",
    "clock",
    "close",
    "dismiss",
    "draft",
    "exceed",
    "expire",
    "expire_lines",
    "expire_log",
    "expire_originals",
    "expire_payloads",
    "expire_queue",
    "expire_source",
    "expire_usage",
    "expire_versions",
    "export",
    "export_written",
    "fence",
    "first_day",
    "forget_dropped",
    "hold",
    "ingest",
    "intake",
    "lease",
    "merge",
    "merge_keys",
    "meter",
    "originals",
    "payloads",
    "profile",
    "prove",
    "pull",
    "redrive",
    "reinstate",
    "release",
    "report",
    "resolve",
    "retry",
    "source_lease",
    "source_state",
    "source_template",
    "sources",
    "terminate",
    "waive",
];

/// Every point of a file or folder.
pub const FILES: [&str; 57] = [
    "dated drop",
    "downloading spool",
    "made folder done",
    "made folder exports",
    "made folder log",
    "made folder payload",
    "made folder raw",
    "made folder refused",
    "made folder spool",
    "made folder unmetered",
    "moved done",
    "moved exports",
    "moved refused",
    "removed done",
    "removed drop",
    "removed exports",
    "removed folder log",
    "removed folder payload",
    "removed folder raw",
    "removed folder unmetered",
    "removed keys",
    "removed log",
    "removed payload",
    "removed raw",
    "removed refused",
    "removed spool",
    "removed unmetered",
    "stated books",
    "synced done",
    "synced exports",
    "synced folder books",
    "synced folder done",
    "synced folder drop",
    "synced folder exports",
    "synced folder keys",
    "synced folder log",
    "synced folder payload",
    "synced folder raw",
    "synced folder refused",
    "synced folder spool",
    "synced folder unmetered",
    "synced folder usage",
    "synced keys",
    "synced log",
    "synced payload",
    "synced raw",
    "synced unmetered",
    "synced usage",
    "written done",
    "written exports",
    "written keys",
    "written log",
    "written payload",
    "written raw",
    "written spool",
    "written unmetered",
    "written usage",
];

/// Between a part of a source, its commit, and what the source is told.
pub const PARTS: [&str; 4] = ["fetched part", "spooled part", "committed part", "acknowledged part"];

/// Every point of a backup, the first and the next into a folder, in the order of their names.
pub const BACKUP_POINTS: [&str; 46] = [
    "backup.read",
    "made folder books",
    "made folder exports",
    "made folder keys",
    "made folder ledger",
    "made folder manifests",
    "made folder originals",
    "made folder quarantine",
    "made folder raw",
    "made folder usage",
    "moved exports",
    "moved keys",
    "moved ledger",
    "moved manifests",
    "moved originals",
    "moved quarantine",
    "moved raw",
    "moved usage",
    "removed ledger",
    "removed originals",
    "removed quarantine",
    "synced books",
    "synced exports",
    "synced folder books",
    "synced folder exports",
    "synced folder keys",
    "synced folder ledger",
    "synced folder manifests",
    "synced folder originals",
    "synced folder quarantine",
    "synced folder raw",
    "synced folder usage",
    "synced keys",
    "synced ledger",
    "synced originals",
    "synced quarantine",
    "synced raw",
    "synced usage",
    "written books",
    "written exports",
    "written keys",
    "written ledger",
    "written originals",
    "written quarantine",
    "written raw",
    "written usage",
];

/// Every point of a backup into a bucket that has one.
#[cfg(feature = "objects")]
pub const BUCKET_BACKUP_POINTS: [&str; 23] = [
    "backup.read",
    "backup_lease.after_commit",
    "backup_lease.before_commit",
    "lease.after_commit",
    "lease.before_commit",
    "made folder spool",
    "put books",
    "put exports",
    "put keys",
    "put ledger",
    "put manifests",
    "put originals",
    "put part originals",
    "put quarantine",
    "put raw",
    "put usage",
    "release.after_commit",
    "release.before_commit",
    "removed ledger",
    "removed originals",
    "removed quarantine",
    "synced folder books",
    "synced folder spool",
];

/// Every point of a restore from a bucket.
#[cfg(feature = "objects")]
pub const BUCKET_RESTORE_POINTS: [&str; 33] = [
    "made folder books",
    "made folder done",
    "made folder drop",
    "made folder exports",
    "made folder keys",
    "made folder raw",
    "made folder spool",
    "made folder usage",
    "removed books",
    "restore.after_commit",
    "restore.before_commit",
    "restored.after_commit",
    "restored.before_commit",
    "synced books",
    "synced done",
    "synced exports",
    "synced folder books",
    "synced folder done",
    "synced folder drop",
    "synced folder exports",
    "synced folder keys",
    "synced folder raw",
    "synced folder spool",
    "synced folder usage",
    "synced keys",
    "synced raw",
    "synced usage",
    "written books",
    "written done",
    "written exports",
    "written keys",
    "written raw",
    "written usage",
];

/// Every point of a prune of a bucket.
#[cfg(feature = "objects")]
pub const BUCKET_PRUNE_POINTS: [&str; 11] = [
    "backup_lease.after_commit",
    "backup_lease.before_commit",
    "given up originals",
    "lease.after_commit",
    "lease.before_commit",
    "made folder spool",
    "release.after_commit",
    "release.before_commit",
    "removed manifests",
    "removed originals",
    "synced folder spool",
];

/// Every point of a restore, in the order of their names.
pub const RESTORE_POINTS: [&str; 31] = [
    "made folder books",
    "made folder done",
    "made folder drop",
    "made folder exports",
    "made folder keys",
    "made folder raw",
    "made folder usage",
    "removed books",
    "restore.after_commit",
    "restore.before_commit",
    "restored.after_commit",
    "restored.before_commit",
    "synced books",
    "synced done",
    "synced exports",
    "synced folder books",
    "synced folder done",
    "synced folder drop",
    "synced folder exports",
    "synced folder keys",
    "synced folder raw",
    "synced folder usage",
    "synced keys",
    "synced raw",
    "synced usage",
    "written books",
    "written done",
    "written exports",
    "written keys",
    "written raw",
    "written usage",
];
