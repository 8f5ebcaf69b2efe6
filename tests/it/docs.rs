//! The documents are true: their console blocks are run, their links lead somewhere, the messages that they explain are the
//! program's, and README stays short.
//!
//! How a page is run, as `CONTRIBUTING.md` tells writers:
//!
//! - The blocks of a page run in order, in a folder of the page's own that is empty at first.
//! - A block with a name behind its language (```` ```csv usage.csv ````) is written to a file of that name.
//! - In a `console` block each line that begins with `$ ` is a command for `sh`; `cargo run --` stands for `tallybook`. What follows is
//!   what it prints (output and errors together) and, when it does not end with 0, `[exit code N]` as the last line.
//! - A line `...` stands for any lines, `...` within a line for any text. All other text must be equal, but for blanks at line ends.
//! - A page with a comment `<!-- continues start.md -->` goes on where that page ended.
//! - The machine's clock stands at [`MACHINE_CLOCK`].
//!
//! With `UPDATE_DOCS=1` outputs that differ are written into the pages, for a writer to look at.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

/// Past every day that the pages show, so that none of their commands is ahead of the machine.
const MACHINE_CLOCK: &str = "2026-11-30T00:00:00Z";

/// Before the name of the page whose folder a page goes on with.
const CONTINUES: &str = "<!-- continues ";

/// README is read to its end.
const README_LINES_MAX: usize = 150;
const README_WORDS_MAX: usize = 1_000;
const README_COLUMNS_MAX: usize = 100;

/// Pieces of a message between its elisions that are shorter than this are found anywhere, and prove nothing.
const PIECE_BYTES_MIN: usize = 6;

/// A fenced block of a page.
struct Block {
    /// Line of its fence, from 0.
    at: usize,
    /// What follows the fence: a language, and the name of a file.
    info: String,
    lines: Vec<String>,
}

