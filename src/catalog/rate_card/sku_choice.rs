//! From a record's task type and parameters to its meter, SKU and region: on distinct values, never per row.

use std::borrow::Cow;

use super::meter::{Dimension, Fits, Meter, Of, Quantity, Step};
use super::{MAX_REGION_BYTES, RateCard};
use crate::values::parameters::{Parameters, Scalar};

/// The parameter that names a record's region.
const REGION: &str = "region";

/// Longest piece of a value in a sentence, in characters: enough to find it, short enough to list.
const SHOWN_CHARS: usize = 40;

/// What a card makes of records with the same task type and parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assignment {
    /// Position in the card's meters.
    pub meter: usize,
    /// The SKU; it may still have no price.
    pub sku: String,
    /// The region, given or the card's default; it is in a region group.
    pub region: String,
    /// What each of the records counts, before the meter's policy.
    pub raw: RawUnits,
}

/// What a record counts, in base units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RawUnits {
    /// Its own `duration_ms`.
    Duration,
    /// The same for each record with these parameters.
    Fixed(u64),
}

/// Why a card cannot meter records with these values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{sentence}")]
pub struct Unmetered {
    /// Stable: `no_meter`, `no_match`, `missing_parameter`, `no_step`, `bad_quantity` or `unknown_region`.
    pub code: &'static str,
    /// What is missing or does not fit, and what would.
    pub sentence: String,
}

impl RateCard {
    /// The meter, SKU and region of records with this task type and these parameters. Meters are tried in order; the
    /// first whose dimensions all fit wins.
    ///
    /// # Errors
    /// The reason of the meter that came nearest.
    pub fn assign(&self, task_type: &str, parameters: &Parameters) -> Result<Assignment, Unmetered> {
        let mut nearest: Option<Miss> = None;
        for (at, meter) in self
            .meters
            .iter()
            .enumerate()
            .filter(|(_, meter)| meter.task_type == task_type)
        {
            match fit(meter, parameters) {
                Ok(sku) => {
                    let raw = raw_units(meter, parameters)?;
                    let region = self.region_of(parameters)?;
                    return Ok(Assignment {
                        meter: at,
                        sku,
                        region,
                        raw,
                    });
                }
                Err(miss) => nearest = Some(Miss::nearer(nearest, miss)),
            }
        }
        Err(nearest.map_or_else(|| self.no_meter(task_type), |miss| self.explain(task_type, miss)))
    }

    fn region_of(&self, parameters: &Parameters) -> Result<String, Unmetered> {
        let region = match parameters.get(REGION) {
            None => self.default_region.as_str(),
            Some(region) => region.text(),
        };
        let printable = !region.is_empty() && region.len() <= MAX_REGION_BYTES && !region.contains(char::is_control);
        if printable && self.region_group(region).is_some() {
            return Ok(region.to_owned());
        }
        let name = &self.name;
        let cure = if printable {
            format!("it is in no region group of card {name}; add it to one")
        } else {
            format!("a region has 1 to {MAX_REGION_BYTES} bytes and no control characters")
        };
        Err(unmetered(
            "unknown_region",
            format!("the region {}: {cure}", shown(region)),
        ))
    }

    fn no_meter(&self, task_type: &str) -> Unmetered {
        let name = &self.name;
        unmetered(
            "no_meter",
            format!(
                "card {name} has no meter for the task type {}; add one",
                shown(task_type)
            ),
        )
    }

    /// Adds to a value that fits no list what any meter of the task type would have taken there.
    fn explain(&self, task_type: &str, miss: Miss) -> Unmetered {
        let Some(parameter) = miss.unlisted else {
            return miss.reason;
        };
        let meters = self.meters.iter().filter(|meter| meter.task_type == task_type);
        let mut values: Vec<&str> = meters
            .flat_map(|meter| &meter.dimensions)
            .filter(|dimension| matches!(&dimension.of, Of::Parameter(name) if *name == parameter))
            .filter_map(|dimension| match &dimension.fits {
                Fits::Values(values) => Some(values),
                Fits::Steps(_) => None,
            })
            .flatten()
            .map(String::as_str)
            .collect();
        values.sort_unstable();
        values.dedup();
        let Unmetered { code, sentence } = miss.reason;
        unmetered(
            code,
            format!("{sentence}; card {} takes {}", self.name, values.join(", ")),
        )
    }
}

