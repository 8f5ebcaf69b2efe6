//! A folder that is followed by the program itself.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use super::Folder;
use crate::crashes::process::program;
use crate::world::{line, real_cards};

const NOW: &str = "2026-11-10T00:00:00Z";
const FINISHED: &str = "2026-11-09T10:00:00Z";

#[test]
fn a_folder_that_is_followed_is_listed_again_and_nothing_is_told_twice() {
    let folder = Folder::new();
    folder.put("bad.parquet", "this is no Parquet");
    folder.put("notes.txt", "x");
    let path = folder.place.path();
    std::os::unix::fs::symlink(real_cards(), path.join("cards")).unwrap();
    let definition = format!(
        "[source.mps]\nkind = \"folder\"\npath = {:?}\nfrom = \"2020-01-01T00:00:00Z\"\npoll_s = 1\n",
        folder.root
    );
    std::fs::write(path.join("tallybook.toml"), definition).unwrap();
    let mut command = program(path, NOW, &["pull", "--follow"]);
    command.env("TALLYBOOK_DEFAULT_CARD", "mps-cn");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut said = String::new();
    for number in 1..=3 {
        // It comes when the listing before it was told, and whole.
        let made = path.join("next");
        std::fs::write(&made, line(&format!("n{number}"), 7, FINISHED, 60_000)).unwrap();
        std::fs::rename(&made, folder.root.join(format!("{number}.ndjson"))).unwrap();
        while said.matches("1 received").count() < number {
            said = said + &lines.next().unwrap() + "\n";
        }
    }
    let stopped = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(stopped.success());
    said.extend(lines);
    assert!(child.wait().unwrap().success());
    assert_eq!(said.matches("notes.txt").count(), 1, "{said}");
    assert_eq!(said.matches("bad.parquet").count(), 1, "{said}");
    assert!(said.contains("ACTION REQUIRED: "), "{said}");
}
