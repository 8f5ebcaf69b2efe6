//! `Sign`: the MD5 of an event's `Timestamp` and a notification key. It says that the sender knows a key; it does not cover what the event
//! says, and so admits nothing by itself.

use md5::{Digest as _, Md5};
use subtle::ConstantTimeEq as _;

use super::member::Node;
use super::times::{Instant, unix_time, written};
use crate::catalog::source::events::EventSource;
use crate::catalog::source::secret::Secret;
use crate::pipeline::ingest::record::refusal::{Refusal, code};
use crate::support::quote::plain;

/// Refuses an event without a right signature, where the source has keys. `Timestamp` is when the signature expires, and is held against
/// the time of the message or `CloudEvent` that brought the event; what was brought by neither has no such time.
pub(super) fn check(source: &EventSource, signed: &Node<'_>, sent: Option<Instant>) -> Result<(), Refusal> {
    if source.notify_keys.is_empty() {
        return Ok(());
    }
    let (Some(timestamp), Some(sign)) = (signed.digits_text("Timestamp")?, signed.text("Sign")?) else {
        let sentence =
            "the event has no `Sign` with a `Timestamp`; every event of the source must be signed with one of its keys";
        return Err(bad(source, sentence));
    };
    if !is_of_a_key(&source.notify_keys, timestamp, sign) {
        return Err(bad(
            source,
            "`Sign` is not the signature of `Timestamp` by any key of the source",
        ));
    }
    let expiry = unix_time(signed, "Timestamp")?;
    match (expiry, sent) {
        (Some(expiry), Some(sent)) if expiry < sent => {
            let sentence = format!(
                "`Sign` was good until {}; the event was sent at {}",
                written(expiry),
                written(sent)
            );
            Err(Refusal::new(code::SIGNATURE_EXPIRED, sentence))
        }
        _ => Ok(()),
    }
}

/// Looks at all keys, and at all of each digest, so that the time it takes tells nothing of them.
fn is_of_a_key(keys: &[Secret], timestamp: &str, sign: &str) -> bool {
    let sign = sign.to_ascii_lowercase();
    let mut found = subtle::Choice::from(0);
    for key in keys {
        let digest = Md5::new().chain_update(timestamp).chain_update(key.reveal()).finalize();
        found |= hex(&digest).as_bytes().ct_eq(sign.as_bytes());
    }
    found.into()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn bad(source: &EventSource, what: &str) -> Refusal {
    let sentence = format!("{what} (source {})", plain(&source.source));
    Refusal::new(code::BAD_SIGNATURE, sentence)
}
