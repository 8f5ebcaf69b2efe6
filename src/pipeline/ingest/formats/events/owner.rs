//! Whose an event is. It does not say so itself: the source names the account, or the account of each application.

use super::member::Node;
use crate::catalog::source::events::{EventSource, Owner};
use crate::pipeline::ingest::record::refusal::{Refusal, code};
use crate::support::quote::plain;

/// Who pays for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub uin: u64,
    pub appid: u64,
}

/// The account of an event that names no more than an application, or not even that.
pub(super) fn of_application(source: &EventSource, appid: Option<u64>) -> Result<Account, Refusal> {
    match &source.owner {
        Owner::One { uin, appid: own } => match own.or(appid) {
            Some(appid) => Ok(Account { uin: *uin, appid }),
            None => Err(no_appid(source)),
        },
        Owner::ByAppid(accounts) => {
            let appid = appid.ok_or_else(|| no_appid(source))?;
            match accounts.get(&appid) {
                Some(uin) => Ok(Account { uin: *uin, appid }),
                None => Err(unknown_appid(source, appid)),
            }
        }
        Owner::Record => {
            let sentence = format!(
                "the event names no account, and the source {} does not either; give the source a UIN, or a table with the UIN of each \
                 APPID",
                plain(&source.source)
            );
            Err(Refusal::new(code::MISSING_FIELD, sentence))
        }
    }
}

/// The account of an event that may have one in its own data.
pub(super) fn of_data(source: &EventSource, data: Option<&Node<'_>>) -> Result<Account, Refusal> {
    let named = |name: &str| data.map_or(Ok(None), |data| data.digits(name));
    if source.owner != Owner::Record {
        return of_application(source, named("appid")?);
    }
    let required = |name: &str| {
        named(name)?.ok_or_else(|| {
            let sentence = format!(
                "`detail.userMetadata.{name}` is missing; the source {} has no account of its own",
                plain(&source.source)
            );
            Refusal::new(code::MISSING_FIELD, sentence)
        })
    };
    Ok(Account {
        uin: required("uin")?,
        appid: required("appid")?,
    })
}

/// The APPID at the end of a bucket's name, such as `media-1250000001`.
pub(super) fn appid_of_bucket(bucket: &str) -> Option<u64> {
    let (_, digits) = bucket.rsplit_once('-')?;
    crate::values::number::digits(digits).ok()
}

fn no_appid(source: &EventSource) -> Refusal {
    let sentence = format!(
        "the event names no APPID: no bucket in it ends in one, and no topic brought it; give the source {} an `appid`",
        plain(&source.source)
    );
    Refusal::new(code::MISSING_FIELD, sentence)
}

fn unknown_appid(source: &EventSource, appid: u64) -> Refusal {
    let sentence = format!(
        "APPID {appid} is not in `accounts` of the source {}; add it there with its UIN, then retry the event",
        plain(&source.source)
    );
    Refusal::new(code::UNKNOWN_APPID, sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digits_behind_a_buckets_last_hyphen_are_its_appid() {
        assert_eq!(appid_of_bucket("media-1250000001"), Some(1_250_000_001));
        assert_eq!(appid_of_bucket("a-b-12"), Some(12));
        for bucket in ["media", "media-", "media-x1", "media-1.5", "media-99999999999999999999"] {
            assert_eq!(appid_of_bucket(bucket), None, "{bucket}");
        }
    }
}
