//! Meters: which records they take, what they measure, and in which unit it is priced.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::template::Template;

/// One meter: it gives the records of a task type a SKU, and measures them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meter {
    /// Its name; meters that measure alike may share one.
    pub name: String,
    /// The task type of the records that it takes.
    pub task_type: String,
    /// What a record must have for it to be taken; all of them must fit.
    pub dimensions: Vec<Dimension>,
    /// How the SKU is put together from the dimensions.
    pub sku: Template,
    /// What it measures.
    pub quantity: Quantity,
    /// The unit in which that is priced.
    pub unit: Unit,
    /// The least that a record counts, in base units; 0 is none.
    pub minimum: u64,
    /// What a record is rounded up to a multiple of, in base units; 0 and 1 are none.
    pub round_up_to: u64,
    /// SKUs that it can yield and that are deliberately without a price.
    pub not_sold: Vec<String>,
}

/// What a meter measures.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantity {
    /// The record's `duration_ms`, in ms.
    Duration,
    /// Records: each is 1.
    Count,
    /// A whole-number parameter, such as `images`.
    Parameter(String),
}

/// Milliseconds of a second: durations are written in seconds where they are whole.
const SECOND_MS: u64 = 1_000;

impl Quantity {
    /// So many base units as a card writes them: `60s`, `500ms`, `1000`.
    #[must_use]
    pub fn written(&self, base_units: u64) -> String {
        match self {
            Self::Duration if base_units.is_multiple_of(SECOND_MS) => format!("{}s", base_units / SECOND_MS),
            Self::Duration => format!("{base_units}ms"),
            Self::Count | Self::Parameter(_) => base_units.to_string(),
        }
    }
}

/// The unit of a price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// As statements show it: `minute`, `image`.
    pub name: String,
    /// How many base units (ms or counts) make one; at least 1.
    pub base_units: u64,
}

/// One thing about a record on which its SKU depends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    /// Its name in the SKU.
    pub name: String,
    /// What it looks at.
    pub of: Of,
    /// Which values fit, and what they are called in the SKU.
    pub fits: Fits,
}

/// What a dimension looks at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Of {
    /// The parameter of that name.
    Parameter(String),
    /// The smaller of the parameters `width` and `height`.
    ShortSide,
}

/// Which values fit a dimension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fits {
    /// One of these, exactly, which are also their names; sorted.
    Values(Vec<String>),
    /// A number, by the first step that takes it; ascending.
    Steps(Vec<Step>),
}

/// A step takes numbers from above the step before it up to and with `up_to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name in the SKU.
    pub name: String,
    /// The largest number that it takes.
    pub up_to: u64,
}

/// The per-record policy on its own: first the minimum, then rounded up. `None` when that does not fit.
#[must_use]
pub fn billable(raw: u64, minimum: u64, round_up_to: u64) -> Option<u64> {
    let at_least = raw.max(minimum);
    if round_up_to <= 1 {
        Some(at_least)
    } else {
        at_least.checked_next_multiple_of(round_up_to)
    }
}

impl Meter {
    /// What a record of `raw` base units counts for: first the minimum, then rounded up. `None` when that
    /// does not fit.
    #[must_use]
    pub fn billable(&self, raw: u64) -> Option<u64> {
        billable(raw, self.minimum, self.round_up_to)
    }

    /// Whether both measure in the same way, so that they may share a name.
    pub(super) fn measures_like(&self, other: &Self) -> bool {
        self.task_type == other.task_type
            && self.quantity == other.quantity
            && self.unit == other.unit
            && self.minimum == other.minimum
            && self.round_up_to == other.round_up_to
    }

    /// How many combinations of the dimensions in its SKU there are; `None` when that does not fit.
    pub(super) fn combinations(&self) -> Option<usize> {
        let named = self
            .dimensions
            .iter()
            .filter(|dimension| self.sku.names(&dimension.name));
        named
            .map(|dimension| dimension.fits.len())
            .try_fold(1, usize::checked_mul)
    }

    /// Every SKU that it can yield, one per combination.
    pub(super) fn skus(&self) -> Vec<String> {
        let mut partial: Vec<Vec<(&str, &str)>> = vec![Vec::new()];
        for dimension in self
            .dimensions
            .iter()
            .filter(|dimension| self.sku.names(&dimension.name))
        {
            let mut longer = Vec::new();
            for chosen in &partial {
                for name in dimension.fits.names() {
                    longer.push([chosen.as_slice(), &[(&dimension.name, name)]].concat());
                }
            }
            partial = longer;
        }
        partial.iter().map(|names| self.sku_of(names)).collect()
    }

    /// The SKU, with pairs of a dimension and its name in the SKU.
    pub(super) fn sku_of(&self, names: &[(&str, &str)]) -> String {
        self.sku.render(|of| {
            names
                .iter()
                .find(|(dimension, _)| *dimension == of)
                .map_or("", |(_, name)| name)
        })
    }
}

impl Fits {
    /// The names that it can give.
    pub fn names(&self) -> Box<dyn Iterator<Item = &str> + '_> {
        match self {
            Self::Values(values) => Box::new(values.iter().map(String::as_str)),
            Self::Steps(steps) => Box::new(steps.iter().map(|step| step.name.as_str())),
        }
    }

    /// How many names it can give.
    fn len(&self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            Self::Steps(steps) => steps.len(),
        }
    }
}

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parameter(name) => f.write_str(name),
            Self::ShortSide => f.write_str(SHORT_SIDE),
        }
    }
}

/// How a card writes [`Of::ShortSide`].
pub(super) const SHORT_SIDE: &str = "short_side";

#[cfg(test)]
mod tests {
    use super::*;

    fn meter(minimum: u64, round_up_to: u64) -> Meter {
        Meter {
            name: "m".into(),
            task_type: "T".into(),
            dimensions: Vec::new(),
            sku: "S".parse().unwrap(),
            quantity: Quantity::Duration,
            unit: Unit {
                name: "minute".into(),
                base_units: 60_000,
            },
            minimum,
            round_up_to,
            not_sold: Vec::new(),
        }
    }

    #[test]
    fn just_under_a_minute_is_a_minute_and_just_over_is_two() {
        let by_the_minute = meter(0, 60_000);
        assert_eq!(by_the_minute.billable(59_999), Some(60_000));
        assert_eq!(by_the_minute.billable(60_000), Some(60_000));
        assert_eq!(by_the_minute.billable(60_001), Some(120_000));
    }

    #[test]
    fn nothing_stays_nothing_unless_there_is_a_minimum() {
        assert_eq!(meter(0, 60_000).billable(0), Some(0));
        assert_eq!(meter(10_000, 0).billable(0), Some(10_000));
    }

    #[test]
    fn the_minimum_comes_before_the_rounding() {
        assert_eq!(meter(10_000, 7_000).billable(1), Some(14_000));
        assert_eq!(meter(10_000, 1).billable(1), Some(10_000));
    }

    #[test]
    fn what_does_not_fit_is_none() {
        assert_eq!(meter(0, 60_000).billable(u64::MAX), None);
        assert_eq!(meter(0, 0).billable(u64::MAX), Some(u64::MAX));
    }
}
