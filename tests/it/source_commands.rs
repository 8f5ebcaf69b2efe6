//! Definitions of sources, and the commands about them, as people type them.

use std::path::Path;
use std::process::{Command, Output};

use tallybook::catalog::source::definition::Definition;
use tallybook::catalog::source::store;
use tallybook::sources::pull::{State, pull};

use crate::world::{Place, at, line, real_cards, run};

/// The program in the place's folder, with the definitions of its folder `sources`.
fn program(place: &Place, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tallybook"));
    command
        .current_dir(place.path())
        .env("TALLYBOOK_DROP_REST_S", "0")
        .args(["--data-dir", "books", "--who", "test"]);
    command.arg("--rate-cards").arg(real_cards());
    if let Some(ledger) = crate::ledgers::url(place.path()) {
        command.args(["--ledger", &ledger]);
    }
    command.args(args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn define(place: &Place, name: &str, text: &str) {
    let folder = place.path().join("sources");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.toml")), text).unwrap();
}

const EVENTS: &str = "format = \"mps-events\"\nuin = 7\nappid = 1\n";

#[test]
fn a_definition_that_changed_becomes_the_next_version_and_none_is_lost() {
    let place = Place::new();
    define(&place, "mps", EVENTS);
    let first = said(&program(&place, &["source", "import"]));
    assert!(first.contains("source mps: new source, version 1"), "{first}");
    let again = said(&program(&place, &["source", "import"]));
    assert!(again.contains("source mps: unchanged, version 1"), "{again}");
    // The same table laid out otherwise is the same definition.
    define(
        &place,
        "mps",
        "# a comment\nappid = 1\nuin   = 7\nformat = \"mps-events\"\n",
    );
    let again = said(&program(&place, &["source", "import"]));
    assert!(again.contains("unchanged, version 1"), "{again}");
    define(&place, "mps", &format!("{EVENTS}region = \"ap-guangzhou\"\n"));
    let changed = said(&program(&place, &["source", "import"]));
    assert!(changed.contains("new version, version 2"), "{changed}");
    let shown = program(&place, &["--json", "source", "show", "mps"]);
    let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    assert_eq!(shown["definition"]["region"], "ap-guangzhou");
    assert_eq!(shown["versions"].as_array().unwrap().len(), 2);
}

#[test]
fn a_literal_secret_is_refused_at_import_and_is_in_no_file_and_no_message() {
    let place = Place::new();
    assert!(program(&place, &["migrate"]).status.success());
    for text in [
        "kind = \"postgres\"\nurl = \"postgres://reader:hunter2@127.0.0.1/usage\"\n",
        "format = \"mps-events\"\nuin = 7\nnotify_keys = [\"hunter2\"]\n",
        "kind = \"cmq\"\nsecret_key = \"hunter2\"\n",
    ] {
        define(&place, "bad", text);
        for (args, code) in [
            (&["source", "import"][..], 3),
            (&["source", "check"], 2),
            (&["pull"], 3),
            (&["nightly"], 3),
        ] {
            let output = program(&place, args);
            assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
            assert!(!said(&output).contains("hunter2"), "{}", said(&output));
        }
    }
    let mut files = Vec::new();
    below(&place.data(), &mut files);
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        assert!(memchr::memmem::find(&bytes, b"hunter2").is_none(), "{}", file.display());
    }
}

fn below(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            below(&path, found);
        } else {
            found.push(path);
        }
    }
}

