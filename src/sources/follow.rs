//! Following: sources are pulled again and again until the program is told to stop. One that is down is asked ever less often.

use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use xxhash_rust::xxh3::xxh3_64;

use super::pull::{Pulled, State, chosen, not_pulled, pull_source};
use crate::catalog::source::import::import_configured;
use crate::catalog::source::store::Version;
use crate::context::Books;
use crate::support::error::Result;

/// How long a source is left alone that cannot be looked up.
const REST: Duration = Duration::from_secs(5);

/// The longest wait for a source that is down.
const WAIT_MAX: Duration = Duration::from_mins(5);

/// Pulls sources until `stop` says true, telling of each pull that did something or failed. A part that is being put into the books is put
/// there before it stops. False where a source was not followed because its definition is wrong.
///
/// # Errors
/// As [`super::pull::pull`].
pub async fn follow(
    books: &Books,
    names: &[String],
    stop: watch::Receiver<bool>,
    tell: impl Fn(&Pulled),
) -> Result<bool> {
    let faults = import_configured(books).await?.faults;
    let chosen = chosen(books, names, faults).await?;
    for faulty in &chosen.faulty {
        tell(&not_pulled(books, faulty).await);
    }
    join_all(
        chosen
            .versions
            .iter()
            .map(|version| follow_source(books, version, stop.clone(), &tell)),
    )
    .await;
    Ok(chosen.faulty.is_empty())
}

async fn follow_source(books: &Books, first: &Version, mut stop: watch::Receiver<bool>, tell: &impl Fn(&Pulled)) {
    let name = first.definition.source.name.clone();
    let (mut failures, mut kept, mut version) = (0, None, first.version);
    let mut told = Told::default();
    while !*stop.borrow() {
        let books = books.at_this_time();
        let now = match chosen(&books, std::slice::from_ref(&name), Vec::new()).await {
            Ok(now) => {
                // Another program imported what this one cannot read.
                for faulty in &now.faulty {
                    let pulled = not_pulled(&books, faulty).await;
                    if told.is_news(&pulled) {
                        tell(&pulled);
                    }
                }
                now.versions.into_iter().next()
            }
            // Disabled, or the ledger is away: it is looked at again later.
            Err(error) => {
                tracing::warn!(source = name, %error, "not pulled");
                None
            }
        };
        let Some(now) = now else {
            kept = None;
            rest(&mut stop, REST).await;
            continue;
        };
        if now.version != version {
            (kept, version) = (None, now.version);
        }
        let pulled = pull_source(&books, &now, &mut kept).await;
        if told.is_news(&pulled) {
            tell(&pulled);
        }
        failures = if pulled.state == State::Done { 0 } else { failures + 1 };
        let wait = if failures == 0 {
            now.definition.source.kind.poll()
        } else {
            back_off(&name, failures)
        };
        rest(&mut stop, wait).await;
    }
}

/// How the last pull ended that was told of: the same is not told again.
#[derive(Debug, Default)]
struct Told {
    state: State,
    message: Option<String>,
}

impl Told {
    /// Whether a pull did something, or ended otherwise than the one before.
    fn is_news(&mut self, pulled: &Pulled) -> bool {
        let ends_as_before = self.state == pulled.state && self.message == pulled.message;
        self.state = pulled.state;
        self.message.clone_from(&pulled.message);
        let says_something = [&pulled.warnings, &pulled.alarms, &pulled.refused]
            .iter()
            .any(|said| !said.is_empty());
        !ends_as_before || pulled.received > 0 || says_something
    }
}

/// Waits for a time, or until it is to stop.
async fn rest(stop: &mut watch::Receiver<bool>, how_long: Duration) {
    tokio::select! {
        () = tokio::time::sleep(how_long) => {}
        _ = stop.changed() => {}
    }
}

/// How long to wait after so many failures: twice as long each time, less up to half of it, so that several do not come back at once.
fn back_off(name: &str, failures: u32) -> Duration {
    let longest = Duration::from_secs(1) * 2_u32.saturating_pow(failures.min(16));
    let longest = longest.min(WAIT_MAX);
    let seed = format!("{name} {failures} {}", std::process::id());
    let part = u32::try_from(xxh3_64(seed.as_bytes()) % 512).unwrap_or(0);
    longest.saturating_sub(longest * part / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_as_it_was_is_told_once() {
        let mut told = Told::default();
        let done = Pulled::default();
        let away = Pulled {
            state: State::Unavailable,
            message: Some("no answer".to_owned()),
            ..Pulled::default()
        };
        assert!(!told.is_news(&done));
        assert!(told.is_news(&away) && !told.is_news(&away));
        assert!(told.is_news(&done) && !told.is_news(&done));
        let received = Pulled {
            received: 1,
            ..Pulled::default()
        };
        assert!(told.is_news(&received) && told.is_news(&received));
    }

    #[test]
    fn a_source_that_is_down_is_asked_ever_less_often() {
        for failures in 1..40 {
            let wait = back_off("mps", failures);
            let longest = Duration::from_secs(1 << failures.min(16)).min(WAIT_MAX);
            assert!(
                wait <= longest && wait >= (longest / 2).saturating_sub(Duration::from_millis(1)),
                "{failures}: {wait:?}"
            );
        }
    }
}
