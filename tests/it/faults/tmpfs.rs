//! A small file system in memory, gone when the test ends.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::left_out::left_out;

pub struct Tmpfs(PathBuf);

impl Tmpfs {
    /// Mounts one over a new folder. None where this user may not mount: then the test is left out, and says so.
    pub fn mount(folder: &Path, size: &str) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(folder);
        if mount.output().is_ok_and(|output| output.status.success()) {
            return Some(Self(folder.to_owned()));
        }
        left_out("a tmpfs cannot be mounted (that takes root)");
        None
    }

    /// Mounts it again in another way, such as `ro` or `size=64m`.
    pub fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        let status = Command::new("mount")
            .args(["-o", &options])
            .arg(&self.0)
            .status()
            .unwrap();
        assert!(status.success(), "{options}");
    }

    /// Fills it but for so many KiB.
    pub fn fill(&self, but_kib: usize) {
        let (first, rest) = (self.0.join("filler"), self.0.join("filler.rest"));
        std::fs::write(&rest, vec![0; but_kib * 1024]).unwrap();
        let mut file = std::fs::File::create(first).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        std::fs::remove_file(rest).unwrap();
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        // Lazily: a test that fails may have left a file open.
        Command::new("umount").arg("-l").arg(&self.0).status().ok();
    }
}
