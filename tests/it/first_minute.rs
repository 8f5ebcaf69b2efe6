//! What a newcomer and a monitor type: nothing at all, `demo`, `status --short`, completions, manual pages.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use crate::install::is_there;
use crate::ledgers::{is_embedded, url, without_tables};
use crate::world::{Place, line, real_cards};

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_tallybook"))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Standard output of a command that did what it was asked.
fn done(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn the_name_alone_is_answered_with_what_to_do_first() {
    if !is_embedded() {
        return;
    }
    let output = program().output().unwrap();
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
    let said = text(&output.stderr);
    for word in ["tallybook demo", "tallybook ingest", "docs/start.md", "tallybook help"] {
        assert!(said.contains(word), "{word} is not in: {said}");
    }
    assert!(
        said.lines().count() < 16 && said.lines().all(|line| line.len() <= 80),
        "{said}"
    );
}

#[test]
fn a_demo_prints_each_step_and_what_to_look_at_and_takes_a_ledger_that_has_nothing_in_it() {
    let place = Place::new();
    let folder = place.path().join("demo");
    let demo = |ledger: &str| {
        let mut demo = program();
        demo.arg("--data-dir").arg(&folder).args(["--ledger", ledger]);
        demo.args(["demo", "--records", "300"]).output().unwrap()
    };
    let ledger = without_tables(place.path());
    let output = demo(&ledger);
    let said = text(&output.stdout);
    assert!(output.status.success(), "{said}{}", text(&output.stderr));
    let steps = [
        "making a month of usage",
        "made ",
        "accounts; now ",
        "metered up to batch",
        "closed ",
        "they balance",
        "three things to look at (with the same --ledger)",
        " statement ",
        " explain ",
        "statement_lines.csv",
    ];
    let mut rest = &said[..];
    for step in steps {
        let at = rest
            .find(step)
            .unwrap_or_else(|| panic!("{step:?} does not come next in: {said}"));
        rest = &rest[at + step.len()..];
    }
    assert!(!folder.join("ledger.sqlite").exists());
    for line in said
        .lines()
        .filter(|line| line.contains(" statement ") || line.contains(" explain "))
    {
        let mut words = line.split_whitespace().skip(1);
        let shown = done(program().args(["--ledger", &ledger]).args(&mut words));
        assert!(shown.contains("account"), "{line}: {shown}");
    }

    let again = demo(&ledger);
    assert_eq!(again.status.code(), Some(2));
    assert!(
        text(&again.stderr).contains("already has tallybook tables"),
        "{}",
        text(&again.stderr)
    );
    assert!(
        done(
            program()
                .args(["--ledger", &ledger, "--data-dir"])
                .arg(&folder)
                .arg("verify")
        )
        .contains("all agree")
    );
}

/// Runs `status --short` of a place as of a time.
fn short(place: &Place, as_of: &str, more: &[&str]) -> Output {
    let mut command = program();
    command
        .arg("--data-dir")
        .arg(place.data())
        .arg("--rate-cards")
        .arg(real_cards());
    if let Some(ledger) = url(place.path()) {
        command.env("TALLYBOOK_LEDGER", ledger);
    }
    command
        .args(["--as-of", as_of, "status", "--short"])
        .args(more)
        .output()
        .unwrap()
}

/// Its one line and its exit code.
fn told(output: &Output) -> (String, Option<i32>) {
    let said = text(&output.stdout);
    assert!(said.matches('\n').count() == 1 && said.ends_with('\n'), "{said:?}");
    (said.trim_end().to_owned(), output.status.code())
}

#[test]
fn a_monitor_is_told_in_one_line_whether_something_needs_a_person() {
    let place = Place::new();
    place.drop("usage.ndjson", line("a", 7, "2024-11-15T10:00:00+08:00", 61_001));
    place.night("2024-12-04T00:00:00Z");
    let ok = "ok: last nightly run as of 2024-12-04T00:00:00+00:00".to_owned();
    assert_eq!(told(&short(&place, "2024-12-05T00:00:00Z", &[])), (ok.clone(), Some(0)));
    assert_eq!(
        told(&short(&place, "2024-12-06T01:50:00Z", &["--max-age", "50"])),
        (ok, Some(0))
    );
    let (late, code) = told(&short(&place, "2024-12-06T02:00:01Z", &["--max-age", "50"]));
    assert!(
        code == Some(3) && late.starts_with("ACTION REQUIRED: there has been no nightly run for more than 50 hours;"),
        "{late}"
    );

    place.drop("broken.parquet", "no Parquet");
    place.drop("local.ndjson", "{\"id\":\"d\",\"uin\":\"7\"}\n");
    place.night("2024-12-05T00:00:00Z");
    let (two, code) = told(&short(&place, "2024-12-05T01:00:00Z", &[]));
    assert!(
        code == Some(3) && two.starts_with("ACTION REQUIRED: ") && two.contains("(and 1 more: see `tallybook status`)"),
        "{two}"
    );
    let json = short(&place, "2024-12-05T01:00:00Z", &["--json"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["needs_person"].as_array().map(Vec::len), Some(2), "{json}");
    assert_eq!(
        (&json["last_night"], &json["last_exit_code"]),
        (&"2024-12-05T00:00:00+00:00".into(), &3.into())
    );
}

#[test]
fn a_monitor_of_books_that_are_not_there_or_had_no_night_is_told_so() {
    let place = Place::new();
    if is_embedded() {
        let output = short(&place, "2024-12-05T00:00:00Z", &[]);
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), String::new()));
    }
    let file = place.path().join("a.ndjson");
    std::fs::write(&file, line("a", 7, "2024-11-15T10:00:00+08:00", 61_001)).unwrap();
    place.ingest("2024-12-04T00:00:00Z", &file).unwrap();
    let none = short(&place, "2024-12-05T00:00:00Z", &[]);
    assert_eq!(told(&none), ("ok: no nightly run yet".to_owned(), Some(0)));
    let (none, code) = told(&short(&place, "2024-12-05T00:00:00Z", &["--max-age", "50"]));
    assert!(
        code == Some(3) && none.contains("there has been no nightly run yet"),
        "{none}"
    );
}

