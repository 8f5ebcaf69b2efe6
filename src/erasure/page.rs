//! The page to send: what was done, for whoever asked for it. It names the account, so it is written once where the person says, and never
//! kept.

use std::collections::BTreeMap;

use super::certificate::Certificate;
use crate::support::page::{escaped, html};
use crate::support::table::grouped;

/// The page, as HTML.
pub fn text(uin: u64, certificate: &Certificate, digest: &str) -> String {
    let rows = |rows: &BTreeMap<String, i64>| -> String {
        rows.iter()
            .map(|(what, rows)| format!("<tr><td>{}</td><td>{}</td></tr>\n", escaped(what), grouped(*rows)))
            .collect()
    };
    let body = format!(
        "<p>Request: {request}<br>Erased on: {erased_at}</p>\n\
         <h2>What was deleted</h2>\n<table>\n{deleted}</table>\n\
         <p>With it went the numbers of the account and of its applications wherever they stood.</p>\n\
         <h2>What is kept, and why</h2>\n\
         <p>Statements, their totals and daily usage are kept, because the law on bookkeeping asks for them ({statements} statements). They \
         stand under a random number, and what said which account it stands for was deleted.</p>\n\
         <p>Of the account's number a slow, salted hash (Argon2id) is kept, so that records that still come are refused and not kept.</p>\n\
         <h2>Certificate</h2>\n\
         <p>Number {erasure}, SHA-256 <code>{digest}</code></p>\n",
        request = escaped(&certificate.request),
        erased_at = certificate.erased_at,
        deleted = rows(&certificate.deleted),
        statements = certificate.statements.len(),
        erasure = certificate.erasure,
    );
    html(&format!("Erasure of account {uin}"), &body)
}