/// How far a meter came with a record, and what stopped it.
struct Miss {
    /// How many of its dimensions fit.
    fitting: usize,
    /// Set when a value is in no list: the parameter.
    unlisted: Option<String>,
    reason: Unmetered,
}

impl Miss {
    /// The one that came further; of two that came as far, the first.
    fn nearer(before: Option<Self>, now: Self) -> Self {
        before.filter(|before| now.fitting <= before.fitting).unwrap_or(now)
    }
}

/// The SKU of the record by this meter, when all its dimensions fit.
fn fit(meter: &Meter, parameters: &Parameters) -> Result<String, Miss> {
    let mut names: Vec<(&str, &str)> = Vec::with_capacity(meter.dimensions.len());
    let mut first: Option<Miss> = None;
    for dimension in &meter.dimensions {
        match name_of(dimension, parameters) {
            Ok(name) => names.push((&dimension.name, name)),
            Err(miss) => first = first.or(Some(miss)),
        }
    }
    match first {
        Some(miss) => Err(Miss {
            fitting: names.len(),
            ..miss
        }),
        None => Ok(meter.sku_of(&names)),
    }
}

/// What the record's value is called in the SKU.
fn name_of<'c>(dimension: &'c Dimension, parameters: &Parameters) -> Result<&'c str, Miss> {
    match &dimension.fits {
        Fits::Values(values) => listed(&dimension.of, values, parameters),
        Fits::Steps(steps) => stepped(&dimension.of, steps, parameters).map_err(Miss::from),
    }
}

fn listed<'c>(of: &Of, values: &'c [String], parameters: &Parameters) -> Result<&'c str, Miss> {
    let (name, value) = match of {
        Of::Parameter(name) => (name, Cow::Borrowed(present(name, parameters)?.text())),
        Of::ShortSide => (&of.to_string(), Cow::Owned(short_side(parameters)?.to_string())),
    };
    if let Ok(at) = values.binary_search_by(|listed| listed.as_str().cmp(&value)) {
        return Ok(&values[at]);
    }
    let reason = unmetered(
        "no_match",
        format!("the parameter {name} is {}, which no meter takes", shown(&value)),
    );
    Err(Miss {
        fitting: 0,
        unlisted: Some(name.clone()),
        reason,
    })
}

fn stepped<'c>(of: &Of, steps: &'c [Step], parameters: &Parameters) -> Result<&'c str, Unmetered> {
    let number = match of {
        Of::Parameter(name) => rounded_up(name, present(name, parameters)?)?,
        Of::ShortSide => short_side(parameters)?,
    };
    let step = steps.iter().find(|step| number <= step.up_to);
    step.map(|step| step.name.as_str()).ok_or_else(|| {
        let largest = steps.last().map_or(0, |step| step.up_to);
        unmetered(
            "no_step",
            format!("{of} is {number}, above the last step, {largest}; add a step to the card"),
        )
    })
}

/// The smaller of width and height: the same for a portrait and a landscape picture.
fn short_side(parameters: &Parameters) -> Result<u64, Unmetered> {
    let side = |name: &str| match whole(present(name, parameters)?) {
        Some(pixels) if 0 < pixels => Ok(pixels),
        _ => Err(not_a_number(
            "no_step",
            name,
            parameters,
            "a whole number of pixels, 1 or more",
        )),
    };
    Ok(side("width")?.min(side("height")?))
}