/// A command of a console block.
struct Run {
    /// Its line in the page, from 0.
    at: usize,
    command: String,
    shown: Vec<String>,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn text_of(page: &Path) -> String {
    std::fs::read_to_string(page).unwrap_or_else(|error| panic!("{}: {error}", page.display()))
}

/// Files below a folder whose names end in a suffix, without hidden folders and what builds and fuzzers leave.
fn files_below(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !name.starts_with('.') && !name.starts_with("target") && !["corpus", "artifacts"].contains(&&*name) {
                    folders.push(path);
                }
            } else if name.ends_with(suffix) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// The fenced blocks of a page, and its lines outside of them.
fn parts(text: &str) -> (Vec<Block>, Vec<(usize, String)>) {
    let (mut blocks, mut prose) = (Vec::<Block>::new(), Vec::new());
    let mut fence: Option<String> = None;
    for (at, line) in text.lines().enumerate() {
        let ticks: String = line.chars().take_while(|&c| c == '`').collect();
        match &fence {
            Some(open) if line == open => fence = None,
            Some(_) => blocks.last_mut().unwrap().lines.push(line.to_owned()),
            None if ticks.len() >= 3 => {
                blocks.push(Block {
                    at,
                    info: line[ticks.len()..].to_owned(),
                    lines: Vec::new(),
                });
                fence = Some(ticks);
            }
            None => prose.push((at, line.to_owned())),
        }
    }
    assert!(fence.is_none(), "the last fence is not closed");
    (blocks, prose)
}

fn commands(block: &Block) -> Vec<Run> {
    let mut runs = Vec::<Run>::new();
    for (at, line) in block.lines.iter().enumerate() {
        if let Some(command) = line.strip_prefix("$ ") {
            runs.push(Run {
                at: block.at + 1 + at,
                command: command.to_owned(),
                shown: Vec::new(),
            });
        } else {
            let run = runs.last_mut().expect("a console block begins with a command");
            run.shown.push(line.clone());
        }
    }
    runs
}

/// What a command prints, with its exit code where that is not 0.
fn printed(folder: &Path, command: &str) -> Vec<String> {
    let program = Path::new(env!("CARGO_BIN_EXE_tallybook"));
    let path = std::env::join_paths(
        std::iter::once(program.parent().unwrap().to_owned())
            .chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    let script = command.replace("cargo run --", "tallybook");
    let mut shell = Command::new("sh");
    shell.current_dir(folder).env_clear();
    shell
        .env("PATH", path.unwrap())
        .env("HOME", folder)
        .env("LC_ALL", "C")
        .env("TZ", "UTC");
    shell
        .env("TALLYBOOK_MACHINE_CLOCK", MACHINE_CLOCK)
        .env("TALLYBOOK_DROP_REST_S", "0");
    shell.args(["-c", &format!("exec 2>&1; {script}")]);
    let output = shell.stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
    match output.status.code() {
        Some(0) => {}
        Some(code) => lines.push(format!("[exit code {code}]")),
        None => lines.push(format!("[{}]", output.status)),
    }
    lines
}

/// Whether a line is as it is shown, `...` being any text.
fn line_is(shown: &str, printed: &str) -> bool {
    let mut pieces = shown.trim_end().split("...");
    let Some(mut rest) = printed.strip_prefix(pieces.next().unwrap()) else {
        return false;
    };
    let mut elided = false;
    let mut last = "";
    for piece in pieces {
        let Some(at) = rest.find(piece) else {
            return false;
        };
        rest = &rest[at + piece.len()..];
        (elided, last) = (true, piece);
    }
    // The last piece may stand once more, further on.
    rest.is_empty() || (elided && rest.ends_with(last))
}

/// Whether lines are as they are shown, a line `...` being any lines.
fn lines_are(shown: &[String], printed: &[String]) -> bool {
    match shown.split_first() {
        None => printed.is_empty(),
        Some((first, rest)) if first.trim() == "..." => {
            (0..=printed.len()).any(|skipped| lines_are(rest, &printed[skipped..]))
        }
        Some((first, rest)) => printed
            .split_first()
            .is_some_and(|(line, others)| line_is(first, line) && lines_are(rest, others)),
    }
}

/// Runs a page. What is not as shown, as (command, printed).
fn run_page(page: &Path) -> Vec<(Run, Vec<String>)> {
    let folder = tempfile::tempdir().unwrap();
    let text = text_of(page);
    let earlier = text
        .lines()
        .find_map(|line| line.strip_prefix(CONTINUES)?.strip_suffix(" -->"));
    if let Some(earlier) = earlier {
        run_blocks(&text_of(&page.parent().unwrap().join(earlier)), folder.path());
    }
    run_blocks(&text, folder.path())
}

/// Runs the blocks of a page in a folder.
fn run_blocks(text: &str, folder: &Path) -> Vec<(Run, Vec<String>)> {
    let mut differing = Vec::new();
    for block in parts(text).0 {
        let (language, name) = block.info.split_once(' ').unwrap_or((&block.info, ""));
        if !name.is_empty() {
            let file = folder.join(name);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, block.lines.join("\n") + "\n").unwrap();
        }
        if language != "console" {
            continue;
        }
        for run in commands(&block) {
            let printed = printed(folder, &run.command);
            if !lines_are(&run.shown, &printed) {
                differing.push((run, printed));
            }
        }
    }
    differing
}

/// Puts what was printed in the place of what is shown.
fn update(page: &Path, differing: &[(Run, Vec<String>)]) {
    let mut lines: Vec<String> = text_of(page).lines().map(str::to_owned).collect();
    for (run, printed) in differing.iter().rev() {
        lines.splice(run.at + 1..=run.at + run.shown.len(), printed.iter().cloned());
    }
    std::fs::write(page, lines.join("\n") + "\n").unwrap();
}

/// Runs a page; says how it differs.
fn check(page: &Path) -> String {
    let differing = run_page(page);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        update(page, &differing);
        return String::new();
    }
    let mut said = String::new();
    for (run, printed) in differing {
        let place = page.strip_prefix(root()).unwrap().display();
        writeln!(
            said,
            "{place}:{}: $ {}\nshows\n{}\nprinted\n{}\n",
            run.at + 1,
            run.command,
            run.shown.join("\n"),
            printed.join("\n")
        )
        .unwrap();
    }
    said
}

/// The pages of which blocks are run.
fn pages() -> Vec<PathBuf> {
    let mut pages = files_below(&root().join("docs"), ".md");
    pages.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "BENCHMARKS.md"].map(|name| root().join(name)));
    pages
}

#[test]
fn what_the_pages_show_is_what_the_program_prints() {
    // The pages show the embedded ledger.
    if std::env::var_os("TALLYBOOK_TEST_LEDGER").is_some() {
        return;
    }
    let pages = pages();
    let said: String = std::thread::scope(|scope| {
        let running: Vec<_> = pages.iter().map(|page| scope.spawn(|| check(page))).collect();
        running.into_iter().map(|page| page.join().unwrap()).collect()
    });
    assert!(said.is_empty(), "{said}");
}

#[test]
fn elisions_stand_for_what_varies_and_for_nothing_else() {
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let is = |shown: &str, printed: &str| lines_are(&lines(shown), &lines(printed));
    assert!(is("a ... c", "a b c") && is("... c", "b c c") && is("a ...", "a ") && is("a\n...\nd", "a\nb\nc\nd"));
    assert!(is("a\n...", "a") && is("...", "") && is("", "") && is("a ... b ... a", "a 1 b 2 a"));
    assert!(!is("a", "b") && !is("a", "a\nb") && !is("a\nb", "a") && !is("a ... c", "a b d") && !is("", "a"));
    assert!(!is("a\n...\nd", "a\nb\nc") && !is("[exit code 3]", ""));
}