#[test]
fn bash_reads_the_script_that_completes_commands_and_options() {
    if !is_embedded() {
        return;
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = done(program().args(["completions", shell]));
        assert!(script.contains("rate-card") && script.contains("data-dir"), "{shell}");
    }
    let script = done(program().args(["completions", "bash"]));
    let asked = format!(
        "{script}\nCOMP_WORDS=(tallybook st) COMP_CWORD=1\n_tallybook tallybook st tallybook\necho \"${{COMPREPLY[*]}}\"\n"
    );
    let mut bash = Command::new("bash");
    let mut bash = bash
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    bash.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let answer = bash.wait_with_output().unwrap();
    assert_eq!(
        (text(&answer.stdout), text(&answer.stderr)),
        ("statement status\n".to_owned(), String::new())
    );
}

#[test]
fn each_command_has_a_manual_page_that_is_formatted_without_a_warning() {
    if !is_embedded() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    done(program().arg("man").arg(dir.path()));
    assert!(done(program().arg("man")).contains(".TH tallybook 1"));
    let pages: Vec<String> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    for page in ["tallybook.1", "tallybook-nightly.1", "tallybook-rate-card-import.1"] {
        assert!(pages.iter().any(|name| name == page), "{page} is not among {pages:?}");
    }
    assert!(!pages.iter().any(|name| name.contains("read-alone")), "{pages:?}");
    if !is_there("groff") {
        return;
    }
    for page in pages {
        let mut groff = Command::new("groff");
        let output = groff
            .args(["-man", "-ww", "-z", "-Tutf8"])
            .arg(dir.path().join(&page))
            .output()
            .unwrap();
        assert!(
            output.status.success() && output.stderr.is_empty(),
            "{page}: {}",
            text(&output.stderr)
        );
    }
    let nowhere = program().args(["man", "/nonesuch"]).output().unwrap();
    assert!(nowhere.status.code() == Some(1) && text(&nowhere.stderr).contains("/nonesuch"));
}