/// The smallest whole number that is not below the value: `up_to` is whole, so it decides the same step.
fn rounded_up(name: &str, value: &Scalar) -> Result<u64, Unmetered> {
    let Some(text) = value.decimal() else {
        let value = shown(value.text());
        let what = format!("the parameter {name} is {value}, not a number; send plain digits, such as 30 or 29.97");
        return Err(unmetered("no_step", what));
    };
    let (whole_part, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let up = u64::from(fraction.bytes().any(|digit| digit != b'0'));
    let number = whole_part.parse::<u64>().ok().and_then(|number| number.checked_add(up));
    number.ok_or_else(|| {
        unmetered(
            "no_step",
            format!("the parameter {name} is {}, which no step takes", shown(&text)),
        )
    })
}

/// What each record counts by this meter.
fn raw_units(meter: &Meter, parameters: &Parameters) -> Result<RawUnits, Unmetered> {
    match &meter.quantity {
        Quantity::Duration => Ok(RawUnits::Duration),
        Quantity::Count => Ok(RawUnits::Fixed(1)),
        Quantity::Parameter(name) => {
            let number = whole(present(name, parameters)?);
            let needed = "a whole number, 0 or more, because it is what is charged";
            number
                .map(RawUnits::Fixed)
                .ok_or_else(|| not_a_number("bad_quantity", name, parameters, needed))
        }
    }
}

fn present<'p>(name: &str, parameters: &'p Parameters) -> Result<&'p Scalar, Unmetered> {
    let missing = || {
        unmetered(
            "missing_parameter",
            format!("the parameter {name} is missing; the SKU or quantity needs it"),
        )
    };
    parameters.get(name).ok_or_else(missing)
}

fn whole(value: &Scalar) -> Option<u64> {
    value.decimal()?.parse().ok()
}

fn not_a_number(code: &'static str, name: &str, parameters: &Parameters, needed: &str) -> Unmetered {
    let value = parameters
        .get(name)
        .map_or_else(String::new, |value| value.text().to_owned());
    unmetered(
        code,
        format!("the parameter {name} is {}; it must be {needed}", shown(&value)),
    )
}

