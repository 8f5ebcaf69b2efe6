//! Counters: how much of a counter's quantity the lines before have taken.
//!
//! A counter is the account's usage of a SKU in a region group, or of the wider group that a price names.
//! Each card version reads counters of its own making: for every version that may still come, a line
//! moves the counter that *that* version would put it in, or, where that version does not sell the SKU, the
//! counter that the line's own price names. So counters run on across spans even where a new version regroups
//! them or sells less. Only counters that some price reads are kept.
//!
//! A counter has two sides: what was included, which moves nothing else, and what is priced. Both are kept in the
//! pricing unit, for tiers, and in base units, for packages. Packages of a day have a counter for each day, which no other version reads.

use std::sync::Arc;

use chrono::NaiveDate;
use hashbrown::HashMap;

use super::line_usage::LineUsage;
use super::quantity::Quantity;
use super::tiers::Counted;
use crate::catalog::rate_card::{Model, Per, Price, RateCard, Scope};
use crate::values::calendar::Cycle;

/// A quantity in the pricing unit and in base units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Amount {
    quantity: Quantity,
    base_units: i128,
}

impl Amount {
    fn checked_add(self, other: Self) -> Option<Self> {
        Some(Self {
            quantity: self.quantity.checked_add(other.quantity)?,
            base_units: self.base_units.checked_add(other.base_units)?,
        })
    }

    fn checked_sub(self, other: Self) -> Option<Self> {
        Some(Self {
            quantity: self.quantity.checked_sub(other.quantity)?,
            base_units: self.base_units.checked_sub(other.base_units)?,
        })
    }
}

/// How far a counter has come.
#[derive(Debug, Clone, Copy, Default)]
struct Counter {
    included: Amount,
    priced: Amount,
}

impl Counter {
    /// Some of it is included.
    fn of(whole: Amount, included: Amount) -> Option<Self> {
        Some(Self {
            included,
            priced: whole.checked_sub(included)?,
        })
    }

    fn advance(&mut self, by: &Self) -> Option<()> {
        self.included = self.included.checked_add(by.included)?;
        self.priced = self.priced.checked_add(by.priced)?;
        Some(())
    }
}

/// How far the counter of the packages of a day has come, in base units.
#[derive(Debug, Clone, Copy, Default)]
struct OfDay {
    included: i128,
    priced: i128,
}

/// What a line takes of its counters.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Taken {
    /// What of it is included; none where nothing included was left. Zero for a line of nothing while something is left.
    pub included: Option<Quantity>,
    /// What of it is priced; none where all of it is included.
    pub priced: Option<Quantity>,
    /// Where its counter stands; its end is told by [`Ends`].
    pub counted: Counted,
    /// The base units of its packages.
    pub packages: Option<Packages>,
}

/// The base units by which packages are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Packages {
    /// Base units of a package.
    pub size: u64,
    /// Base units that the counter had before the line; 0 where each day has a counter.
    pub before: i128,
    /// Base units of the line that are not included.
    pub base_units: i128,
    /// How many counters of a day the line moves, where each day has one.
    pub days: Option<usize>,
    /// Packages that the line starts.
    pub started: i64,
}

/// A line that a price prices.
pub(super) struct Counting<'l, 'a> {
    pub line: &'l LineUsage<'a>,
    /// The card version.
    pub version: usize,
    /// Its price.
    pub price: &'a Price,
    /// In the pricing unit.
    pub quantity: Quantity,
    /// Whether a price agreed with the account takes the place of the model: then packages are not priced.
    pub agreed: bool,
    /// Whether it takes of what is included.
    pub takes_included: bool,
    /// The base units of each day, where packages are counted by day.
    pub days: &'l [(NaiveDate, i128)],
}

/// The counters of one account, under each card version.
#[derive(Debug)]
pub(super) struct Counters<'a> {
    cards: &'a [Arc<RateCard>],
    cycle: Cycle,
    taken: Vec<HashMap<Scope<'a>, Counter>>,
    of_days: HashMap<(Scope<'a>, NaiveDate), OfDay>,
}

impl<'a> Counters<'a> {
    /// Counters under these versions: no others need to be given than those that price something.
    pub fn new(cards: &'a [Arc<RateCard>], cycle: Cycle) -> Self {
        Self {
            cards,
            cycle,
            taken: cards.iter().map(|_| HashMap::new()).collect(),
            of_days: HashMap::new(),
        }
    }

