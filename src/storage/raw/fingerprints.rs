//! How fingerprints of content were taken. Segments and key runs name it, for they outlive programs.

/// A version of the fingerprint. Different fingerprints of one version prove that contents differ; those of two versions prove nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fingerprints {
    /// Of the canonical parameters and the time: a number and its text differ.
    Spelling,
    /// Of the coarse parameters ([`crate::values::parameters::coarse`]), without the time.
    Coarse,
}

impl Fingerprints {
    /// Those that are taken now.
    pub const NOW: Self = Self::Coarse;

    /// Every version, the oldest first.
    pub const ALL: [Self; 2] = [Self::Spelling, Self::Coarse];

    /// As files name them.
    pub fn text(self) -> &'static str {
        match self {
            Self::Spelling => "1",
            Self::Coarse => "2",
        }
    }
}
