//! What `install/` has for who runs the program: each file is tried as far as a test can.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::ledgers::is_embedded;
use crate::left_out::left_out;

fn installed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("install").join(name)
}

/// Whether a program is there. With `TALLYBOOK_TEST_ALL` it must be.
pub fn is_there(program: &str) -> bool {
    let found = Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .output();
    if found.unwrap().status.success() {
        return true;
    }
    left_out(&format!("what {program} says, as it is not there"));
    false
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// A folder of programs that stand in for real ones.
struct Programs(tempfile::TempDir);

impl Programs {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A shell script under this name.
    fn add(&self, name: &str, script: &str) {
        let path = self.0.path().join(name);
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
    }

    /// A command line as cron runs it, with these programs first.
    fn run(&self, line: &str) -> Output {
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", line]).env_clear().current_dir(self.0.path());
        shell.env("PATH", format!("{}:/usr/bin:/bin", self.0.path().display()));
        shell.output().unwrap()
    }
}

#[test]
fn systemd_finds_nothing_wrong_in_the_units() {
    if !is_embedded() || !is_there("systemd-analyze") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let names = [
        "tallybook-nightly.service",
        "tallybook-nightly.timer",
        "tallybook-drill.service",
        "tallybook-drill.timer",
    ];
    for name in names {
        let unit = std::fs::read_to_string(installed("systemd").join(name)).unwrap();
        let here = unit.replace("/usr/local/bin/tallybook", env!("CARGO_BIN_EXE_tallybook"));
        std::fs::write(dir.path().join(name), here).unwrap();
    }
    let mut verify = Command::new("systemd-analyze");
    verify.arg("verify").args(names.map(|name| dir.path().join(name)));
    let output = verify.output().unwrap();
    assert!(output.status.success() && said(&output).is_empty(), "{}", said(&output));
}

/// The commands of the crontab, each after its five times and the user.
fn lines_of_crontab() -> Vec<String> {
    let crontab = std::fs::read_to_string(installed("cron/tallybook.crontab")).unwrap();
    let is_setting = |line: &&str| line.split_once('=').is_some_and(|(name, _)| !name.contains(' '));
    let lines = crontab
        .lines()
        .filter(|line| !line.starts_with('#') && !is_setting(line));
    let command = |line: &str| line.split_whitespace().skip(6).collect::<Vec<_>>().join(" ");
    lines.map(command).collect()
}

#[test]
fn cron_mails_every_exit_code_but_0_with_what_was_said() {
    if !is_embedded() {
        return;
    }
    let programs = Programs::new();
    let script = std::fs::read_to_string(installed("cron/tallybook-cron")).unwrap();
    programs.add("tallybook-cron", &script);
    assert_eq!(
        lines_of_crontab(),
        [
            "tallybook-cron nightly",
            "tallybook-cron verify",
            "tallybook-cron backup drill"
        ]
    );
    for line in lines_of_crontab() {
        programs.add("tallybook", "echo all is well; exit 0");
        let quiet = programs.run(&line);
        assert_eq!((quiet.status.code(), said(&quiet)), (Some(0), String::new()), "{line}");
        for (code, means) in [
            (1, "run it again"),
            (3, "action is required"),
            (4, "do not balance"),
            (5, "another run"),
            (101, "see what"),
        ] {
            programs.add("tallybook", &format!("echo out \"$@\"; echo err >&2; exit {code}"));
            let mail = programs.run(&line);
            assert_eq!(mail.status.code(), Some(code), "{line}");
            let command = line.trim_start_matches("tallybook-cron ");
            for word in [means, &format!("exit code {code}"), &format!("out {command}"), "err"] {
                assert!(said(&mail).contains(word), "{word} is not in: {}", said(&mail));
            }
        }
    }
    let nothing_there = Programs::new();
    nothing_there.add("tallybook-cron", &script);
    let mail = nothing_there.run("tallybook-cron nightly");
    assert!(
        mail.status.code() == Some(127) && said(&mail).contains("not found"),
        "{}",
        said(&mail)
    );
}

#[test]
fn a_container_that_stays_runs_a_night_at_its_hour_and_goes_on_whatever_comes() {
    if !is_embedded() {
        return;
    }
    let programs = Programs::new();
    programs.add(
        "every-night",
        &std::fs::read_to_string(installed("container/every-night")).unwrap(),
    );
    programs.add("tallybook", "echo ran \"$@\"; [ \"$1\" = migrate ] || exit 3");
    // 02:29:30, and an end at the fourth sleep: before the night, after it, and the same again.
    programs.add(
        "date",
        "case \"$*\" in *-d*) exec /usr/bin/date \"$@\" ;; *) echo 8970 ;; esac",
    );
    programs.add(
        "sleep",
        "echo \"slept $1\"; echo . >>sleeps; [ \"$(wc -l <sleeps)\" -lt 4 ] || kill -TERM \"$PPID\"",
    );
    let output = programs.run("every-night 02:30");
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));
    let night = "slept 30\nran nightly\nevery-night: exit code 3\nslept 1\n";
    assert_eq!(said(&output), format!("ran migrate\n{night}{night}"));
    assert_eq!(programs.run("every-night noon-ish").status.code(), Some(2));
}

#[test]
fn the_container_has_what_the_project_has() {
    if !is_embedded() {
        return;
    }
    let containerfile = std::fs::read_to_string(installed("container/Containerfile")).unwrap();
    let rust = env!("CARGO_PKG_RUST_VERSION");
    assert!(
        containerfile.contains(&format!("rust:{rust}-")),
        "the compiler that Cargo.toml names"
    );
    let copied = containerfile
        .lines()
        .find(|line| line.starts_with("COPY --from=build"))
        .unwrap();
    let of_project = copied.split_whitespace().filter_map(|word| word.strip_prefix("/src/"));
    for path in of_project.filter(|path| !path.starts_with("target/")) {
        assert!(Path::new(env!("CARGO_MANIFEST_DIR")).join(path).exists(), "{path}");
    }
    let user = containerfile.lines().rfind(|line| line.starts_with("USER ")).unwrap();
    assert_eq!(
        user, "USER 10001:10001",
        "not root, by number, so that a cluster can see it"
    );
}
