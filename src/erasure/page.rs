//! The page to send: what was done, for whoever asked for it. It names the account, so it is written once where the person says, and never
//! kept.

use std::fs::{OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use super::certificate::Certificate;
use crate::support::error::{AtPath as _, Error, Result};
use crate::support::table::grouped;

/// Readable for its owner alone.
const MODE: u32 = 0o600;

/// Makes the file before anything is erased, so that it is known that it can be written. An empty one is left by a run that was killed.
///
/// # Errors
/// [`Error::Usage`] for a file that has something in it, and what the system says of one that cannot be made.
pub fn reserve(path: &Path) -> Result<()> {
    match OpenOptions::new().write(true).create_new(true).mode(MODE).open(path) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let found = std::fs::metadata(path).at(path)?;
            if found.is_file() && found.len() == 0 {
                return std::fs::set_permissions(path, Permissions::from_mode(MODE)).at(path);
            }
            Err(Error::Usage(format!(
                "--page {} exists: name a new file",
                path.display()
            )))
        }
        Err(error) => Err(error).at(path),
    }
}

/// Writes the page into the file that was made for it.
pub fn write(path: &Path, uin: u64, certificate: &Certificate, digest: &str) -> Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .truncate(true)
        .mode(MODE)
        .open(path)
        .at(path)?;
    file.write_all(text(uin, certificate, digest).as_bytes()).at(path)?;
    file.sync_all().at(path)
}

fn text(uin: u64, certificate: &Certificate, digest: &str) -> String {
    let rows = |rows: &std::collections::BTreeMap<String, i64>| -> String {
        rows.iter()
            .map(|(what, rows)| format!("<tr><td>{}</td><td>{}</td></tr>\n", escaped(what), grouped(*rows)))
            .collect()
    };
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Erasure of account {uin}</title>\n\
         <style>body{{font-family:sans-serif;max-width:46em;margin:2em auto;line-height:1.4}}td,th{{padding:.2em 1em .2em 0;\
         text-align:left}}code{{word-break:break-all}}</style>\n</head>\n<body>\n\
         <h1>Erasure of account {uin}</h1>\n\
         <p>Request: {request}<br>Erased on: {erased_at}</p>\n\
         <h2>What was deleted</h2>\n<table>\n{deleted}</table>\n\
         <p>With it went the numbers of the account and of its applications wherever they stood.</p>\n\
         <h2>What is kept, and why</h2>\n\
         <p>Statements, their totals and daily usage are kept, because the law on bookkeeping asks for them ({statements} statements). They \
         stand under a random number, and what said which account it stands for was deleted.</p>\n\
         <p>Of the account's number a slow, salted hash (Argon2id) is kept, so that records that still come are refused and not kept.</p>\n\
         <h2>Certificate</h2>\n\
         <p>Number {erasure}, SHA-256 <code>{digest}</code></p>\n</body>\n</html>\n",
        request = escaped(&certificate.request),
        erased_at = certificate.erased_at,
        deleted = rows(&certificate.deleted),
        statements = certificate.statements.len(),
        erasure = certificate.erasure,
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
