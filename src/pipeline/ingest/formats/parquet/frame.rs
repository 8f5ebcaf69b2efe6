//! Rows as the decoder gives them, made columns of the few kinds that a record is read from: each a field, a parameter or no field at all.

use polars::prelude::*;
use polars_arrow::array::Array as _;

use super::PARAMETER_PREFIX;
use super::column_types::{Column as Typed, Of, name_of};
use super::line;
use super::line::Spelling;
use crate::pipeline::ingest::record::fields::Field;

/// What a column is to a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Role {
    Field(Field),
    /// Of this name.
    Parameter(String),
    /// No record has it.
    Unknown(String),
}

/// A column of rows.
#[derive(Clone, Debug)]
pub struct FrameColumn {
    pub role: Role,
    pub spelling: Spelling,
    /// In one chunk.
    pub series: Series,
}

/// Some rows, in columns sorted by their names in a line.
#[derive(Clone, Debug)]
pub struct Frame {
    pub height: usize,
    pub columns: Vec<FrameColumn>,
}

impl Frame {
    /// Rows of columns of these types.
    pub fn of(rows: &DataFrame, types: &[Typed]) -> PolarsResult<Self> {
        let mut columns = Vec::new();
        for column in rows.columns() {
            let of = types
                .iter()
                .find(|typed| typed.name == column.name().as_str())
                .map_or(&Of::Plain, |typed| &typed.of);
            add(
                &mut columns,
                column.name(),
                &column.as_materialized_series().rechunk(),
                of,
            )?;
        }
        columns.sort_by(|a, b| a.role.order().cmp(&b.role.order()));
        Ok(Self {
            height: rows.height(),
            columns,
        })
    }
}

impl Role {
    /// The name that a line has it by; of a parameter also its own.
    fn order(&self) -> (&str, &str) {
        match self {
            Self::Field(field) => (field.name(), ""),
            Self::Parameter(name) => (Field::Parameters.name(), name),
            Self::Unknown(name) => (name, ""),
        }
    }

    fn of(name: &str) -> Self {
        match (name.strip_prefix(PARAMETER_PREFIX), Field::named(name)) {
            (Some(parameter), _) => Self::Parameter(parameter.to_owned()),
            (None, Some(field)) => Self::Field(field),
            (None, None) => Self::Unknown(name.to_owned()),
        }
    }

    /// Whether a whole number is its digits here: it names something.
    fn is_text_of_digits(&self) -> bool {
        use Field::{EventId, Id, TaskId, Voids};
        matches!(self, Self::Field(Id | Voids | TaskId | EventId))
    }

    /// Whether a time without a zone is left out here, for nothing is decided by it.
    fn may_be_without_zone(&self) -> bool {
        matches!(self, Self::Field(Field::CreatedAt | Field::StartedAt))
    }
}

fn add(columns: &mut Vec<FrameColumn>, name: &str, series: &Series, of: &Of) -> PolarsResult<()> {
    let role = Role::of(name);
    if let (Role::Field(Field::Parameters), DataType::Struct(_)) = (&role, series.dtype()) {
        let members: &[(String, Of)] = if let Of::Struct(members) = of { members } else { &[] };
        for member in series.struct_()?.fields_as_series() {
            let of = members.iter().find(|(name, _)| name == member.name().as_str());
            let of = of.map_or(&Of::Plain, |(_, of)| of);
            let name = format!("{PARAMETER_PREFIX}{}", member.name());
            add(columns, &name, &where_there(&member, series)?.rechunk(), of)?;
        }
        return Ok(());
    }
    let (spelling, series) = read(&role, series, of)?;
    columns.push(FrameColumn { role, spelling, series });
    Ok(())
}

/// A field of a struct: what stands in one that is null does not count.
fn where_there(field: &Series, whole: &Series) -> PolarsResult<Series> {
    if whole.null_count() == 0 {
        return Ok(field.clone());
    }
    let nulls = Series::full_null(field.name().clone(), field.len(), field.dtype());
    field.zip_with(&whole.is_not_null(), &nulls)
}

