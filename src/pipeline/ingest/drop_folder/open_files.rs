//! Who has a file open for writing, as far as the system tells.
//!
//! Linux tells it of the processes that we may look into: of our own user, or of all for root, in the same set of processes. A writer
//! on another machine (NFS, SMB), in another container or of another user is not seen; its file rests by its size and time alone.

use std::collections::HashSet;
use std::fs::Metadata;

/// A file, whatever it is called: its device and its number there.
pub type FileId = (u64, u64);

#[cfg(unix)]
pub fn id_of(file: &Metadata) -> FileId {
    use std::os::unix::fs::MetadataExt as _;
    (file.dev(), file.ino())
}

#[cfg(not(unix))]
pub fn id_of(_file: &Metadata) -> FileId {
    (0, 0)
}

/// Those of the wanted files that some process has open for writing. Empty where the system does not tell.
#[cfg(target_os = "linux")]
pub fn open_for_writing(wanted: &HashSet<FileId>) -> HashSet<FileId> {
    let mut open = HashSet::new();
    if wanted.is_empty() {
        return open;
    }
    // Processes and their files come and go while we look: what cannot be read is not there any more, or not ours to see.
    for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let place = process.path();
        for file in std::fs::read_dir(place.join("fd")).into_iter().flatten().flatten() {
            let id = std::fs::metadata(file.path()).ok().map(|file| id_of(&file));
            if let Some(id) = id.filter(|id| wanted.contains(id) && !open.contains(id))
                && std::fs::read_to_string(place.join("fdinfo").join(file.file_name())).is_ok_and(|info| writes(&info))
            {
                open.insert(id);
            }
        }
    }
    open
}

#[cfg(not(target_os = "linux"))]
pub fn open_for_writing(_wanted: &HashSet<FileId>) -> HashSet<FileId> {
    HashSet::new()
}

/// Whether the flags in a `fdinfo`, octal, are those of writing: `O_WRONLY` or `O_RDWR`.
#[cfg(target_os = "linux")]
fn writes(info: &str) -> bool {
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & 3 != 0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_open_for_writing_until_its_writer_closes_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("x");
        std::fs::write(&place, "x").unwrap();
        let id = id_of(&std::fs::metadata(&place).unwrap());
        let open = || !open_for_writing(&HashSet::from([id])).is_empty();
        let reader = std::fs::File::open(&place).unwrap();
        assert!(!open(), "a reader changes nothing");
        let writer = std::fs::File::options().append(true).open(&place).unwrap();
        assert!(open());
        drop((reader, writer));
        assert!(!open());
    }
}
