//! Random bytes of the system, for what nobody may guess.

use crate::support::error::{Error, Result};

/// So many random bytes.
///
/// # Errors
/// Where the system has none.
pub fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    let filled = getrandom::fill(&mut bytes);
    filled.map_err(|error| Error::Unavailable(format!("the system gives no random numbers: {error}")))?;
    Ok(bytes)
}