    /// Takes a line through its counters and moves them; none on overflow.
    pub fn take(&mut self, counting: &Counting<'_, 'a>) -> Option<Taken> {
        let Counting {
            line, price, quantity, ..
        } = *counting;
        let whole = Amount {
            quantity,
            base_units: line.billable.into(),
        };
        let Some(own) = price.scope() else {
            let moved = Counter {
                priced: whole,
                ..Counter::default()
            };
            self.advance_later(counting, &moved)?;
            return Some(Taken {
                priced: Some(quantity),
                ..Taken::default()
            });
        };
        if self.is_of_a_day(price) {
            return self.take_by_day(counting, own);
        }
        let counter = self.taken[counting.version].entry(own).or_default();
        let (moved, is_left) = split(counting, counter, whole)?;
        let before = counter.priced;
        counter.advance(&moved)?;
        self.advance_later(counting, &moved)?;
        let packages = match price.model {
            Model::Package { size, .. } => Some(Packages {
                size,
                before: before.base_units,
                base_units: moved.priced.base_units,
                days: None,
                started: started(before.base_units, moved.priced.base_units, size)?,
            }),
            _ => None,
        };
        taken(counting, &moved, is_left, before.quantity, packages)
    }

    /// Each day of the line has a counter of its own.
    fn take_by_day(&mut self, counting: &Counting<'_, 'a>, own: Scope<'a>) -> Option<Taken> {
        let Counting { price, quantity, .. } = *counting;
        let Model::Package { size, .. } = price.model else {
            return None;
        };
        let (mut included, mut priced, mut is_left, mut count) = (0_i128, 0_i128, false, 0_i64);
        for &(day, base_units) in counting.days {
            let counter = self.of_days.entry((own, day)).or_default();
            let left = packages_left(counting, counter.included)?;
            let of_day = base_units.min(left);
            let rest = base_units.checked_sub(of_day)?;
            count = count.checked_add(started(counter.priced, rest, size)?)?;
            counter.included = counter.included.checked_add(of_day)?;
            counter.priced = counter.priced.checked_add(rest)?;
            is_left |= 0 < left;
            included = included.checked_add(of_day)?;
            priced = priced.checked_add(rest)?;
        }
        let whole = Amount {
            quantity,
            base_units: included.checked_add(priced)?,
        };
        let moved = Counter::of(whole, package_amount(counting, included, whole)?)?;
        self.advance_later(counting, &moved)?;
        let packages = Packages {
            size,
            before: 0,
            base_units: priced,
            days: Some(counting.days.len()),
            started: count,
        };
        taken(counting, &moved, is_left, Quantity::ZERO, Some(packages))
    }

    /// Moves the counters of later versions.
    fn advance_later(&mut self, counting: &Counting<'_, 'a>, moved: &Counter) -> Option<()> {
        let later = counting.version + 1..;
        for (card, taken) in self.cards[later.clone()].iter().zip(&mut self.taken[later]) {
            if let Some(scope) = card.scope_of(counting.line.region, counting.price) {
                taken.entry(scope).or_default().advance(moved)?;
            }
        }
        Some(())
    }

    fn is_of_a_day(&self, price: &Price) -> bool {
        is_of_a_day(price, self.cycle)
    }
}

/// Whether the counter of a price starts again each day.
pub(super) fn is_of_a_day(price: &Price, cycle: Cycle) -> bool {
    match price.model {
        Model::Package { per, .. } => per == Per::Day || (per == Per::Period && cycle == Cycle::Daily),
        _ => false,
    }
}

/// Parts what is included of an amount from what is priced, and says whether something included was left before it.
fn split(counting: &Counting, counter: &Counter, whole: Amount) -> Option<(Counter, bool)> {
    let price = counting.price;
    let (covered, is_left) = if let Model::Package { .. } = price.model {
        match packages_left(counting, counter.included.base_units)? {
            0 => (Amount::default(), false),
            left => (package_amount(counting, whole.base_units.min(left), whole)?, true),
        }
    } else {
        let left = included(counting)?.checked_sub(counter.included.quantity)?;
        if Quantity::ZERO < left {
            (unit_amount(price, whole.quantity.min(left), whole)?, true)
        } else {
            (Amount::default(), false)
        }
    };
    Some((Counter::of(whole, covered)?, is_left))
}