/// The anchor that GitHub gives a heading.
fn anchor(heading: &str) -> String {
    let kept = heading
        .to_lowercase()
        .chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .collect::<String>();
    kept.replace(' ', "-")
}

fn anchors(page: &Path) -> Vec<String> {
    let mut counts = BTreeMap::<String, usize>::new();
    let headings = parts(&text_of(page)).1.into_iter().filter_map(|(_, line)| {
        let heading = line.trim_start_matches('#');
        (heading.len() < line.len() && heading.starts_with(' ')).then(|| anchor(heading.trim()))
    });
    headings
        .map(|anchor| {
            let count = counts.entry(anchor.clone()).or_default();
            *count += 1;
            if *count == 1 {
                anchor
            } else {
                format!("{anchor}-{}", *count - 1)
            }
        })
        .collect()
}

/// Links of a page that stay in the repository: (line from 1, target).
fn links(page: &Path) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, line) in parts(&text_of(page)).1 {
        // What stands between backticks is no link.
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("`");
        for piece in prose.split("](").skip(1) {
            let target = piece.split(')').next().unwrap();
            if !target.contains("://") && !target.starts_with("mailto:") {
                found.push((at + 1, target.to_owned()));
            }
        }
    }
    found
}

/// A path without `..`, so that two ways to a file are the same.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

/// Where a link of a page leads: the file, and the anchor in it.
fn led(page: &Path, target: &str) -> (PathBuf, String) {
    let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = if file.is_empty() {
        page.to_owned()
    } else {
        plain(&page.parent().unwrap().join(file))
    };
    (file, anchor.to_owned())
}

#[test]
fn every_link_between_files_leads_somewhere() {
    let mut lost = String::new();
    for page in files_below(root(), ".md") {
        for (line, target) in links(&page) {
            let (file, anchor) = led(&page, &target);
            let there = file.exists() && (anchor.is_empty() || anchors(&file).contains(&anchor));
            if !there {
                writeln!(
                    lost,
                    "{}:{line}: {target}",
                    page.strip_prefix(root()).unwrap().display()
                )
                .unwrap();
            }
        }
    }
    assert!(lost.is_empty(), "links that lead nowhere:\n{lost}");
}

#[test]
fn every_page_is_in_the_map_of_the_documents() {
    let map = root().join("docs/README.md");
    let mapped: Vec<PathBuf> = links(&map).iter().map(|(_, target)| led(&map, target).0).collect();
    let missing: Vec<PathBuf> = files_below(&root().join("docs"), ".md")
        .into_iter()
        .filter(|page| *page != map && !mapped.contains(page))
        .collect();
    assert!(missing.is_empty(), "docs/README.md does not name {missing:?}");
}

#[test]
fn the_readme_is_short() {
    let readme = text_of(&root().join("README.md"));
    let (lines, words) = (readme.lines().count(), readme.split_whitespace().count());
    let columns = readme.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(lines <= README_LINES_MAX, "README has {lines} lines");
    assert!(words <= README_WORDS_MAX, "README has {words} words");
    assert!(
        columns <= README_COLUMNS_MAX,
        "README has a line of {columns} characters"
    );
}

/// The program's text as it is printed: lines that a backslash continues are one, quotes are bare.
fn source_text() -> String {
    let mut text = String::new();
    for file in files_below(&root().join("src"), ".rs") {
        let source = text_of(&file);
        let mut continued = source.split("\\\n");
        text.push_str(continued.next().unwrap());
        for rest in continued {
            text.push_str(rest.trim_start());
        }
    }
    text.replace("\\\"", "\"")
}

#[test]
fn every_message_that_troubleshooting_explains_is_one_of_the_program() {
    let page = root().join("docs/operating/troubleshooting.md");
    let source = source_text();
    let (mut messages, mut strange) = (0, String::new());
    for (at, line) in parts(&text_of(&page)).1 {
        let Some(cell) = line.strip_prefix("| ``").and_then(|rest| rest.split_once("`` |")) else {
            continue;
        };
        messages += 1;
        for piece in cell
            .0
            .split("...")
            .map(str::trim)
            .filter(|piece| piece.len() >= PIECE_BYTES_MIN)
        {
            if !source.contains(piece) {
                writeln!(strange, "{}: {piece}", at + 1).unwrap();
            }
        }
    }
    assert!(messages > 0, "the table of messages is where it was");
    assert!(
        strange.is_empty(),
        "messages that the program does not have:\n{strange}"
    );
}
