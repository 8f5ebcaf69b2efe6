//! What the columns of a file hold, by its footer: pandas, Spark, DuckDB and Athena have types of their own for the same values.
//!
//! The decoder is shown a footer with fewer types ([`simplify`]): numbers, texts and bytes as they are stored, and [`crate::pipeline::ingest::formats::parquet::frame`] makes of
//! the bytes what they mean.

use polars::prelude::{ArrowDataType, ArrowSchema};
use polars_parquet_format::{
    ConvertedType, FieldRepetitionType, FileMetaData, LogicalType, MapType, SchemaElement, StringType, TimeUnit,
    TimestampType, Type,
};

use super::PARAMETER_PREFIX;
use crate::pipeline::ingest::record::fields::Field;
use crate::support::quote::plain;

/// What the values of a column are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Of {
    /// Truth values, whole numbers, floating-point numbers, texts, instants: as the decoder gives them.
    Plain,
    /// Bytes that are text, where they are.
    Text,
    /// Bytes that are JSON.
    Json,
    /// 16 bytes.
    Uuid,
    /// 12 bytes: an instant as Spark and others write it.
    Int96 {
        /// Or a local time, by what the writer says beside.
        is_local: bool,
    },
    /// A whole number, or its bytes, with so many of its digits after the point.
    Decimal { scale: u32 },
    /// Days since 1970.
    Date,
    /// Columns by name.
    Struct(Vec<(String, Of)>),
    /// Values by name.
    Map(Box<Of>),
    /// What no field of a record holds, as users call it.
    Other(String),
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: String,
    pub of: Of,
}

/// Groups within groups, at most.
const DEPTH_MAX: usize = 32;

/// The columns of a file, or what is wrong with its schema.
pub fn columns(metadata: &FileMetaData) -> Result<Vec<Column>, String> {
    let mut schema = metadata.schema.iter();
    let root = schema.next().ok_or_else(damaged)?;
    let writer = Writer::of(metadata);
    let columns = (0..root.num_children.unwrap_or(0)).map(|_| {
        let (name, of) = column(&mut schema, &writer, DEPTH_MAX)?.once();
        Ok(Column { name, of })
    });
    let columns = columns.collect::<Result<_, String>>()?;
    if schema.next().is_some() {
        return Err(damaged());
    }
    Ok(columns)
}

fn damaged() -> String {
    "is not a readable Parquet file: its schema is damaged".to_owned()
}

/// What is known of who wrote the file.
struct Writer {
    /// Impala writes local times as INT96, others instants.
    is_impala: bool,
}

impl Writer {
    fn of(metadata: &FileMetaData) -> Self {
        let created_by = metadata.created_by.as_deref().unwrap_or("");
        Self {
            is_impala: created_by.to_ascii_lowercase().starts_with("impala"),
        }
    }
}

/// A member of a group.
struct Member {
    name: String,
    of: Of,
    is_repeated: bool,
}

impl Member {
    /// What it is where one value is expected.
    fn once(self) -> (String, Of) {
        let of = if self.is_repeated {
            Of::Other(LIST.to_owned())
        } else {
            self.of
        };
        (self.name, of)
    }
}

const LIST: &str = "LIST";

/// Arrow's: Parquet has them as whole numbers of some unit.
const DURATION: &str = "DURATION";

type Schema<'a> = std::slice::Iter<'a, SchemaElement>;

/// The next column of a schema, with all that is in it.
fn column(schema: &mut Schema, writer: &Writer, depth: usize) -> Result<Member, String> {
    let element = schema.next().ok_or_else(damaged)?;
    let depth = depth.checked_sub(1).ok_or_else(damaged)?;
    let count = element.num_children.unwrap_or(0);
    let of = if count > 0 || element.type_.is_none() {
        let members = (0..count).map(|_| column(schema, writer, depth));
        group(element, members.collect::<Result<_, String>>()?)
    } else {
        leaf(element, writer)
    };
    Ok(Member {
        name: element.name.clone(),
        of,
        is_repeated: element.repetition_type == Some(FieldRepetitionType::REPEATED),
    })
}

