//! Names that mean "not an input": uploads that are under way, and what systems put into any folder. Pure.
//!
//! A name that only looks odd is an input: what is left alone by mistake is never billed, and nobody hears of it.

/// Endings of files that a program still writes, or locks another file with. Compared without regard to case.
const UNFINISHED: [&str; 25] = [
    ".aria2",
    ".crdownload",
    ".cyberducksegment",
    ".download",
    ".filepart",
    ".gstmp",
    ".incomplete",
    ".inprogress",
    ".lck",
    ".lftp-pget-status",
    ".lock",
    ".opdownload",
    ".part",
    ".partial",
    ".swo",
    ".swp",
    ".swx",
    ".temp",
    ".tmp",
    ".unconfirmed",
    ".upload",
    ".uploading",
    ".writing",
    ".!ut",
    "~",
];

/// What systems and engines put beside files: whole names, without regard to case.
const SYSTEM: [&str; 17] = [
    "$recycle.bin",
    "#recycle",
    "@eadir",
    "__macosx",
    "_common_metadata",
    "_delta_log",
    "_failure",
    "_logs",
    "_metadata",
    "_spark_metadata",
    "_success",
    "_temporary",
    "desktop.ini",
    "ehthumbs.db",
    "lost+found",
    "system volume information",
    "thumbs.db",
];

/// Beginnings: hidden files, lock and owner files of office programs and editors, Databricks' commit markers.
const BEGINNINGS: [&str; 5] = [".", "~", "_committed_", "_started_", "_temporary"];

/// Whether a file or folder of this name is never taken, and nobody need hear of it.
pub fn is_left_alone(name: &str) -> bool {
    let name = name.to_lowercase();
    BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || UNFINISHED.iter().any(|ending| name.ends_with(ending))
        || SYSTEM.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use crate::pipeline::ingest::drop_folder::names::is_left_alone;

    #[test]
    fn uploads_under_way_and_what_systems_leave_are_left_alone() {
        for name in [
            "usage.ndjson.filepart",
            "usage.csv.crdownload",
            "usage.csv.CRDOWNLOAD",
            "usage.csv.part",
            "usage.csv.tmp",
            "usage.csv.partial",
            "usage.csv.~",
            ".usage.csv.Ab12Cd",
            ".part-00000.snappy.parquet.crc",
            "_SUCCESS",
            "_committed_4711",
            "_started_4711",
            "_temporary",
            "Thumbs.db",
            "desktop.ini",
            ".DS_Store",
            "~$usage.xlsx",
            ".~lock.usage.csv#",
            "~lock.usage.csv",
            "usage.csv~",
            "lost+found",
        ] {
            assert!(is_left_alone(name), "{name}");
        }
    }

    #[test]
    fn a_name_that_only_looks_odd_is_an_input() {
        for name in [
            "usage.ndjson",
            "_usage.ndjson",
            "part-00000.csv",
            "tmp.csv",
            "usage.part.csv",
            "_SUCCESS.csv",
            "lock.parquet",
            "usage.txt",
        ] {
            assert!(!is_left_alone(name), "{name}");
        }
    }
}
