//! What to do about an error that the machine reports: full, read-only, locked, damaged. An error says it after what happened.

use std::fmt::Display;

/// What the system or the database says (`*` is anything), and the cure. The first that fits is told: a full disk also breaks the ledger's log.
const CURES: [(&str, &str); 35] = [
    (
        "(os error 28)",
        "the disk is full: make room there and run the same command again; nothing half-written counts",
    ),
    (
        "database or disk is full",
        "the disk of the ledger is full: make room there and run the same command again; nothing half-written counts",
    ),
    (
        "(os error 30)",
        "it is on a read-only file system: mount it writable and run the same command again",
    ),
    (
        "attempt to write a readonly database",
        "the ledger is read-only: make its folder writable for this user and run the same command again",
    ),
    (
        "(os error 13)",
        "this user may not: give it the right to read and write there, or run as the user who owns the books",
    ),
    (
        "database is locked",
        "another program has kept the ledger locked for longer than `ledger_wait_s`: see who has ledger.sqlite open (`lsof` \
         or `fuser` tells; another tallybook, a database browser, a backup), let it end, and run the same command again",
    ),
    (
        "canceling statement due to lock timeout",
        "another program has kept the ledger locked for longer than `ledger_wait_s`: see which session holds it (`pg_stat_activity`, \
         `pg_locks`), let it end, and run the same command again",
    ),
    (
        "Lock wait timeout exceeded",
        "another program has kept the ledger locked for longer than `ledger_wait_s`: see which session holds it (`SHOW \
         PROCESSLIST`), let it end, and run the same command again",
    ),
    (
        "idle-in-transaction timeout",
        "this run stood still while it wrote, and the server undid what it had not committed: run the same command again",
    ),
    (
        "because of inactivity",
        "this run stood still while it wrote, and the server undid what it had not committed: run the same command again",
    ),
    (
        "server does not support TLS",
        "the server has no TLS: set it up there, or leave the option `sslmode` (`ssl-mode`) of --ledger out",
    ),
    (
        "UnknownIssuer",
        "this system does not know who signed the server's certificate: name the certificate of its authority in --ledger, \
         `?sslmode=verify-full&sslrootcert=FILE` (MySQL: `?ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE`), or ask for `require` \
         (`REQUIRED`), which encrypts and does not ask who it is",
    ),
    (
        "CaUsedAsEndEntity",
        "the server's certificate is one that it made for itself: let an authority sign one, or ask for `require` (`REQUIRED`) in \
         --ledger, which encrypts and does not ask who it is",
    ),
    (
        "certificate not valid for name",
        "the server's certificate is for another host: write the host in --ledger as the certificate has it",
    ),
    (
        "invalid peer certificate",
        "the server's certificate cannot be trusted: see its dates and who signed it, or ask for `require` (`REQUIRED`) in --ledger, \
         which encrypts and does not ask who it is",
    ),
    (
        "no pg_hba.conf entry",
        "the server takes no connection of this user from this machine, or only with TLS (`?sslmode=require`): see its pg_hba.conf",
    ),
    (
        "no schema has been selected",
        "make the schema with CREATE SCHEMA, or see `search_path` in --ledger",
    ),
    (
        "Connection refused",
        "no database server answers there: see that it runs and that host and port in --ledger are right, and run the same command \
         again",
    ),
    (
        "failed to lookup address",
        "the host in --ledger is not known: see how it is spelled",
    ),
    (
        "password authentication failed",
        "see the user in --ledger and its password, which may stand in TALLYBOOK_LEDGER_PASSWORD or PGPASSWORD",
    ),
    (
        "Access denied for user",
        "see the user in --ledger and what it may do; its password may stand in TALLYBOOK_LEDGER_PASSWORD or MYSQL_PWD. Over a \
         socket, MySQL refuses a right password with `ssl-mode=DISABLED`: leave that option out",
    ),
    (
        "Unknown database",
        "make it with CREATE DATABASE, or see the name in --ledger",
    ),
    (
        "database \"*\" does not exist",
        "make it with CREATE DATABASE, or see the name in --ledger",
    ),
    (
        "permission denied for",
        "the user in --ledger may not: it must own the ledger's tables, or the schema to make them in",
    ),
    (
        "max_allowed_packet",
        "a statement is larger than the server takes: raise `max_allowed_packet` to 64M or more, and run the same command again",
    ),
    (
        "shutting down",
        "the database server is being stopped: when it runs again, run the same command again",
    ),
    (
        "terminating connection due to administrator command",
        "the database server was stopped: when it runs again, run the same command again",
    ),
    (
        "pool timed out",
        "the database server did not answer: see that it runs and can be reached from here, and run the same command again",
    ),
    (
        "error communicating with database",
        "the connection to the database server was lost or could not be made, and what was not committed was undone: see that the \
         server runs and can be reached from here, and run the same command again",
    ),
    (
        "unexpected response from SSLRequest",
        "the database server was stopped: when it runs again, run the same command again",
    ),
    (
        "file is not a database",
        "the ledger's file is damaged or is something else: restore it from a backup, with its -wal file, and run `verify`",
    ),
    (
        "database disk image is malformed",
        "the ledger's file is damaged: restore it from a backup, with its -wal file, and run `verify`",
    ),
    (
        "unable to open database file",
        "the ledger cannot be opened: see that its folder is there and that this user may write to it",
    ),
    (
        "disk I/O error",
        "the disk of the ledger does not work or is full: see the system's log, and run the same command again",
    ),
    (
        "(os error 5)",
        "the disk does not work: see the system's log, and run the same command again",
    ),
];

/// `what: why`, and what to do where that is known.
pub fn cured(what: impl Display, why: impl Display) -> String {
    let text = format!("{what}: {}", without_source_line(why.to_string()));
    match CURES.iter().find(|(sign, _)| says(&text, sign)) {
        Some((_, cure)) => format!("{text}; {cure}"),
        None => text,
    }
}

/// PostgreSQL's driver ends with the line of the server's source, which nobody asked for.
fn without_source_line(mut why: String) -> String {
    if let Some((said, line)) = why.rsplit_once(" at line ")
        && said.starts_with("error returned from database: ")
        && line.bytes().all(|digit| digit.is_ascii_digit())
    {
        why.truncate(said.len());
    }
    why
}

/// Whether the parts of a sign stand in the text, one after the other.
fn says(text: &str, sign: &str) -> bool {
    let mut rest = Some(text);
    sign.split('*').all(|part| {
        rest = rest.and_then(|rest| rest.split_once(part)).map(|(_, after)| after);
        rest.is_some()
    })
}

#[cfg(test)]
mod tests {
    use crate::support::error::hints::cured;

    #[test]
    fn an_error_that_the_machine_reports_says_what_to_do() {
        let full = std::io::Error::from_raw_os_error(28);
        assert!(cured("raw/a.parquet", full).ends_with("nothing half-written counts"));
        assert_eq!(cured("json", "no value"), "json: no value");
        let unknown = "database \"books\" does not exist at line 948";
        assert!(cured("ledger", unknown).contains("make it with CREATE DATABASE"));
        let driver = format!("error returned from database: {unknown}");
        assert!(cured("ledger", driver).contains("\"books\" does not exist; make it"));
        let other = "role \"clerk\" does not exist";
        assert_eq!(cured("ledger", other), "ledger: role \"clerk\" does not exist");
    }
}