/// A value in quotes, escaped, and cut where it is long.
fn shown(value: &str) -> String {
    let mut cut: String = value.chars().take(SHOWN_CHARS).collect();
    if cut.len() < value.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

fn unmetered(code: &'static str, sentence: String) -> Unmetered {
    Unmetered { code, sentence }
}

impl From<Unmetered> for Miss {
    fn from(reason: Unmetered) -> Self {
        Self {
            fitting: 0,
            unlisted: None,
            reason,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::rate_card::samples::{CN, INTL, card, parameters};

    fn sku(card: &RateCard, task_type: &str, json: &str) -> String {
        match card.assign(task_type, &parameters(json)) {
            Ok(assignment) => assignment.sku,
            Err(unmetered) => unmetered.code.to_owned(),
        }
    }

    #[test]
    fn a_step_takes_its_upper_bound_and_the_short_side_decides() {
        let card = card(CN);
        let of = |width: u32, height: u32| {
            sku(
                &card,
                "Transcode",
                &format!(r#"{{"type":"Standard","codec":"H265","width":{width},"height":{height}}}"#),
            )
        };
        let expected = [
            (180, 320, "SD"),
            (320, 180, "SD"),
            (640, 480, "SD"),
            (640, 481, "HD"),
            (720, 9999, "HD"),
            (1920, 1080, "FHD"),
            (1081, 1081, "2K"),
            (1440, 1440, "2K"),
            (2160, 3840, "4K"),
            (2161, 3840, "8K"),
            (4320, 4320, "8K"),
        ];
        for (width, height, name) in expected {
            assert_eq!(of(width, height), format!("Standard.H265.{name}"), "{width} x {height}");
        }
        assert_eq!(of(4321, 4321), "no_step");
        assert_eq!(of(0, 480), "no_step");
    }

    #[test]
    fn audio_and_remuxing_need_no_codec() {
        assert_eq!(sku(&card(CN), "Transcode", r#"{"type":"Audio"}"#), "Audio");
        assert_eq!(
            sku(
                &card(CN),
                "Transcode",
                r#"{"type":"Remuxing","width":640,"height":480}"#
            ),
            "Remuxing"
        );
    }

    #[test]
    fn the_reason_is_that_of_the_meter_that_came_nearest() {
        let card = card(CN);
        let reason = |json: &str| card.assign("Transcode", &parameters(json)).unwrap_err().to_string();
        let video = r#""codec":"H264","width":640,"height":480"#;
        assert_eq!(
            reason(&format!(r#"{{"type":"Bogus",{video}}}"#)),
            "the parameter type is \"Bogus\", which no meter takes; card mps-cn takes Audio, Remuxing, Standard, TESHD-10, TESHD-30"
        );
        assert_eq!(
            reason(r#"{"type":"Standard","codec":"H264","width":640}"#),
            "the parameter height is missing; the SKU or quantity needs it"
        );
        assert_eq!(
            reason(r#"{"type":"Standard","width":640,"height":480}"#),
            "the parameter codec is missing; the SKU or quantity needs it"
        );
    }

    #[test]
    fn every_reason_has_its_code() {
        let card = card(CN);
        assert_eq!(sku(&card, "Nonsense", "{}"), "no_meter");
        assert_eq!(sku(&card, "Transcode", "{}"), "missing_parameter");
        assert_eq!(sku(&card, "Transcode", r#"{"type":"audio"}"#), "no_match");
        assert_eq!(
            sku(
                &card,
                "Enhance",
                r#"{"type":"SuperResolution","codec":"AV1","width":4320,"height":4320}"#
            ),
            "no_step"
        );
        assert_eq!(sku(&card, "Snapshot", r#"{"type":"ImageSprite"}"#), "missing_parameter");
        assert_eq!(
            sku(&card, "Snapshot", r#"{"type":"ImageSprite","images":"8e0"}"#),
            "bad_quantity"
        );
        assert_eq!(
            sku(&card, "Snapshot", r#"{"type":"ImageSprite","images":1.5}"#),
            "bad_quantity"
        );
        assert_eq!(
            sku(&card, "Snapshot", r#"{"type":"ImageSprite","images":-1}"#),
            "bad_quantity"
        );
        assert_eq!(sku(&card, "AIReview", r#"{"region":""}"#), "unknown_region");
        assert_eq!(
            sku(&card, "AIReview", &format!(r#"{{"region":"{}"}}"#, "x".repeat(65))),
            "unknown_region"
        );
    }

    #[test]
    fn a_region_that_no_group_lists_is_never_priced_by_a_guess() {
        let video = r#""type":"Standard","codec":"H264","width":640,"height":480"#;
        let of = |region: &str| sku(&card(INTL), "Transcode", &format!(r#"{{{video},"region":"{region}"}}"#));
        assert_eq!(of("na-ashburn"), "Standard.H264.SD");
        assert_eq!(of("mars-north"), "unknown_region");
        assert_eq!(of("*"), "unknown_region");
    }

    #[test]
    fn a_record_counts_its_duration_or_its_images() {
        let card = card(CN);
        let snapshot = card
            .assign("Snapshot", &parameters(r#"{"type":"ImageSprite","images":8}"#))
            .unwrap();
        assert_eq!(
            (snapshot.raw, snapshot.region.as_str()),
            (RawUnits::Fixed(8), "ap-guangzhou")
        );
        assert_eq!(card.meters[snapshot.meter].name, "snapshot");
        assert_eq!(
            card.assign("AIReview", &parameters("{}")).unwrap().raw,
            RawUnits::Duration
        );
    }

    #[test]
    fn a_fraction_above_a_bound_is_in_the_next_step() {
        let number = |text: &str| rounded_up("fps", &Scalar::Number(text.into())).ok();
        assert_eq!(number("30"), Some(30));
        assert_eq!(number("30.01"), Some(31));
        assert_eq!(number("0.5"), Some(1));
        assert_eq!(number("-0.5"), None);
        assert_eq!(number("99999999999999999999"), None);
    }
}
