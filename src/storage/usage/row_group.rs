//! A row group of a usage file: some thousand rows of accounts that follow each other, which is read by itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hashbrown::HashMap;
use polars::prelude::*;
use polars_arrow::array::{Utf8ViewArray, View};
use polars_io::prelude::*;
use polars_parquet::parquet::metadata::FileMetadata;
use polars_parquet::parquet::statistics::Statistics;
use polars_parquet::read::RowGroupMetadata;

use super::table::{Run, UsageDay, Wanted};
use crate::storage::usage::row::Status;
use crate::support::error::{AtPath as _, Doing as _, Error, Result};
use crate::values::calendar::day_of_number;

/// The columns that rating and checks need.
const COLUMNS: [&str; 9] = [
    "uin", "appid", "region", "sku", "day", "status", "records", "raw", "billable",
];

/// A row group, by its file's footer.
#[derive(Clone)]
pub struct Group {
    path: Arc<PathBuf>,
    /// The metering that wrote the file.
    metering: i64,
    /// The footer, with this row group alone.
    metadata: Arc<FileMetadata>,
    /// The first and the last account that may have rows in it.
    pub uins: (u64, u64),
}

/// The row groups of a file that may have rows of accounts that are wanted.
pub fn groups_of(path: &Path, metering: i64, wanted: &Wanted) -> Result<Vec<Group>> {
    let mut file = std::fs::File::open(path).at(path)?;
    let mut metadata = polars_parquet::read::read_metadata(&mut file).doing(reading(path))?;
    let path = Arc::new(path.to_owned());
    let groups = std::mem::take(&mut metadata.row_groups);
    let mut found = Vec::with_capacity(groups.len());
    for group in groups {
        let uins = uins_of(&group, &metadata);
        if wanted.has_any(uins) {
            let mut metadata = metadata.clone();
            metadata.num_rows = group.num_rows();
            metadata.row_groups.push(group);
            found.push(Group {
                path: Arc::clone(&path),
                metering,
                metadata: Arc::new(metadata),
                uins,
            });
        }
    }
    Ok(found)
}

/// The first and the last account that each row group of a file may have rows of.
pub fn uin_ranges(path: &Path) -> Result<Vec<(u64, u64)>> {
    let mut file = std::fs::File::open(path).at(path)?;
    let metadata = polars_parquet::read::read_metadata(&mut file).doing(reading(path))?;
    Ok(metadata
        .row_groups
        .iter()
        .map(|group| uins_of(group, &metadata))
        .collect())
}

fn reading(path: &Path) -> String {
    format!("reading {}", path.display())
}

/// The smallest and the largest account, by the statistics; a file without them may have any account anywhere.
fn uins_of(group: &RowGroupMetadata, metadata: &FileMetadata) -> (u64, u64) {
    let column = group
        .columns_under_root_iter("uin")
        .and_then(|mut columns| columns.next());
    match column.and_then(|column| column.statistics(&metadata.footer_buf)) {
        Some(Ok(Statistics::Int64(known))) => (
            known.min_value.map_or(u64::MIN, i64::cast_unsigned),
            known.max_value.map_or(u64::MAX, i64::cast_unsigned),
        ),
        _ => (u64::MIN, u64::MAX),
    }
}

impl Group {
    /// Reads the `metered` rows that are wanted.
    pub fn read(&self, wanted: &Wanted) -> Result<Run> {
        let file = std::fs::File::open(&*self.path).at(&*self.path)?;
        let mut reader = ParquetReader::new(file)
            .with_columns(Some(COLUMNS.iter().map(|&column| column.to_owned()).collect()))
            .read_parallel(ParallelStrategy::None);
        reader.set_metadata(Arc::clone(&self.metadata));
        let mut frame = reader.finish().doing(reading(&self.path))?;
        frame.rechunk_mut();
        let columns = Columns::of(&frame).doing(reading(&self.path))?;
        let run = columns.run(self.metering, wanted);
        let (first, last) = self.uins;
        if run.rows.iter().any(|row| row.uin < first || last < row.uin) {
            let what = "has accounts outside of the range that its footer says";
            return Err(Error::damaged(&*self.path, what));
        }
        Ok(run)
    }
}

/// The columns of a row group, as plain slices.
struct Columns<'a> {
    uin: &'a [u64],
    appid: &'a [u64],
    region: &'a Utf8ViewArray,
    sku: &'a Utf8ViewArray,
    day: &'a [i32],
    status: &'a Utf8ViewArray,
    records: &'a [i64],
    raw: &'a [i64],
    billable: &'a [i64],
}

impl<'a> Columns<'a> {
    fn of(frame: &'a DataFrame) -> PolarsResult<Self> {
        let unsigned = |name: &str| frame.column(name)?.u64()?.cont_slice();
        let signed = |name: &str| frame.column(name)?.i64()?.cont_slice();
        let text = |name: &str| {
            let column = frame.column(name)?.str()?;
            let one = column.downcast_iter().next().filter(|_| column.null_count() == 0);
            one.ok_or_else(|| polars_err!(ComputeError: "{name} has no value in some row"))
        };
        Ok(Self {
            uin: unsigned("uin")?,
            appid: unsigned("appid")?,
            region: text("region")?,
            sku: text("sku")?,
            day: frame.column("day")?.date()?.phys.cont_slice()?,
            status: text("status")?,
            records: signed("records")?,
            raw: signed("raw")?,
            billable: signed("billable")?,
        })
    }

    fn run(&self, metering: i64, wanted: &Wanted) -> Run {
        let mut rows = Vec::with_capacity(self.uin.len());
        let mut places = SkuNumbers::new(self.region, self.sku);
        let mut end = 0;
        for account in self.uin.chunk_by(|one, next| one == next) {
            let start = end;
            end += account.len();
            let uin = account[0];
            let Some((from, to)) = wanted.days(uin) else {
                continue;
            };
            for at in start..end {
                let day = self.day[at];
                if from <= day && day < to && self.status.value(at) == Status::Metered.text() {
                    rows.push(UsageDay {
                        uin,
                        appid: self.appid[at],
                        records: self.records[at],
                        raw: self.raw[at],
                        billable: self.billable[at],
                        place: places.number(at),
                        day: day_of_number(day),
                    });
                }
            }
        }
        Run::new(metering, rows, places.names)
    }
}

/// Numbers for the regions and SKUs of a row group. Neighbours mostly have the same one.
struct SkuNumbers<'a> {
    region: &'a Utf8ViewArray,
    sku: &'a Utf8ViewArray,
    /// Where both texts of the last row lie, and its number.
    last: Option<([View; 2], u32)>,
    numbers: HashMap<(&'a str, &'a str), u32>,
    names: Vec<(Arc<str>, Arc<str>)>,
}

impl<'a> SkuNumbers<'a> {
    fn new(region: &'a Utf8ViewArray, sku: &'a Utf8ViewArray) -> Self {
        Self {
            region,
            sku,
            last: None,
            numbers: HashMap::new(),
            names: Vec::new(),
        }
    }

    fn number(&mut self, at: usize) -> u32 {
        let views = [self.region.views()[at], self.sku.views()[at]];
        if let Some((last, number)) = self.last
            && last == views
        {
            return number;
        }
        let name = (self.region.value(at), self.sku.value(at));
        let names = &mut self.names;
        let number = *self.numbers.entry(name).or_insert_with(|| {
            names.push((name.0.into(), name.1.into()));
            u32::try_from(names.len() - 1).expect("a row group has fewer rows than that")
        });
        self.last = Some((views, number));
        number
    }
}