fn group(element: &SchemaElement, members: Vec<Member>) -> Of {
    let converted = |types: &[ConvertedType]| element.converted_type.is_some_and(|it| types.contains(&it));
    match &element.logical_type {
        Some(LogicalType::LIST(_)) => Of::Other(LIST.to_owned()),
        Some(LogicalType::MAP(_)) => map(members),
        None if converted(&[ConvertedType::LIST]) => Of::Other(LIST.to_owned()),
        None if converted(&[ConvertedType::MAP, ConvertedType::MAP_KEY_VALUE]) => map(members),
        _ => Of::Struct(members.into_iter().map(Member::once).collect()),
    }
}

/// A map repeats one group of a name and a value.
fn map(members: Vec<Member>) -> Of {
    if let Ok([entries]) = <[Member; 1]>::try_from(members)
        && let Of::Struct(entry) = entries.of
        && let Ok([(_, name), (_, value)]) = <[(String, Of); 2]>::try_from(entry)
        && is_text(&name)
    {
        return Of::Map(Box::new(value));
    }
    Of::Other("MAP, and not of texts to values".to_owned())
}

fn is_text(of: &Of) -> bool {
    matches!(of, Of::Plain | Of::Text)
}

fn leaf(element: &SchemaElement, writer: &Writer) -> Of {
    let converted = |types: &[ConvertedType]| {
        element.logical_type.is_none() && element.converted_type.is_some_and(|it| types.contains(&it))
    };
    let other = |what: &str| Of::Other(what.to_owned());
    match &element.logical_type {
        Some(LogicalType::DECIMAL(decimal)) => return of_decimal(element, Some(decimal.scale)),
        Some(LogicalType::DATE(_)) => return Of::Date,
        Some(LogicalType::TIME(_)) => return other("TIME"),
        Some(LogicalType::JSON(_)) => return Of::Json,
        Some(LogicalType::BSON(_)) => return other("BSON"),
        Some(LogicalType::FLOAT16(_)) => return other("FLOAT16"),
        Some(LogicalType::UUID(_)) if element.type_length == Some(16) => return Of::Uuid,
        _ => {}
    }
    if converted(&[ConvertedType::DECIMAL]) {
        return of_decimal(element, element.scale);
    }
    if converted(&[ConvertedType::DATE]) {
        return Of::Date;
    }
    if converted(&[ConvertedType::TIME_MILLIS, ConvertedType::TIME_MICROS]) {
        return other("TIME");
    }
    if converted(&[ConvertedType::INTERVAL]) {
        return other("INTERVAL");
    }
    if converted(&[ConvertedType::JSON]) {
        return Of::Json;
    }
    if converted(&[ConvertedType::BSON]) {
        return other("BSON");
    }
    match element.type_ {
        Some(Type::BYTE_ARRAY) if is_named_text(element) => Of::Plain,
        Some(Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY) => Of::Text,
        Some(Type::INT96) => Of::Int96 {
            is_local: writer.is_impala,
        },
        Some(Type::BOOLEAN | Type::INT32 | Type::INT64 | Type::FLOAT | Type::DOUBLE) => Of::Plain,
        _ => other("a kind that this program does not know"),
    }
}

fn is_named_text(element: &SchemaElement) -> bool {
    match &element.logical_type {
        Some(logical) => matches!(logical, LogicalType::STRING(_) | LogicalType::ENUM(_)),
        None => element
            .converted_type
            .is_some_and(|it| [ConvertedType::UTF8, ConvertedType::ENUM].contains(&it)),
    }
}

