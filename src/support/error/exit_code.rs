//! Exit codes: what the end of a command says to a script.

/// The stable exit codes. Also `exit_code` in a night's report, in `status` and in errors as JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum ExitCode {
    /// Done, and nobody need do anything.
    Done = 0,
    /// Failed: a disk, a server, a damaged file. Run it again once the cause is gone.
    Failed = 1,
    /// Something a person typed or wrote is wrong; nothing was done.
    Usage = 2,
    /// What could be done is done; something waits for a person.
    NeedsPerson = 3,
    /// The control totals do not balance, or a proof failed.
    Unbalanced = 4,
    /// Another run has the lease; nothing was done.
    Busy = 5,
}

impl ExitCode {
    /// [`ExitCode::Done`], or another code where something is left.
    #[must_use]
    pub fn unless(is_done: bool, code: Self) -> Self {
        if is_done { Self::Done } else { code }
    }
}

impl From<ExitCode> for u8 {
    fn from(code: ExitCode) -> Self {
        code as Self
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code as u8)
    }
}

impl serde::Serialize for ExitCode {
    fn serialize<S: serde::Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(*self as u8)
    }
}

impl PartialEq<u8> for ExitCode {
    fn eq(&self, other: &u8) -> bool {
        *self as u8 == *other
    }
}
