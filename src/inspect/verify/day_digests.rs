//! The proofs of days: each against the rows it was made of while these are there; after that it stands for them.

use chrono::NaiveDate;

use super::files::DamagedFiles;
use super::{Scope, Verified, store};
use crate::context::Books;
use crate::pipeline::retention::day_digest::{Parameters, Proof, proofs_of};
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::{Segment, segments_of_day};
use crate::support::error::Result;

pub async fn verify(books: &Books, scope: Scope, damaged: &DamagedFiles, verified: &mut Verified) -> Result<()> {
    for (day, rows) in store::proved_days_that_stay(&books.ledger).await? {
        if !scope.has_utc_day(day) {
            continue;
        }
        let segments = segments_of_day(&books.ledger, SegmentKind::Usage, day).await?;
        // With more rows since, it is proved anew before it goes.
        if segments.iter().map(|s| s.rows).sum::<i64>() != rows {
            continue;
        }
        if let Some(segment) = segments.iter().find(|s| damaged.contains(&s.path)) {
            let (path, not_proved) = (&segment.path, &mut verified.not_proved);
            not_proved.push(format!("the digests of {day} cannot be checked: {path} is damaged"));
            continue;
        }
        let part = verify_day(books, day, &segments, verified).await;
        verified.part(part);
    }
    for day in store::expired_days_proved_otherwise(&books.ledger).await? {
        verified.differs(format!("{day} expired with records that its digests do not cover"));
    }
    verified.expired = store::expired_days(&books.ledger).await?;
    Ok(())
}

async fn verify_day(books: &Books, day: NaiveDate, segments: &[Segment], verified: &mut Verified) -> Result<()> {
    let written = store::proofs(&books.ledger, day).await?;
    let made_of = |form| tokio::task::block_in_place(|| proofs_of(&books.data, segments, form));
    let made = made_of(Parameters::Coarse);
    let is_made = |made: &Result<Vec<Proof>>| made.as_ref().is_ok_and(|made| *made == written);
    // A proof of before there were coarse parameters stands.
    if is_made(&made)
        || is_made(&made_of(Parameters::AsWritten))
        || has_moved_on(books, day, segments, &written).await?
    {
        return Ok(());
    }
    if let Some(uin) = first_difference(&written, &made?) {
        verified.differs(format!(
            "the digests of {day} do not match its records; account {uin} is the first that differs"
        ));
    }
    Ok(())
}

/// Whether a night beside this proved the day anew, merged its segments, or let it go.
async fn has_moved_on(books: &Books, day: NaiveDate, segments: &[Segment], written: &[Proof]) -> Result<bool> {
    let now = segments_of_day(&books.ledger, SegmentKind::Usage, day).await?;
    let has_others = !now.iter().map(|s| &s.path).eq(segments.iter().map(|s| &s.path));
    Ok(has_others || store::proofs(&books.ledger, day).await? != written)
}

/// The first account that has other proofs on one side; both sides are in the order of accounts.
fn first_difference(written: &[Proof], made: &[Proof]) -> Option<u64> {
    let longer = if written.len() > made.len() { written } else { made };
    let differs = written.iter().zip(made).find(|(written, made)| written != made);
    differs
        .map(|(written, made)| written.uin.min(made.uin))
        .or_else(|| longer.get(written.len().min(made.len())).map(|proof| proof.uin))
}

#[cfg(test)]
mod tests {
    use crate::inspect::verify::day_digests::{Proof, first_difference};

    fn proof(uin: u64, digest: &str) -> Proof {
        Proof {
            uin,
            rows: 1,
            duration_ms: 1,
            digest: digest.to_owned(),
        }
    }

    #[test]
    fn the_first_account_that_differs_is_named_on_whichever_side_it_is_missing() {
        let (one, two, other) = (proof(1, "a"), proof(2, "b"), proof(2, "c"));
        let both = [one.clone(), two.clone()];
        assert_eq!(first_difference(&both, &both), None);
        assert_eq!(first_difference(&both, &[one.clone(), other]), Some(2));
        assert_eq!(first_difference(&both, std::slice::from_ref(&one)), Some(2));
        assert_eq!(first_difference(std::slice::from_ref(&two), &both), Some(1));
        assert_eq!(first_difference(&[], &[one]), Some(1));
    }
}