fn of_decimal(element: &SchemaElement, scale: Option<i32>) -> Of {
    let is_stored_so = matches!(
        element.type_,
        Some(Type::INT32 | Type::INT64 | Type::BYTE_ARRAY | Type::FIXED_LEN_BYTE_ARRAY)
    );
    match u32::try_from(scale.unwrap_or(0)) {
        Ok(scale) if is_stored_so && scale <= DECIMAL_SCALE_MAX => Of::Decimal { scale },
        _ => Of::Other(format!("DECIMAL with {} digits after the point", scale.unwrap_or(0))),
    }
}

/// Digits after the point of a decimal that are read: as many as the widest decimal of other programs has.
const DECIMAL_SCALE_MAX: u32 = 76;

/// Where pyarrow, pandas, polars and DuckDB write what else they know of their columns.
const ARROW_SCHEMA: &str = "ARROW:schema";

/// Whether the writer told more of its columns than Parquet has types for.
pub fn has_arrow_schema(metadata: &FileMetaData) -> bool {
    let mut keys = metadata.key_value_metadata.iter().flatten();
    keys.any(|key_value| key_value.key == ARROW_SCHEMA)
}

/// Adds to the types what the writer told beside them.
pub fn refine(columns: &mut [Column], arrow: &ArrowSchema) {
    for column in columns {
        if let Some(field) = arrow.get(column.name.as_str()) {
            refine_one(&mut column.of, &field.dtype);
        }
    }
}

fn refine_one(of: &mut Of, arrow: &ArrowDataType) {
    match (&mut *of, arrow) {
        (Of::Plain, ArrowDataType::Duration(_)) => *of = Of::Other(DURATION.to_owned()),
        (Of::Int96 { is_local }, ArrowDataType::Timestamp(_, None)) => *is_local = true,
        (Of::Struct(members), ArrowDataType::Struct(fields)) => {
            for (name, of) in members {
                if let Some(field) = fields.iter().find(|field| field.name == name.as_str()) {
                    refine_one(of, &field.dtype);
                }
            }
        }
        _ => {}
    }
}

/// Leaves out of a footer what the decoder does not need to know of, so that it gives the values as they are stored: of annotations it
/// keeps those of whole numbers, texts, instants, lists and maps.
pub fn simplify(metadata: &mut FileMetaData) {
    metadata.key_value_metadata = None;
    for element in &mut metadata.schema {
        if element.num_children.unwrap_or(0) > 0 {
            let is_map = element
                .converted_type
                .is_some_and(|it| [ConvertedType::MAP, ConvertedType::MAP_KEY_VALUE].contains(&it));
            if is_map
                && element.logical_type.is_none()
                && element.repetition_type != Some(FieldRepetitionType::REPEATED)
            {
                element.logical_type = Some(LogicalType::MAP(MapType {}));
            }
            continue;
        }
        element.logical_type = simple_type(element);
        if element.logical_type.is_none() && !element.converted_type.is_some_and(is_integer) {
            element.converted_type = None;
        }
        // The same bytes: so a time that is out of range is not made another one.
        if element.type_ == Some(Type::INT96) {
            (element.type_, element.type_length) = (Some(Type::FIXED_LEN_BYTE_ARRAY), Some(12));
        }
    }
    for column in metadata.row_groups.iter_mut().flat_map(|group| &mut group.columns) {
        if let Some(metadata) = &mut column.meta_data {
            metadata.statistics = None;
            if metadata.type_ == Type::INT96 {
                metadata.type_ = Type::FIXED_LEN_BYTE_ARRAY;
            }
        }
    }
}

fn is_integer(converted: ConvertedType) -> bool {
    (ConvertedType::UINT_8.0..=ConvertedType::INT_64.0).contains(&converted.0)
}

