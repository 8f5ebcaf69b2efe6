//! What to do about an error that the machine reports: full, read-only, locked, damaged. An error says it after what happened.

use std::fmt::Display;

/// What the system or the database says (`*` is anything), and the cure. The first that fits is told: a full disk also breaks the ledger's log.
const CURES: [(&str, &str); 35] = [
    (
        "(os error 28)",
        "the disk is full: free some space and run the same command again; nothing was left half written",
    ),
    (
        "database or disk is full",
        "the disk of the ledger is full: free some space and run the same command again; nothing was left half written",
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
        "permission denied: give this user read and write access there, or run as the user who owns the data folder",
    ),
    (
        "database is locked",
        "another program has kept the ledger locked for longer than `ledger_wait_s`: find out which program has ledger.sqlite open \
         with `lsof` or `fuser` (another tallybook, a database browser, a backup), let it finish, and run the same command again",
    ),
    (
        "canceling statement due to lock timeout",
        "another program has kept the ledger locked for longer than `ledger_wait_s`: find the session that holds the lock \
         (`pg_stat_activity`, `pg_locks`), let it finish, and run the same command again",
    ),
    (
        "Lock wait timeout exceeded",
        "another program has kept the ledger locked for longer than `ledger_wait_s`: find the session that holds the lock (`SHOW \
         PROCESSLIST`), let it finish, and run the same command again",
    ),
    (
        "idle-in-transaction timeout",
        "this run paused too long while writing, and the server rolled back what was not committed: run the same command again",
    ),
    (
        "because of inactivity",
        "this run paused too long while writing, and the server rolled back what was not committed: run the same command again",
    ),
    (
        "server does not support TLS",
        "the server has no TLS: set it up there, or remove the option `sslmode` (`ssl-mode`) from --ledger",
    ),
    (
        "UnknownIssuer",
        "the server's certificate is signed by an unknown authority: name the authority's certificate in --ledger, \
         `?sslmode=verify-full&sslrootcert=FILE` (MySQL: `?ssl-mode=VERIFY_IDENTITY&ssl-ca=FILE`), or use `require` (`REQUIRED`), which encrypts but does not check the server's identity",
    ),
    (
        "CaUsedAsEndEntity",
        "the server's certificate is self-signed: have one signed by an authority, or use `require` (`REQUIRED`) in --ledger, \
         which encrypts but does not check the server's identity",
    ),
    (
        "certificate not valid for name",
        "the server's certificate is for another host name: use the name in the certificate as the host in --ledger",
    ),
    (
        "invalid peer certificate",
        "the server's certificate is not trusted: check its dates and issuer, or use `require` (`REQUIRED`) in --ledger, which \
         encrypts but does not check the server's identity",
    ),
    (
        "no pg_hba.conf entry",
        "the server does not accept connections from this user and machine, or only with TLS (`?sslmode=require`): check its \
         pg_hba.conf",
    ),
    (
        "no schema has been selected",
        "make the schema with CREATE SCHEMA, or see `search_path` in --ledger",
    ),
    (
        "Connection refused",
        "no database server responds there: check that it is running and that host and port in --ledger are right, then run the \
         same command again",
    ),
    (
        "failed to lookup address",
        "the host in --ledger is unknown: check its spelling",
    ),
    (
        "password authentication failed",
        "check the user in --ledger and its password, which can be set with TALLYBOOK_LEDGER_PASSWORD or PGPASSWORD",
    ),
    (
        "Access denied for user",
        "check the user in --ledger and its privileges; its password can be set with TALLYBOOK_LEDGER_PASSWORD or MYSQL_PWD. Over \
         a socket, MySQL refuses a correct password with `ssl-mode=DISABLED`: remove that option",
    ),
    (
        "Unknown database",
        "create it with CREATE DATABASE, or correct the name in --ledger",
    ),
    (
        "database \"*\" does not exist",
        "create it with CREATE DATABASE, or correct the name in --ledger",
    ),
    (
        "permission denied for",
        "the user in --ledger lacks permission: it must own the ledger's tables, or the schema in which to create them",
    ),
    (
        "max_allowed_packet",
        "a statement is larger than the server allows: raise `max_allowed_packet` to 64M or more, and run the same command again",
    ),
    (
        "shutting down",
        "the database server is shutting down: when it is running again, run the same command again",
    ),
    (
        "terminating connection due to administrator command",
        "the database server was stopped: when it is running again, run the same command again",
    ),
    (
        "pool timed out",
        "the database server did not respond: check that it is running and reachable from here, then run the same command again",
    ),
    (
        "error communicating with database",
        "the connection to the database server failed or was lost, and uncommitted work was rolled back: check that the server is \
         running and reachable from here, then run the same command again",
    ),
    (
        "unexpected response from SSLRequest",
        "the database server was stopped: when it is running again, run the same command again",
    ),
    (
        "file is not a database",
        "the ledger file is damaged or is not a ledger: restore it from a backup, with its -wal file, and run `tallybook verify`",
    ),
    (
        "database disk image is malformed",
        "the ledger file is damaged: restore it from a backup, with its -wal file, and run `tallybook verify`",
    ),
    (
        "unable to open database file",
        "the ledger cannot be opened: check that its folder exists and that this user may write to it",
    ),
    (
        "disk I/O error",
        "the disk of the ledger is failing or full: check the system log, then run the same command again",
    ),
    (
        "(os error 5)",
        "the disk is failing: check the system log, then run the same command again",
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
        assert!(cured("raw/a.parquet", full).ends_with("nothing was left half written"));
        assert_eq!(cured("json", "no value"), "json: no value");
        let unknown = "database \"books\" does not exist at line 948";
        assert!(cured("ledger", unknown).contains("create it with CREATE DATABASE"));
        let driver = format!("error returned from database: {unknown}");
        assert!(cured("ledger", driver).contains("\"books\" does not exist; create it"));
        let other = "role \"clerk\" does not exist";
        assert_eq!(cured("ledger", other), "ledger: role \"clerk\" does not exist");
    }
}