#[test]
fn a_source_that_is_defined_twice_or_misspelt_is_told_with_the_cure() {
    let place = Place::new();
    define(&place, "mps", EVENTS);
    std::fs::write(place.path().join("tallybook.toml"), format!("[source.mps]\n{EVENTS}")).unwrap();
    let output = program(&place, &["source", "import"]);
    assert_eq!(output.status.code(), Some(3));
    let twice =
        "source mps: its definition is not taken (settings and sources/mps.toml): it is defined twice; remove one";
    assert!(said(&output).contains(twice), "{}", said(&output));
    std::fs::remove_file(place.path().join("tallybook.toml")).unwrap();
    assert!(program(&place, &["source", "import"]).status.success());
    let output = program(&place, &["source", "show", "mpz"]);
    assert!(said(&output).contains("did you mean mps?"), "{}", said(&output));
    let output = program(&place, &["pull", "mps"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("is not pulled"), "{}", said(&output));
}

#[test]
fn a_disabled_source_leaves_its_files_and_is_in_the_audit_trail() {
    let place = Place::new();
    define(&place, "mps", EVENTS);
    std::fs::create_dir_all(place.data().join("drop/mps")).unwrap();
    assert!(program(&place, &["source", "import"]).status.success());
    let disable = ["source", "disable", "mps", "--reason", "it moved"];
    assert!(said(&program(&place, &disable)).contains("source mps is disabled"));
    assert!(said(&program(&place, &disable)).contains("already disabled"));
    let event = include_str!("../data/events/samples.ndjson").lines().nth(3).unwrap();
    let file = place.data().join("drop/mps/events.ndjson");
    std::fs::write(&file, event).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    std::fs::File::options()
        .write(true)
        .open(&file)
        .unwrap()
        .set_modified(time)
        .unwrap();
    let night = program(&place, &["nightly"]);
    assert!(
        said(&night).contains("source mps is disabled since"),
        "{}",
        said(&night)
    );
    assert!(file.exists());
    let trail = said(&program(&place, &["audit"]));
    assert!(
        trail.contains("source disable") && trail.contains("it moved"),
        "{trail}"
    );
    let enable = ["source", "enable", "mps", "--reason", "it is back"];
    assert!(said(&program(&place, &enable)).contains("source mps is enabled"));
}

#[test]
fn a_trial_shows_what_would_become_of_each_record_and_writes_nothing() {
    let place = Place::new();
    define(&place, "mps", "format = \"mps-events\"\nuin = 7\n");
    assert!(program(&place, &["rate-card", "import"]).status.success());
    let samples = include_str!("../data/events/samples.ndjson");
    std::fs::write(place.path().join("events.ndjson"), samples).unwrap();
    let before = said(&program(&place, &["status"]));
    let tried = program(
        &place,
        &["source", "test", "mps", "--file", "events.ndjson", "--limit", "100"],
    );
    assert_eq!(tried.status.code(), Some(3), "{}", said(&tried));
    let text = said(&tried);
    assert!(text.contains("SKU Standard.H264.FHD in ap-guangzhou"), "{text}");
    assert!(
        text.contains("unmetered (no_meter)") || text.contains("unmetered ("),
        "{text}"
    );
    assert!(text.contains("refused unknown_template"), "{text}");
    let lines = |text: &str| {
        text.lines()
            .filter(|line| !line.starts_with("as of"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(lines(&said(&program(&place, &["status"]))), lines(&before));
}

#[test]
fn a_template_of_a_definition_is_never_altered() {
    let place = Place::new();
    let with = |kind: &str| format!("{EVENTS}[templates.5]\ntype = \"{kind}\"\n");
    define(&place, "mps", &with("TESHD-30"));
    assert!(program(&place, &["source", "import"]).status.success());
    define(&place, "mps", &with("Standard"));
    let output = program(&place, &["source", "import"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(
        said(&output).contains("A template is never altered"),
        "{}",
        said(&output)
    );
    // Taken out and put in again as another, it is the same template.
    define(&place, "mps", EVENTS);
    assert!(program(&place, &["source", "import"]).status.success());
    define(&place, "mps", &with("Standard"));
    assert_eq!(program(&place, &["source", "import"]).status.code(), Some(3));
}

/// A folder with one file, and the definition of a source that reads it.
fn good_source(place: &Place) {
    let folder = place.path().join("usage");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.ndjson"), line("a1", 7, "2026-11-01T00:00:00Z", 60_000)).unwrap();
    let text = format!(
        "kind = \"folder\"\npath = \"{}\"\nfrom = \"2020-01-01T00:00:00Z\"\n",
        folder.display()
    );
    define(place, "good", &text);
}

#[test]
fn a_definition_that_is_wrong_stops_its_source_alone_and_is_told_until_it_is_corrected() {
    let place = Place::new();
    good_source(&place);
    define(&place, "bad", "knd = \"folder\"\n");
    define(&place, "worse", "kind = \n");
    let told = "source bad: its definition is not taken (sources/bad.toml): `knd` is no key";
    let dropped = place.data().join("drop/bad/usage.ndjson");
    std::fs::create_dir_all(dropped.parent().unwrap()).unwrap();
    std::fs::write(&dropped, line("b1", 7, "2026-11-01T00:00:00Z", 60_000)).unwrap();

    let pulled = program(&place, &["pull"]);
    assert_eq!(pulled.status.code(), Some(3), "{}", said(&pulled));
    for part in [
        "source good (folder): 1 received, 1 stored",
        &format!("ACTION REQUIRED: {told}"),
        "ACTION REQUIRED: source worse: its definition is not taken (sources/worse.toml): line 1",
    ] {
        assert!(said(&pulled).contains(part), "{part}: {}", said(&pulled));
    }
    let pulled = program(&place, &["pull", "bad"]);
    assert_eq!(pulled.status.code(), Some(3), "{}", said(&pulled));
    assert_eq!(program(&place, &["pull", "good"]).status.code(), Some(0));

    let night = program(&place, &["nightly"]);
    assert_eq!(night.status.code(), Some(3), "{}", said(&night));
    assert!(
        said(&night).contains(&format!("ACTION REQUIRED: {told}")),
        "{}",
        said(&night)
    );
    assert!(
        dropped.exists() && said(&night).contains("usage.ndjson stays in the drop folder"),
        "{}",
        said(&night)
    );
    for args in [&["status"][..], &["source", "list"], &["status", "--short"]] {
        assert!(
            said(&program(&place, args)).contains("its definition is not taken"),
            "{args:?}"
        );
    }

    let file = place.file("other.ndjson", line("c1", 7, "2026-11-01T00:00:00Z", 60_000));
    let file = file.to_str().unwrap();
    let ingested = program(&place, &["ingest", file]);
    assert_eq!(ingested.status.code(), Some(0), "{}", said(&ingested));
    assert!(
        String::from_utf8_lossy(&ingested.stderr).contains(told),
        "{}",
        said(&ingested)
    );
    let ingested = program(&place, &["ingest", "--source", "bad", file]);
    assert_eq!(ingested.status.code(), Some(2), "{}", said(&ingested));
    assert!(said(&ingested).contains("Nothing was ingested"), "{}", said(&ingested));

    let checked = program(&place, &["source", "check"]);
    assert_eq!(checked.status.code(), Some(2));
    assert!(
        said(&checked).contains(told) && said(&checked).contains("source worse"),
        "{}",
        said(&checked)
    );

    define(&place, "bad", "");
    define(&place, "worse", "");
    assert_eq!(program(&place, &["pull"]).status.code(), Some(0));
    let night = program(&place, &["nightly"]);
    assert!(
        !dropped.exists() && !said(&night).contains("ACTION REQUIRED"),
        "{}",
        said(&night)
    );
}

#[test]
fn a_source_that_was_pulled_is_not_pulled_by_its_earlier_version_while_its_definition_is_wrong() {
    let place = Place::new();
    good_source(&place);
    assert_eq!(program(&place, &["pull"]).status.code(), Some(0));
    let good = std::fs::read_to_string(place.path().join("sources/good.toml")).unwrap();
    std::fs::write(
        place.path().join("usage/b.ndjson"),
        line("a2", 7, "2026-11-01T00:00:00Z", 60_000),
    )
    .unwrap();
    define(&place, "good", &format!("{good}prefixx = \"b\"\n"));
    let pulled = program(&place, &["pull"]);
    assert_eq!(pulled.status.code(), Some(3), "{}", said(&pulled));
    assert!(
        said(&pulled).contains("source good (folder): 0 received"),
        "{}",
        said(&pulled)
    );
    let shown = said(&program(&place, &["source", "show", "good"]));
    assert!(
        shown.contains("ACTION REQUIRED: its definition is not taken"),
        "{shown}"
    );
    define(&place, "good", &good);
    let pulled = program(&place, &["pull"]);
    assert!(said(&pulled).contains("1 received, 1 stored"), "{}", said(&pulled));
    let listed = said(&program(&place, &["source", "list"]));
    assert!(listed.contains("done") && !listed.contains("not taken"), "{listed}");
}

#[test]
fn local_times_of_a_source_are_refused_while_its_zone_is_not_known() {
    let place = Place::new();
    let ingest = |id: &str| {
        let record = line(id, 7, "2026-11-01 08:00:00", 60_000).replacen('{', "{\"source\":\"local\",", 1);
        let file = place.file(&format!("{id}.ndjson"), record);
        said(&program(&place, &["ingest", file.to_str().unwrap()]))
    };
    define(&place, "local", "zone = \"Asia/Shanghai\"\n");
    assert!(ingest("a1").contains("1 stored, 0 quarantined"));
    define(&place, "local", "zone = \"Asia/Shanghei\"\n");
    let refused = ingest("a2");
    assert!(refused.contains("0 stored, 1 quarantined"), "{refused}");
    define(&place, "local", "zone = \"Asia/Shanghai\"\n");
    let retried = said(&program(&place, &["quarantine", "retry"]));
    assert!(retried.contains('1'), "{retried}");
    assert!(ingest("a3").contains("1 stored, 0 quarantined"));
}

#[test]
fn a_version_that_another_program_imported_stops_its_source_until_it_is_configured_anew() {
    let mut place = Place::new();
    let settings = |text: &str| text.parse::<toml::Table>().unwrap();
    let folder = format!(
        "kind = \"folder\"\npath = \"{}\"\nfrom = \"2020-01-01T00:00:00Z\"\n",
        place.path().display()
    );
    place.settings().sources.insert("good".to_owned(), settings(&folder));
    let pull_at = |place: &Place| {
        run(async {
            let books = place.books(at("2026-11-20T00:00:00Z")).await;
            let pulled = pull(&books, &[]).await.unwrap();
            books.ledger.close().await;
            pulled
                .into_iter()
                .map(|one| (one.source, one.state, one.message))
                .collect::<Vec<_>>()
        })
    };
    run(async {
        let books = place.books(at("2026-11-20T00:00:00Z")).await;
        let mut definition = Definition::of_table("later", settings(&folder)).unwrap();
        definition.body = "{\"kind\":\"telepathy\"}".to_owned();
        let mut tx = books.ledger.begin().await.unwrap();
        store::add_version(&mut tx, &definition, 1, "settings", "2026-11-19T00:00:00Z")
            .await
            .unwrap();
        books.ledger.commit(tx, "sources").await.unwrap();
        books.ledger.close().await;
    });
    let [good, later] = <[_; 2]>::try_from(pull_at(&place)).unwrap();
    assert_eq!((&*good.0, good.1), ("good", State::Done));
    assert_eq!((&*later.0, later.1), ("later", State::NeedsPerson));
    let told = later.2.unwrap();
    assert!(
        told.contains("version 1 in the ledger cannot be read by this program"),
        "{told}"
    );
    place.settings().sources.insert("later".to_owned(), settings(&folder));
    assert!(pull_at(&place).iter().all(|one| one.1 == State::Done));
}

#[test]
fn a_trial_ends_as_a_pull_of_the_same_source_does() {
    let place = Place::new();
    assert!(program(&place, &["rate-card", "import"]).status.success());
    let folder = place.path().join("usage");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("a.parquet"), "no Parquet").unwrap();
    let of_folder = |folder: &Path| {
        format!(
            "kind = \"folder\"\npath = \"{}\"\nfrom = \"2020-01-01T00:00:00Z\"\n",
            folder.display()
        )
    };
    let events = format!(
        "format = \"mps-events\"\nuin = 7\nnotify_keys_file = \"/nowhere/keys\"\n{}",
        of_folder(&folder)
    );
    let table = "table = \"t\"\nfrom = 1\ncursor = \"c\"\nkey = \"k\"\noverlap = 0\n[columns]\nid = \"i\"\n";
    for (what, text, code) in [
        ("a definition that is wrong", "knd = \"folder\"\n".to_owned(), 3),
        ("a folder that is not there", of_folder(Path::new("/nowhere")), 3),
        ("an object that cannot be read", of_folder(&folder), 3),
        ("a key that is not there", events, 3),
        (
            "a server that is away",
            format!("kind = \"postgres\"\nurl = \"postgres://u@127.0.0.1:1/d\"\n{table}"),
            1,
        ),
        ("a source that is not pulled", String::new(), 2),
    ] {
        define(&place, "one", &text);
        for args in [["pull", "one"].as_slice(), &["source", "test", "one"]] {
            let ended = program(&place, args);
            assert_eq!(ended.status.code(), Some(code), "{what}, {args:?}: {}", said(&ended));
        }
    }
}

#[test]
fn a_trial_says_that_all_was_read_before_and_counts_in_words() {
    let place = Place::new();
    good_source(&place);
    assert!(program(&place, &["rate-card", "import"]).status.success());
    let tried = said(&program(&place, &["source", "test", "good"]));
    assert!(
        tried.contains("1 record (1 to store, 0 to refuse), 0 events without a record"),
        "{tried}"
    );
    assert_eq!(program(&place, &["pull"]).status.code(), Some(0));
    let again = program(&place, &["source", "test", "good"]);
    assert_eq!(again.status.code(), Some(0), "{}", said(&again));
    assert!(
        said(&again).contains("the 1 object that is there was read before"),
        "{}",
        said(&again)
    );
    let status = said(&program(&place, &["status"]));
    assert!(status.contains("good (folder): done, 1 record,"), "{status}");
}

#[test]
fn what_lies_in_a_folder_and_is_no_file_is_told() {
    let place = Place::new();
    good_source(&place);
    let folder = place.path().join("usage");
    std::os::unix::fs::symlink("nowhere", folder.join("b.ndjson")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(folder.join("c.ndjson")).unwrap();
    std::fs::create_dir(folder.join("d.ndjson")).unwrap();
    std::os::unix::fs::symlink(".", folder.join("e")).unwrap();
    let pulled = program(&place, &["pull"]);
    assert!(said(&pulled).contains("1 received, 1 stored"), "{}", said(&pulled));
    for told in [
        "1 object left, because it is a link that leads to nothing that can be read",
        "b.ndjson\"; mend or remove the link",
        "because it is a pipe, a socket or a device",
        "because it is an empty folder with the name of a file",
        "because it is a link to a folder",
    ] {
        assert!(said(&pulled).contains(told), "{told}: {}", said(&pulled));
    }
}

#[test]
fn a_template_of_a_type_that_no_event_has_is_refused_with_the_likely_one() {
    let place = Place::new();
    define(&place, "mps", EVENTS);
    assert!(program(&place, &["source", "import"]).status.success());
    let add = |kind: &str| {
        program(
            &place,
            &[
                "source",
                "template",
                "add",
                "mps",
                "5",
                "--type",
                kind,
                "--reason",
                "as the console shows it",
            ],
        )
    };
    let refused = add("TESHD-3O");
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert!(
        said(&refused).contains("did you mean \"TESHD-30\"?"),
        "{}",
        said(&refused)
    );
    assert!(said(&add("TESHD-30")).contains("template 5 added"));
    let other = add("Standard");
    assert_eq!(other.status.code(), Some(2));
    assert!(
        said(&other).contains("copy it at the service, and add the copy"),
        "{}",
        said(&other)
    );
}

#[test]
fn a_file_of_events_whose_key_cannot_be_read_is_not_taken_and_nothing_is_changed() {
    let place = Place::new();
    define(
        &place,
        "mps",
        &format!("{EVENTS}notify_keys_file = \"/nowhere/keys\"\n"),
    );
    let file = place.file("events.ndjson", include_str!("../data/events/samples.ndjson"));
    let ingested = program(&place, &["ingest", "--source", "mps", file.to_str().unwrap()]);
    assert_eq!(ingested.status.code(), Some(2), "{}", said(&ingested));
    assert!(
        said(&ingested).contains("the file /nowhere/keys, which should hold a secret, cannot be read"),
        "{}",
        said(&ingested)
    );
}

#[test]
fn definitions_are_checked_without_books() {
    let place = Place::new();
    define(&place, "mps", EVENTS);
    let checked = program(&place, &["source", "check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", said(&checked));
    assert!(said(&checked).contains("mps: ok, kind files"), "{}", said(&checked));
    assert!(!place.data().exists());
    let checked = program(&place, &["source", "check", "sources/mps.toml"]);
    assert!(said(&checked).contains("mps: ok, kind files"), "{}", said(&checked));
    assert!(!place.data().exists());
    define(&place, "done", EVENTS);
    let checked = program(&place, &["source", "check", "sources/done.toml"]);
    assert_eq!(checked.status.code(), Some(2), "{}", said(&checked));
}
