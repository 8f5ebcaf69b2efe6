//! Erasures: their certificates, the numbers that may be no account's any more, and rows that are accounted for.

use rayon::prelude::*;

use super::{Verified, store};
use crate::catalog::account::erased::store::erased_accounts;
use crate::context::Books;
use crate::erasure::certificate::Certificate;
use crate::erasure::store::erasures;
use crate::support::error::Result;
use crate::values::digest::sha256_hex;

pub async fn verify(books: &Books, verified: &mut Verified) -> Result<()> {
    let all = erasures(&books.ledger).await?;
    verified.erased_accounts = all.len();
    for erasure in &all {
        let number = erasure.erasure;
        if sha256_hex(erasure.certificate.as_bytes()) != erasure.digest {
            verified.differs(format!("erasure {number}: its certificate differs from its digest"));
            continue;
        }
        match Certificate::from_text(&erasure.certificate) {
            Ok(certificate) => verify_certificate(books, number, &certificate, verified).await?,
            Err(error) => verified.differs(format!("erasure {number}: its certificate cannot be read: {error}")),
        }
    }
    let Some(first) = all.first() else { return Ok(()) };
    let (tombstones, pseudonyms) = store::erased_counts(&books.ledger).await?;
    if tombstones != all.len() || pseudonyms != all.len() {
        verified.differs(format!(
            "there were {} erasures, and the ledger has {tombstones} tombstones and {pseudonyms} pseudonyms",
            all.len()
        ));
    }
    verified.sentences(store::more_erased_than_stored(&books.ledger).await);
    verified.sentences(store::rows_that_do_not_add_up(&books.ledger).await);
    // Those that were there before the first erasure were looked at then: none of them was the erased one.
    let later = store::accounts_added_from(&books.ledger, &first.erased_at).await?;
    let erased = erased_accounts(&books.ledger).await?.without_known();
    let found: Vec<u64> = tokio::task::block_in_place(|| {
        let is_back = |uin: &&u64| !erased.is_pseudonym(**uin) && erased.has_tombstone(**uin);
        later.par_iter().filter(is_back).copied().collect()
    });
    for uin in found {
        verified.differs(format!("account {uin} was erased, and is an account again"));
    }
    Ok(())
}

/// The second digests of a certificate are those that the ledger has.
async fn verify_certificate(
    books: &Books,
    number: i64,
    certificate: &Certificate,
    verified: &mut Verified,
) -> Result<()> {
    let known = store::second_digests_of(&books.ledger, number).await?;
    let told: Vec<(String, Option<String>)> = certificate
        .statements
        .iter()
        .map(|digests| (digests.before.clone(), digests.after.clone()))
        .collect();
    if known != told || certificate.erasure != number {
        verified.differs(format!(
            "erasure {number}: the statements under its pseudonym are not those of its certificate"
        ));
    }
    Ok(())
}