/// A column's values as a record has them.
fn read(role: &Role, series: &Series, of: &Of) -> PolarsResult<(Spelling, Series)> {
    let plain = |series: Series| Ok((Spelling::Plain, series));
    match of {
        Of::Map(values) if *role == Role::Field(Field::Parameters) => Ok((Spelling::Json, objects(series, values)?)),
        Of::Other(_) | Of::Map(_) | Of::Struct(_) => Ok((Spelling::Named(name_of(of)), series.clone())),
        Of::Text => plain(texts(series)?),
        Of::Json => {
            let series = texts(series)?;
            let is_text = *series.dtype() == DataType::String;
            Ok((if is_text { Spelling::Json } else { Spelling::Plain }, series))
        }
        Of::Uuid => plain(texts_of(series, |bytes| Some(uuid(bytes)))?),
        Of::Int96 { is_local } => plain(instants(series, *is_local)?),
        Of::Date => plain(dates(series)?),
        Of::Decimal { scale } => {
            let series = decimals(series, *scale)?;
            let is_digits = role.is_text_of_digits() && all_whole(&series)?;
            Ok((if is_digits { Spelling::Plain } else { Spelling::Number }, series))
        }
        Of::Plain => match series.dtype() {
            DataType::Binary => plain(texts(series)?),
            dtype if dtype.is_integer() && role.is_text_of_digits() => plain(series.cast(&DataType::String)?),
            DataType::Datetime(_, None) if role.may_be_without_zone() => plain(Series::full_null(
                series.name().clone(),
                series.len(),
                &DataType::String,
            )),
            dtype if dtype.is_float() && is_named_by_number(role) => Ok((Spelling::Float, series.clone())),
            _ => plain(series.clone()),
        },
    }
}

/// Whether the field is a number that names something: a floating-point column may have lost digits of it.
fn is_named_by_number(role: &Role) -> bool {
    use Field::{Appid, Id, Uin, Voids};
    matches!(role, Role::Field(Uin | Appid | Id | Voids))
}

/// Bytes as text, if all are.
fn texts(series: &Series) -> PolarsResult<Series> {
    if *series.dtype() != DataType::Binary {
        return Ok(series.clone());
    }
    let bytes = series.binary()?;
    if bytes.iter().flatten().any(|bytes| std::str::from_utf8(bytes).is_err()) {
        return Ok(series.clone());
    }
    texts_of(series, |bytes| std::str::from_utf8(bytes).ok().map(ToOwned::to_owned))
}

fn texts_of(series: &Series, text: impl Fn(&[u8]) -> Option<String>) -> PolarsResult<Series> {
    let texts = series.binary()?.iter().map(|bytes| bytes.and_then(&text));
    Ok(StringChunked::from_iter_options(series.name().clone(), texts).into_series())
}