/// What the price includes, for a line that takes of it; nothing for others. None where it does not fit.
fn included(counting: &Counting) -> Option<Quantity> {
    let included = counting.price.included.filter(|_| counting.takes_included);
    included.map_or(Some(Quantity::ZERO), Quantity::from_decimal)
}

/// The base units that are included and not taken yet, or 0. None where they do not fit.
fn packages_left(counting: &Counting, taken: i128) -> Option<i128> {
    let included = included(counting)?.to_base_units(None, counting.price.unit.base_units)?;
    Some(included.checked_sub(taken)?.max(0))
}

/// So many base units of a package line, with their quantity: all of it where nothing else is left.
fn package_amount(counting: &Counting, base_units: i128, whole: Amount) -> Option<Amount> {
    let quantity = if base_units == whole.base_units && base_units != 0 {
        whole.quantity
    } else {
        Quantity::from_base_units(i64::try_from(base_units).ok()?, counting.price.unit.base_units)?
    };
    Some(Amount { quantity, base_units })
}

/// So much of a line that is priced by the unit, with its base units: all of them where nothing else is left.
fn unit_amount(price: &Price, quantity: Quantity, whole: Amount) -> Option<Amount> {
    let base_units = if quantity == whole.quantity {
        whole.base_units
    } else {
        let rounded = quantity.to_base_units(price.multiplier, price.unit.base_units)?;
        rounded.min(whole.base_units)
    };
    Some(Amount { quantity, base_units })
}

/// The packages that are started from `before` on.
fn started(before: i128, base_units: i128, size: u64) -> Option<i64> {
    let size = i128::from(size);
    let up = |units: i128| Some(units.checked_add(size - 1)?.div_euclid(size));
    i64::try_from(up(before.checked_add(base_units)?)? - up(before)?).ok()
}

/// What a line took, as its slices are made of it.
fn taken(
    counting: &Counting,
    moved: &Counter,
    is_left: bool,
    position: Quantity,
    packages: Option<Packages>,
) -> Option<Taken> {
    let is_nothing = |amount: Amount| match packages {
        Some(_) => amount.base_units == 0,
        None => amount.quantity == Quantity::ZERO,
    };
    let is_empty = is_nothing(moved.included) && is_nothing(moved.priced);
    let has_included = !is_nothing(moved.included) || (is_left && is_empty);
    let has_priced = !is_nothing(moved.priced) || !has_included;
    let packages = packages.filter(|_| !counting.agreed);
    Some(Taken {
        included: has_included.then_some(moved.included.quantity),
        priced: has_priced.then_some(moved.priced.quantity),
        counted: Counted {
            position,
            end: position.checked_add(moved.priced.quantity)?,
            packages: packages.map_or(0, |packages| packages.started),
        },
        packages,
    })
}

/// Where counters stand at the end of a period, under each card version: for prices that depend on it.
#[derive(Debug)]
pub(super) struct Ends<'a> {
    cards: &'a [Arc<RateCard>],
    ends: Vec<HashMap<Scope<'a>, Quantity>>,
}

impl<'a> Ends<'a> {
    /// None where no price depends on them.
    pub fn needed(cards: &'a [Arc<RateCard>]) -> Option<Self> {
        cards.iter().any(|card| card.has_volume()).then(|| Self {
            cards,
            ends: cards.iter().map(|_| HashMap::new()).collect(),
        })
    }

    /// Adds what of a line is priced, whichever version prices it, to the counter that it moves under each version. None on overflow.
    pub fn add(&mut self, counting: &Counting<'_, 'a>, taken: &Taken) -> Option<()> {
        let Some(priced) = taken.priced else { return Some(()) };
        for (card, ends) in self.cards.iter().zip(&mut self.ends) {
            if let Some(scope) = card.scope_of(counting.line.region, counting.price) {
                let end = ends.entry(scope).or_default();
                *end = end.checked_add(priced)?;
            }
        }
        Some(())
    }

    /// Where the counter of a price of a card version stands.
    pub fn of(&self, version: usize, price: &'a Price) -> Quantity {
        price
            .scope()
            .and_then(|scope| self.ends[version].get(&scope).copied())
            .unwrap_or_default()
    }
}