fn simple_type(element: &SchemaElement) -> Option<LogicalType> {
    let instant = |unit| {
        // What the older annotation means, by the format's specification.
        Some(LogicalType::TIMESTAMP(TimestampType {
            is_adjusted_to_u_t_c: true,
            unit,
        }))
    };
    match &element.logical_type {
        Some(kept @ (LogicalType::INTEGER(_) | LogicalType::TIMESTAMP(_))) => Some(kept.clone()),
        _ if is_named_text(element) => Some(LogicalType::STRING(StringType {})),
        Some(_) => None,
        None => match element.converted_type {
            Some(ConvertedType::TIMESTAMP_MILLIS) => instant(TimeUnit::MILLIS(polars_parquet_format::MilliSeconds {})),
            Some(ConvertedType::TIMESTAMP_MICROS) => instant(TimeUnit::MICROS(polars_parquet_format::MicroSeconds {})),
            _ => None,
        },
    }
}

/// Columns that are named where `id` is missing.
const NAMES_TOLD: usize = 10;

/// Fails where no record can be made of the columns, with the cure.
pub fn check(columns: &[Column]) -> Result<(), String> {
    let has = |name: &str| columns.iter().any(|column| column.name == name);
    if !has(Field::Id.name()) {
        let names: Vec<String> = columns
            .iter()
            .take(NAMES_TOLD)
            .map(|column| format!("`{}`", plain(&column.name)))
            .collect();
        let more = if columns.len() > NAMES_TOLD { " and others" } else { "" };
        let names = names.join(", ");
        return Err(format!(
            "has no column `id`, and it has {names}{more}; every record needs an id"
        ));
    }
    let is_parameter = |column: &Column| column.name.starts_with(PARAMETER_PREFIX);
    if has(Field::Parameters.name()) && columns.iter().any(is_parameter) {
        return Err("has `parameters` and `parameters.…` columns; use one of the two".to_owned());
    }
    for (at, column) in columns.iter().enumerate() {
        let name = &column.name;
        if columns[..at].iter().any(|before| before.name == *name) {
            return Err(format!(
                "has the column `{}` twice; it is unclear which one counts",
                plain(name)
            ));
        }
        if name == Field::Parameters.name() {
            check_parameters(&column.of)?;
        } else if is_parameter(column) || Field::named(name).is_some() {
            check_value(name, &column.of)?;
        }
    }
    Ok(())
}

fn check_parameters(of: &Of) -> Result<(), String> {
    match of {
        Of::Struct(members) => members
            .iter()
            .try_for_each(|(name, of)| check_value(&format!("{PARAMETER_PREFIX}{name}"), of)),
        Of::Map(values) => check_value("parameters", values),
        Of::Plain | Of::Text | Of::Json => Ok(()),
        other => Err(format!(
            "the column `parameters` is of type {}; write it as a struct, as a map of texts, as JSON text, or as a column for each \
             parameter, named `parameters.codec` and so on",
            name_of(other)
        )),
    }
}

fn check_value(name: &str, of: &Of) -> Result<(), String> {
    let cure = match of {
        Of::Struct(_) | Of::Map(_) => "a single value is expected: write its members as separate columns",
        Of::Other(what) if what == LIST => "a single value is expected: write one record for each, or text",
        Of::Other(what) if what == DURATION => "write a whole number of milliseconds",
        Of::Other(what) if what == "FLOAT16" => "write it as DOUBLE, or as a whole number",
        Of::Other(_) => "write it as text or as a whole number",
        _ => return Ok(()),
    };
    Err(format!(
        "the column `{}` is of type {}; {cure}",
        plain(name),
        plain(&name_of(of))
    ))
}

/// A type in users' words.
pub fn name_of(of: &Of) -> String {
    match of {
        Of::Plain | Of::Text => "text, number or time".to_owned(),
        Of::Json => "JSON".to_owned(),
        Of::Uuid => "UUID".to_owned(),
        Of::Int96 { .. } => "INT96".to_owned(),
        Of::Decimal { scale } => format!("DECIMAL with {scale} digits after the point"),
        Of::Date => "DATE".to_owned(),
        Of::Struct(members) => {
            let members: Vec<&str> = members.iter().map(|(name, _)| name.as_str()).collect();
            format!("STRUCT({})", members.join(", "))
        }
        Of::Map(_) => "MAP".to_owned(),
        Of::Other(what) => what.clone(),
    }
}