/// Such as `123e4567-e89b-12d3-a456-426614174000`.
fn uuid(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(36);
    for (at, byte) in bytes.iter().enumerate() {
        if [4, 6, 8, 10].contains(&at) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

const NS_PER_DAY: i128 = 86_400_000_000_000;

/// 1970-01-01 as INT96 counts days.
const JULIAN_DAY_OF_1970: i128 = 2_440_588;

/// Nanoseconds since 1970 of 12 bytes: those of the day, then the day.
fn int96_ns(bytes: &[u8]) -> Option<i128> {
    let (of_day, day) = bytes.split_at_checked(8)?;
    let of_day = i64::from_le_bytes(of_day.try_into().ok()?);
    let day = i32::from_le_bytes(day.try_into().ok()?);
    Some((i128::from(day) - JULIAN_DAY_OF_1970) * NS_PER_DAY + i128::from(of_day))
}

/// Instants, or local times; where one does not fit into nanoseconds, all as text, for the record's check to refuse it.
fn instants(series: &Series, is_local: bool) -> PolarsResult<Series> {
    let name = series.name().clone();
    let all: Vec<Option<i128>> = series.binary()?.iter().map(|bytes| bytes.and_then(int96_ns)).collect();
    if all.iter().flatten().all(|at| i64::try_from(*at).is_ok()) {
        let fitting = all.iter().map(|at| at.and_then(|at| i64::try_from(at).ok()));
        let zone = if is_local { None } else { Some(TimeZone::UTC) };
        return Ok(Int64Chunked::from_iter_options(name, fitting)
            .into_datetime(TimeUnit::Nanoseconds, zone)
            .into_series());
    }
    let texts = all.iter().map(|at| at.map(|at| line::instant_text(at, is_local)));
    Ok(StringChunked::from_iter_options(name, texts).into_series())
}

fn dates(series: &Series) -> PolarsResult<Series> {
    let epoch = chrono::NaiveDate::default();
    let date = |days: i32| match epoch.checked_add_signed(chrono::TimeDelta::days(days.into())) {
        Some(date) => date.to_string(),
        None => format!("{days} days after 1970-01-01"),
    };
    let texts = series.i32()?.iter().map(|days| days.map(date));
    Ok(StringChunked::from_iter_options(series.name().clone(), texts).into_series())
}

/// Decimals as their shortest plain text.
fn decimals(series: &Series, scale: u32) -> PolarsResult<Series> {
    let name = series.name().clone();
    if *series.dtype() == DataType::Binary {
        return texts_of(series, |bytes| Some(decimal_text(&integer_text(bytes), scale)));
    }
    let whole = series.cast(&DataType::Int64)?;
    let texts = whole
        .i64()?
        .iter()
        .map(|value| value.map(|value| decimal_text(&value.to_string(), scale)));
    Ok(StringChunked::from_iter_options(name, texts).into_series())
}

/// The digits of a big-endian two's complement number.
fn integer_text(bytes: &[u8]) -> String {
    if bytes.len() > 16 {
        return num_bigint::BigInt::from_signed_bytes_be(bytes).to_string();
    }
    let sign = if bytes.first().is_some_and(|first| first & 0x80 != 0) {
        -1_i128
    } else {
        0
    };
    let value = bytes.iter().fold(sign, |value, byte| (value << 8) | i128::from(*byte));
    value.to_string()
}

/// A whole number with so many of its digits after the point, without zeros at its end.
fn decimal_text(digits: &str, scale: u32) -> String {
    let (sign, digits) = match digits.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", digits),
    };
    let scale = scale as usize;
    let padded = format!("{digits:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() {
        format!("{sign}{whole}")
    } else {
        format!("{sign}{whole}.{fraction}")
    }
}

fn all_whole(numbers: &Series) -> PolarsResult<bool> {
    Ok(!numbers.str()?.iter().flatten().any(|number| number.contains('.')))
}

/// Maps as JSON objects, member by member as they stand: a name that is there twice is the record's check to refuse.
fn objects(series: &Series, values: &Of) -> PolarsResult<Series> {
    let maps = series.list()?;
    let array = maps.downcast_as_array();
    let entries = Series::from_arrow(PlSmallStr::EMPTY, array.values().clone())?;
    let [names, values] = {
        let members = entries.struct_()?.fields_as_series();
        let [names, found] = <[Series; 2]>::try_from(members)
            .map_err(|_| polars_err!(ComputeError: "the entries of a map are not pairs of name and value"))?;
        let (spelling, found) = read(&Role::Parameter(String::new()), &found.rechunk(), values)?;
        let names = FrameColumn {
            role: Role::Parameter(String::new()),
            spelling: Spelling::Plain,
            series: texts(&names.rechunk())?,
        };
        let found = FrameColumn {
            role: Role::Parameter(String::new()),
            spelling,
            series: found,
        };
        [names, found]
    };
    let offsets = array.offsets();
    let objects = (0..array.len()).map(|row| {
        if array.is_null(row) {
            return Ok(None);
        }
        let (start, end) = offsets.start_end(row);
        let mut object = vec![b'{'];
        for at in start..end {
            if at > start {
                object.push(b',');
            }
            line::write_value(&mut object, &names, at)?;
            object.push(b':');
            line::write_value(&mut object, &values, at)?;
        }
        object.push(b'}');
        Ok(Some(object))
    });
    let objects: Vec<Option<Vec<u8>>> = objects.collect::<PolarsResult<_>>()?;
    let bytes =
        BinaryChunked::from_iter_options(series.name().clone(), objects.iter().map(Option::as_deref)).into_series();
    texts(&bytes)
}
