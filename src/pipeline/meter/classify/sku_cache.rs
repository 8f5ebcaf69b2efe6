//! The SKU cache: which SKU a record is for, decided once per distinct (card version, task type, parameters).
//!
//! Rows only look up small integers: their text (task type and parameters) by the place of its bytes, their account's
//! class by the account, their day among the few local days that a UTC day touches.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use chrono::{DateTime, NaiveDate, Utc};
use chrono_tz::Tz;
use hashbrown::HashMap;

use crate::catalog::account::Accounts;
use crate::catalog::account::terms::Terms;
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::catalog::rate_card::{RateCard, RawUnits};
use crate::storage::usage::sku_region::{SkuCode, SkuRegion, SkuRegions, UnitKind};
use crate::values::calendar::{local_day, midnight, number_of_day};
use crate::values::parameters::Parameters;

/// How rows of one distinct text are measured under one card version.
#[derive(Clone, Copy, Debug)]
pub enum Classified {
    /// By a meter.
    At {
        code: SkuCode,
        raw: RawUnits,
        minimum: u64,
        round_up_to: u64,
    },
    /// By none; the number of the reason.
    Nowhere(u32),
}

impl Classified {
    /// Raw base units of a record, and their unit.
    pub fn raw(self, duration_ms: i64) -> (u64, UnitKind) {
        match self {
            Self::At {
                raw: RawUnits::Fixed(count),
                ..
            } => (count, UnitKind::Count),
            _ => (duration_ms.unsigned_abs(), UnitKind::Ms),
        }
    }
}

/// Why a record has no meter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reason {
    pub code: &'static str,
    pub sentence: String,
}

/// Accounts whose records get their SKUs alike: same zone, same cards at the same dates.
type ClassId = usize;

struct Class {
    zone: Tz,
    /// First day and card name of each of the terms, ascending.
    cards: Vec<(NaiveDate, String)>,
}

/// All that choosing a SKU needs to know about accounts and cards.
pub struct AccountCards {
    classes: Vec<Class>,
    class_of: HashMap<u64, ClassId>,
    /// Card versions in use, flat.
    versions: Vec<Arc<RateCard>>,
    version_ids: HashMap<(String, NaiveDate), usize>,
    cards: RateCatalog,
}

/// A local day of a class within a UTC day, and the card version in force on it.
#[derive(Clone, Copy, Debug)]
pub struct LocalDay {
    /// First instant after it, nanoseconds since 1970.
    pub until_ns: i64,
    pub day: i32,
    /// None before the first version of the card.
    pub version: Option<usize>,
}

impl AccountCards {
    /// Sorts the accounts into classes. Unknown accounts get the first class: the default terms.
    pub fn new(accounts: &Accounts, cards: RateCatalog, default_terms: &Terms) -> Self {
        let mut map = Self {
            classes: vec![class_of_terms(std::slice::from_ref(default_terms))],
            class_of: HashMap::new(),
            versions: Vec::new(),
            version_ids: HashMap::new(),
            cards,
        };
        for card in map.cards.versions() {
            map.version_ids
                .insert((card.name.clone(), card.from), map.versions.len());
            map.versions.push(Arc::clone(card));
        }
        for (uin, account) in accounts.iter() {
            let class = class_of_terms(&account.terms);
            let same = map
                .classes
                .iter()
                .position(|c| c.zone == class.zone && c.cards == class.cards);
            let id = same.unwrap_or_else(|| {
                map.classes.push(class);
                map.classes.len() - 1
            });
            if id != 0 {
                map.class_of.insert(uin, id);
            }
        }
        map
    }

    pub fn class(&self, uin: u64) -> ClassId {
        self.class_of.get(&uin).copied().unwrap_or(0)
    }

    pub fn zone(&self, uin: u64) -> Tz {
        self.classes[self.class(uin)].zone
    }

    pub fn versions(&self) -> &[Arc<RateCard>] {
        &self.versions
    }

    /// The local days that the UTC instants `[from, to)` touch, for each class.
    pub fn local_days(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<Vec<LocalDay>> {
        self.classes
            .iter()
            .map(|class| self.local_days_of(class, from, to))
            .collect()
    }

    fn local_days_of(&self, class: &Class, from: DateTime<Utc>, to: DateTime<Utc>) -> Vec<LocalDay> {
        let mut days = Vec::new();
        let mut day = local_day(class.zone, from);
        loop {
            let next = day.succ_opt().unwrap_or(NaiveDate::MAX);
            let until = midnight(class.zone, next).with_timezone(&Utc);
            days.push(LocalDay {
                until_ns: until.timestamp_nanos_opt().unwrap_or(i64::MAX),
                day: number_of_day(day),
                version: self.version_on(class, day),
            });
            if until >= to || next == day {
                return days;
            }
            day = next;
        }
    }

    fn version_on(&self, class: &Class, day: NaiveDate) -> Option<usize> {
        // Usage before the first terms extends their periods backwards, so their card holds for it too.
        let at = class.cards.partition_point(|(from, _)| *from <= day).max(1);
        let card = self.cards.in_force(&class.cards[at - 1].1, day)?;
        self.version_ids.get(&(card.name.clone(), card.from)).copied()
    }
}

fn class_of_terms(terms: &[Terms]) -> Class {
    let zone = terms[0].zone;
    let mut cards: Vec<(NaiveDate, String)> = terms.iter().map(|t| (t.from, t.card.clone())).collect();
    cards.dedup_by(|later, earlier| later.1 == earlier.1);
    if let [only] = &mut cards[..] {
        // The date of one card for ever makes no class of its own.
        only.0 = NaiveDate::MIN;
    }
    Class { zone, cards }
}

/// A borrowed (task type, parameters), hashed as the owned pair is.
#[derive(Hash)]
struct NameRef<'a>(&'a str, &'a str);

impl hashbrown::Equivalent<(String, String)> for NameRef<'_> {
    fn equivalent(&self, owned: &(String, String)) -> bool {
        self.0 == owned.0 && self.1 == owned.1
    }
}

