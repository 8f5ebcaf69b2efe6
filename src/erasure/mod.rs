//! Erasing an account on request: what is held of it goes, and what the law keeps stands under a random number.
//!
//! ```text
//! plan        what keeps it from being done, each with its cure
//! begin       pseudonyms are chosen and written down, for who goes on after a kill
//! files       files are written anew without the account
//! rename      the ledger: files, rows, statements, texts, tombstone, certificate; one transaction
//! finish      old files go, exports come into place; then the ledger forgets number and pseudonyms
//! compact     the database's own remains: free pages, its log
//! ```
//!
//! A run that is killed at any point goes on where it was, with the same command or in the next night.

pub mod certificate;
pub mod files;
mod page;
pub mod plan;
pub mod pseudonym;
pub mod rename;
pub mod store;
pub mod words;

use std::collections::HashSet;
use std::path::Path;

use crate::catalog::account::store::load_accounts;
use crate::context::Books;
use crate::pipeline::retention::deletion::{Deletion, ERASURE, Why, note};
use crate::storage::ledger::{Decision, Lease, add_audit, next_number};
use crate::support::error::{Error, Result};
use crate::support::failpoint;
use crate::support::page::{reserve, write};
use certificate::{Certificate, Done};
use plan::{Plan, plan, refuse, refuse_again};
use pseudonym::Pseudonyms;
use store::{Erasure, State, Unfinished};
use words::Words;

/// An account to be erased.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub uin: u64,
    /// What the person names who asks for it. It is kept.
    pub request: &'a str,
    /// A file for the page to send.
    pub page: Option<&'a Path>,
}

/// What an erasure did.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Erased {
    #[serde(flatten)]
    pub erasure: Erasure,
    pub certificate: Certificate,
    /// Why the database's own remains are still there; a later night tries again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_compacted: Option<String>,
}

/// What erasing an account would do, with the causes that keep it from being done.
pub async fn try_erase(books: &Books, wanted: Wanted<'_>) -> Result<Plan> {
    plan(books, wanted.uin, wanted.request).await
}

/// Erases an account, or brings its erasure to the end that was begun before. The caller holds the lease.
///
/// # Errors
/// [`Error::Usage`] with everything that keeps it from being done, each with its cure.
pub async fn erase(books: &Books, lease: &Lease, wanted: Wanted<'_>) -> Result<Erased> {
    if let Some(unfinished) = store::unfinished(&books.ledger).await? {
        let is_this = unfinished
            .names
            .as_ref()
            .is_some_and(|names| names.erased_uin == wanted.uin);
        let page = wanted.page.filter(|_| is_this);
        page.map_or(Ok(()), reserve)?;
        let erased = go_on(books, lease, unfinished, page).await?;
        if is_this {
            return Ok(erased);
        }
    }
    let plan = plan(books, wanted.uin, wanted.request).await?;
    refuse(wanted.uin, &plan.causes)?;
    if let Some(page) = wanted.page {
        reserve(page)?;
    }
    let taken = taken(books).await?;
    let names = Pseudonyms::choose(wanted.uin, &plan.apps, &plan.shared_apps, &taken)?;
    let mut tx = books.ledger.begin_erasing().await?;
    lease.check(&mut tx).await?;
    store::begin(&mut tx, &names, wanted.request, &books.clock.text()).await?;
    books.ledger.commit(tx, "erasure_begun").await?;
    let begun = Unfinished {
        state: State::Begun,
        request: wanted.request.to_owned(),
        erasure: None,
        names: Some(names),
    };
    go_on(books, lease, begun, wanted.page).await
}

async fn taken(books: &Books) -> Result<HashSet<u64>> {
    Ok(load_accounts(&books.ledger).await?.iter().map(|(uin, _)| uin).collect())
}

/// What finishing an erasure did, and the words that nothing may say from now on: none where they were forgotten before. None where there was
/// nothing to finish.
pub type Finished = Option<(Erased, Option<Words>)>;

/// Finishes an erasure of which the ledger has been renamed: until then its exports are not in their places.
pub async fn finish_renamed(books: &Books, lease: &Lease) -> Result<Finished> {
    finish_in(books, lease, |state| state != State::Begun).await
}

/// Goes on with an erasure that was begun, and of which nothing but its pseudonyms is there.
pub async fn finish_begun(books: &Books, lease: &Lease) -> Result<Finished> {
    finish_in(books, lease, |state| state == State::Begun).await
}

async fn finish_in(books: &Books, lease: &Lease, is_meant: fn(State) -> bool) -> Result<Finished> {
    let unfinished = store::unfinished(&books.ledger).await?;
    let Some(unfinished) = unfinished.filter(|unfinished| is_meant(unfinished.state)) else {
        return Ok(None);
    };
    let words = unfinished.names.as_ref().map(Words::of);
    let erased = go_on(books, lease, unfinished, None).await?;
    Ok(Some((erased, words)))
}

