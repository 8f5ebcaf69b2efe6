//! Objects that are read to their ends, however often the connection is cut.

use std::time::Duration;

use super::super::error::StoreError;
use super::Bucket;
use crate::support::error;

/// How often in a row it is tried again without a byte more, and how long it is waited before the second and each further time, s.
const TRIES: u32 = 6;
const WAIT_S: u64 = 4;

/// Where a reading is.
#[derive(Debug, Default)]
struct At {
    bytes: u64,
    /// Of the object: its other states are other objects.
    etag: Option<String>,
}

impl Bucket {
    /// Hands all bytes of an object on, each once and in their order. False where there is no such object.
    ///
    /// # Errors
    /// Why it cannot be read to its end, or what `take` refused.
    pub async fn read_to(
        &self,
        key: &str,
        take: &mut dyn FnMut(&[u8]) -> error::Result<()>,
    ) -> Result<bool, StoreError> {
        let (mut at, mut left) = (At::default(), TRIES);
        loop {
            let before = at.bytes;
            match self.read_on(key, &mut at, take).await {
                Ok(()) => return Ok(true),
                Err(StoreError::Missing) if at.etag.is_none() => return Ok(false),
                Err(StoreError::Unavailable(why)) if left > 0 => {
                    tracing::info!("{why}; going on after byte {}", at.bytes);
                    let is_first = left == TRIES || at.bytes > before;
                    left = if at.bytes > before { TRIES } else { left - 1 };
                    let wait_s = if is_first { 0 } else { WAIT_S };
                    tokio::time::sleep(Duration::from_secs(wait_s)).await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    async fn read_on(
        &self,
        key: &str,
        at: &mut At,
        take: &mut dyn FnMut(&[u8]) -> error::Result<()>,
    ) -> Result<(), StoreError> {
        let (object, mut body) = self.read(key, at.etag.as_deref(), at.bytes).await?;
        at.etag = Some(object.etag);
        while let Some(bytes) = body.next().await? {
            take(&bytes)?;
            at.bytes += bytes.len() as u64;
            if at.bytes == object.bytes {
                return Ok(());
            }
        }
        if at.bytes == object.bytes {
            return Ok(());
        }
        Err(self.cut())
    }
}