/// Places distinct texts, remembering each; shared by the threads, which ask for the texts of a row group at a time.
pub struct SkuCache<'m> {
    map: &'m AccountCards,
    texts: RwLock<Texts>,
    state: Mutex<State>,
}

/// Task types and parameters, numbered by first sight.
#[derive(Default)]
struct Texts {
    numbers: HashMap<(String, String), u32>,
    names: Vec<(String, String)>,
}

#[derive(Default)]
struct State {
    places: SkuRegions,
    reasons: Vec<Reason>,
    /// By text and card version.
    classified: HashMap<(u32, Option<usize>), Classified>,
}

impl<'m> SkuCache<'m> {
    pub fn new(map: &'m AccountCards) -> Self {
        Self {
            map,
            texts: RwLock::default(),
            state: Mutex::default(),
        }
    }

    /// The number of a task type with canonical parameters.
    pub fn text(&self, task_type: &str, parameters: &str) -> u32 {
        self.texts(&[(task_type, parameters)])[0]
    }

    /// The numbers of task types with canonical parameters.
    pub fn texts(&self, names: &[(&str, &str)]) -> Vec<u32> {
        let known: Vec<Option<u32>> = {
            let texts = self.texts.read().unwrap_or_else(PoisonError::into_inner);
            names.iter().map(|name| texts.number(name)).collect()
        };
        if let Some(all) = known.iter().copied().collect() {
            return all;
        }
        let mut texts = self.texts.write().unwrap_or_else(PoisonError::into_inner);
        let numbers = known.into_iter().zip(names);
        numbers
            .map(|(known, name)| known.unwrap_or_else(|| texts.number_or_new(name)))
            .collect()
    }

    /// How a text is measured under a card version.
    pub fn place(&self, text: u32, version: Option<usize>) -> Classified {
        let state = &mut *self.lock();
        if let Some(&known) = state.classified.get(&(text, version)) {
            return known;
        }
        let (task_type, parameters) = self.name(text);
        let classified = match assign(self.map, version, &task_type, &parameters) {
            Ok((place, raw, minimum, round_up_to)) => Classified::At {
                code: state.places.code(place),
                raw,
                minimum,
                round_up_to,
            },
            Err(reason) => {
                state.reasons.push(reason);
                Classified::Nowhere(u32::try_from(state.reasons.len() - 1).expect("fewer reasons than rows"))
            }
        };
        state.classified.insert((text, version), classified);
        classified
    }

    /// The place of a code.
    pub fn sku_region_of(&self, code: SkuCode) -> SkuRegion {
        self.lock().places.get(code).clone()
    }

    pub fn reason(&self, number: u32) -> Reason {
        self.lock().reasons[number as usize].clone()
    }

    /// Task type and parameters of a text.
    pub fn name(&self, text: u32) -> (String, String) {
        let texts = self.texts.read().unwrap_or_else(PoisonError::into_inner);
        texts.names[text as usize].clone()
    }

    /// All places there came to be.
    pub fn into_sku_regions(self) -> SkuRegions {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner).places
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Texts {
    fn number(&self, name: &(&str, &str)) -> Option<u32> {
        self.numbers.get(&NameRef(name.0, name.1)).copied()
    }

    fn number_or_new(&mut self, name: &(&str, &str)) -> u32 {
        if let Some(number) = self.number(name) {
            return number;
        }
        let number = u32::try_from(self.names.len()).expect("fewer distinct texts than rows");
        let name = (name.0.to_owned(), name.1.to_owned());
        self.names.push(name.clone());
        self.numbers.insert(name, number);
        number
    }
}

type Measured = (SkuRegion, RawUnits, u64, u64);

fn assign(map: &AccountCards, version: Option<usize>, task_type: &str, parameters: &str) -> Result<Measured, Reason> {
    let Some(version) = version else {
        return Err(Reason {
            code: "no_card",
            sentence: "no version of the account's rate card was in force on that day; import one".to_owned(),
        });
    };
    let card = &map.versions[version];
    let parameters = Parameters::from_canonical(parameters).map_err(|error| Reason {
        code: "bad_parameters",
        sentence: error.to_string(),
    })?;
    let assignment = card.assign(task_type, &parameters).map_err(|unmetered| Reason {
        code: unmetered.code,
        sentence: unmetered.sentence,
    })?;
    let meter = &card.meters[assignment.meter];
    let unit = match assignment.raw {
        RawUnits::Duration => UnitKind::Ms,
        RawUnits::Fixed(_) => UnitKind::Count,
    };
    let place = SkuRegion {
        region: assignment.region.into(),
        sku: assignment.sku.into(),
        unit,
        task_type: task_type.into(),
    };
    Ok((place, assignment.raw, meter.minimum, meter.round_up_to))
}