async fn go_on(books: &Books, lease: &Lease, unfinished: Unfinished, page: Option<&Path>) -> Result<Erased> {
    let Unfinished {
        state,
        request,
        erasure,
        mut names,
    } = unfinished;
    if let (State::Begun, Some(begun)) = (state, &mut names) {
        look_again(books, lease, begun, &request).await?;
    }
    let number = match (state, &names, erasure) {
        (State::Begun, Some(names), _) => rename(books, lease, names, &request).await?,
        (_, _, Some(number)) => number,
        _ => {
            return Err(Error::Unbalanced(
                "the ledger has an erasure that has not ended, without what it needs to go on; run `tallybook verify`"
                    .to_owned(),
            ));
        }
    };
    let erasure = store::erasure(&books.ledger, number).await?;
    let certificate = Certificate::from_text(&erasure.certificate)?;
    if let Some(names) = &names {
        if let Some(page) = page {
            write(page, &page::text(names.erased_uin, &certificate, &erasure.digest))?;
        }
        finish(books, lease, number, names).await?;
    }
    let not_compacted = match compact(books, lease).await {
        Ok(()) => None,
        Err(error @ (Error::Overtaken(_) | Error::Uncertain { .. })) => return Err(error),
        Err(error) => Some(error.to_string()),
    };
    Ok(Erased {
        erasure,
        certificate,
        not_compacted,
    })
}

/// Records may have come since an erasure was begun: nothing is written where one of them waits, and each app has a pseudonym.
async fn look_again(books: &Books, lease: &Lease, names: &mut Pseudonyms, request: &str) -> Result<()> {
    let plan = plan(books, names.erased_uin, request).await?;
    refuse(names.erased_uin, &plan.causes)?;
    if plan.apps.iter().eq(names.apps.keys()) && plan.shared_apps == names.shared_apps {
        return Ok(());
    }
    *names = Pseudonyms::choose(names.erased_uin, &plan.apps, &plan.shared_apps, &taken(books).await?)?;
    let mut tx = books.ledger.begin_erasing().await?;
    lease.check(&mut tx).await?;
    store::end(&mut tx).await?;
    store::begin(&mut tx, names, request, &books.clock.text()).await?;
    books.ledger.commit(tx, "erasure_begun").await
}

/// The one transaction. Returns the number of the erasure.
async fn rename(books: &Books, lease: &Lease, names: &Pseudonyms, request: &str) -> Result<i64> {
    let files = files::rewrite(books, lease, names).await?;
    failpoint::point("erasure.files_written");
    let mut tx = files.begin().await?;
    books.ledger.overwrite(&mut tx).await?;
    // Nothing can come in beside this transaction: what the files were written from is all there is.
    refuse_again(books, names, request).await?;
    let number = next_number(&mut tx, "erasure").await?;
    let renamed = rename::rename(books, &mut tx, number, names, &files).await?;
    store::add_rows(&mut tx, number, files.erased_rows()).await?;
    let last_manifest = store::last_manifest(&mut tx).await?;
    let done = Done {
        erasure: number,
        request,
        renamed: &renamed,
        files: &files,
        last_manifest,
    };
    let (certificate, digest) = Certificate::of(books, &done).to_text()?;
    let decision = Decision {
        who: &books.settings.who,
        action: "erase",
        subject: format!("erasure {number}"),
        detail: serde_json::json!({ "certificate": digest, "statements": renamed.digests.len() }),
        reason: request,
        at: books.clock.text(),
    };
    let audit_entry = add_audit(&mut tx, &decision).await?;
    let deletion = Deletion {
        class: ERASURE,
        subject: format!("erasure {number}"),
        rows: files.erased_rows().iter().map(|rows| rows.rows).sum(),
        why: Why::ByHand,
        entry: Some(audit_entry),
    };
    note(&mut tx, books, &deletion).await?;
    let erasure = Erasure {
        erasure: number,
        audit_entry,
        erased_at: books.clock.text(),
        request: request.to_owned(),
        certificate,
        digest,
    };
    store::add_erasure(&mut tx, &erasure).await?;
    store::go_on(&mut tx, State::Renamed, number, &books.clock.text()).await?;
    files.commit(tx).await?;
    Ok(number)
}

/// Removes the old files, and then the last that leads from the account to its pseudonym.
async fn finish(books: &Books, lease: &Lease, number: i64, names: &Pseudonyms) -> Result<()> {
    files::finish(books, names).await?;
    failpoint::point("erasure.files_removed");
    let mut tx = books.ledger.begin_erasing().await?;
    lease.check(&mut tx).await?;
    store::go_on(&mut tx, State::Compacting, number, &books.clock.text()).await?;
    books.ledger.commit(tx, "erasure_finished").await
}

/// Lets the database forget, and then that there was something to forget.
async fn compact(books: &Books, lease: &Lease) -> Result<()> {
    books.ledger.compact(&rename::tables()).await?;
    failpoint::point("erasure.compacted");
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    store::end(&mut tx).await?;
    books.ledger.commit(tx, "erasure_ended").await
}
