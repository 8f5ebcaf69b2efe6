//! Requests that are made again when the store asks for patience. Each of them may have been done already: a request that is made here
//! gives the same when it is made twice.

use std::time::Duration;

use super::super::error::StoreError;

/// How long it is waited before each further try, s.
const WAITS_S: [u64; 6] = [0, 1, 2, 4, 8, 15];

/// Asks until there is an answer, half a minute at most beside the time of the answers themselves.
///
/// # Errors
/// Any but [`StoreError::Unavailable`] at once, and that one in the end.
pub async fn patiently<T>(mut ask: impl AsyncFnMut() -> Result<T, StoreError>) -> Result<T, StoreError> {
    for wait_s in WAITS_S {
        match ask().await {
            Err(StoreError::Unavailable(why)) => {
                tracing::info!("{why}; trying again in {wait_s} s");
                tokio::time::sleep(Duration::from_secs(wait_s)).await;
            }
            answered => return answered,
        }
    }
    ask().await
}
