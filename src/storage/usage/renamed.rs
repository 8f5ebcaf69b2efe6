//! A usage file written anew with an account and its applications under other numbers. Sums stay, and rows are in the order of accounts.

use std::collections::BTreeMap;
use std::path::Path;

use polars::prelude::*;

use super::row::Status;
use super::row_group::uin_ranges;
use super::runs;
use crate::storage::parquet_writer::{ColumnFile, FileColumn, Packing, RowGroup, schema_of};
use crate::storage::raw::segment::{Groups, ROW_GROUP_ROWS};
use crate::support::error::{Doing as _, Error, Result};

/// The number of no application: of usage that is not metered.
const NO_APP: u64 = 0;

/// The other numbers.
#[derive(Clone, Copy, Debug)]
pub struct Renaming<'a> {
    pub uin: u64,
    pub new_uin: u64,
    /// Applications of the account, by their number so far.
    pub apps: &'a BTreeMap<u64, u64>,
}

/// Writes a file anew; not synced. Returns its size and SHA-256; none where the file has no rows of the account, and nothing is written.
/// The account's rows and one row group are in memory.
///
/// # Errors
/// [`Error::Unbalanced`] where an application has no other number, or the new number is that of an account in the file.
pub fn write_renamed(from: &Path, to: &Path, renaming: &Renaming) -> Result<Option<(u64, String)>> {
    let groups = Groups::open(from)?;
    let names = groups.names();
    let may_have: Vec<bool> = uin_ranges(from)?
        .into_iter()
        .map(|(first, last)| first <= renaming.uin && renaming.uin <= last)
        .collect();
    let Some(own) = own_rows(&groups, &names, &may_have, renaming)? else {
        return Ok(None);
    };
    let mut own = Some(own);
    let mut file = None;
    for (at, may_have) in may_have.into_iter().enumerate() {
        let mut frame = groups.read(at, &names)?;
        if may_have {
            let others: Vec<bool> = uins_of(&frame)?.iter().map(|uin| *uin != renaming.uin).collect();
            frame = filtered(&frame, &others)?;
        }
        let uins = uins_of(&frame)?;
        if uins.contains(&renaming.new_uin) {
            let what = format!("{} has usage of account {} already", from.display(), renaming.new_uin);
            return Err(Error::Unbalanced(what));
        }
        let before = uins.partition_point(|uin| *uin < renaming.new_uin);
        if before < frame.height()
            && let Some(own) = own.take()
        {
            let after = frame.slice(as_offset(before), frame.height() - before);
            frame = frame.slice(0, before);
            append(&mut frame, own)?;
            append(&mut frame, after)?;
        }
        write(&mut file, to, &frame)?;
    }
    if let Some(own) = own {
        write(&mut file, to, &own)?;
    }
    let file = file.ok_or_else(|| Error::damaged(from, "has no rows"))?;
    file.finish().map(Some)
}

/// The account's rows under their new numbers; none where there are none.
fn own_rows(groups: &Groups, names: &[&str], may_have: &[bool], renaming: &Renaming) -> Result<Option<DataFrame>> {
    let mut all: Option<DataFrame> = None;
    for at in (0..groups.count()).filter(|at| may_have[*at]) {
        let frame = groups.read(at, names)?;
        let own: Vec<bool> = uins_of(&frame)?.iter().map(|uin| *uin == renaming.uin).collect();
        if !own.contains(&true) {
            continue;
        }
        let own = filtered(&frame, &own)?;
        match &mut all {
            None => all = Some(own),
            Some(all) => append(all, own)?,
        }
    }
    all.map(|own| renamed(own, renaming)).transpose()
}

fn renamed(mut own: DataFrame, renaming: &Renaming) -> Result<DataFrame> {
    let apps = own.column("appid").and_then(Column::u64).doing("renaming usage")?;
    let statuses = own.column("status").and_then(Column::str).doing("renaming usage")?;
    let new_app = |(app, status): (Option<u64>, Option<&str>)| {
        let app = app.unwrap_or(NO_APP);
        match renaming.apps.get(&app) {
            // Zero is the number of an application as well.
            _ if status != Some(Status::Metered.text()) && app == NO_APP => Ok(NO_APP),
            Some(new) => Ok(*new),
            None => Err(Error::Unbalanced(format!(
                "account {} has usage of application {app}, which has no pseudonym",
                renaming.uin
            ))),
        }
    };
    let apps: Vec<u64> = apps.iter().zip(statuses.iter()).map(new_app).collect::<Result<_>>()?;
    let mut order: Vec<IdxSize> = (0..).take(apps.len()).collect();
    order.sort_by_key(|at| apps[*at as usize]);
    let uins = vec![renaming.new_uin; apps.len()];
    own.with_column(UInt64Chunked::from_vec("uin".into(), uins).into_column())
        .doing("renaming usage")?;
    own.with_column(UInt64Chunked::from_vec("appid".into(), apps).into_column())
        .doing("renaming usage")?;
    own.take(&IdxCa::from_slice("at".into(), &order))
        .doing("renaming usage")
}

fn uins_of(frame: &DataFrame) -> Result<Vec<u64>> {
    let uins = frame.column("uin").and_then(Column::u64).doing("reading usage")?;
    Ok(uins.iter().map(Option::unwrap_or_default).collect())
}

fn filtered(frame: &DataFrame, kept: &[bool]) -> Result<DataFrame> {
    frame
        .filter(&BooleanChunked::from_slice("kept".into(), kept))
        .doing("reading usage")
}

fn append(frame: &mut DataFrame, more: DataFrame) -> Result<()> {
    frame.vstack_mut_owned(more).doing("renaming usage")?;
    Ok(())
}

fn as_offset(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}

/// Appends rows as row groups of the size that usage files have.
fn write(file: &mut Option<ColumnFile>, to: &Path, frame: &DataFrame) -> Result<()> {
    let mut done = 0;
    while done < frame.height() {
        let mut piece = frame.slice(as_offset(done), 2 * ROW_GROUP_ROWS);
        piece.rechunk_mut();
        done += piece.height();
        let columns = columns_of(&piece)?;
        let open = match &mut *file {
            Some(open) => open,
            none => none.insert(ColumnFile::create(to, schema_of(&columns))?),
        };
        open.write(&RowGroup::of(columns)?)?;
    }
    Ok(())
}

/// Columns of rows that were read, as [`super::columns`] makes them.
fn columns_of(frame: &DataFrame) -> Result<Vec<FileColumn>> {
    let column = |column: &Column| {
        let unsigned = |name: &'static str| -> Result<FileColumn> {
            let numbers = column.u64().doing("writing usage")?;
            Ok(runs(name, numbers.iter().map(Option::unwrap_or_default)))
        };
        Ok(match column.name().as_str() {
            "uin" => unsigned("uin")?.with_range(),
            "appid" => unsigned("appid")?,
            "day" | "records" | "raw" | "billable" => FileColumn::of(column, Packing::Deltas),
            _ => FileColumn::of(column, Packing::Distinct),
        })
    };
    frame.columns().iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::storage::parquet_writer;
    use crate::storage::usage::columns;
    use crate::storage::usage::row::UsageRow;
    use crate::storage::usage::sku_region::{SkuRegion, SkuRegions, UnitKind};
    use crate::storage::usage::table::UsageRows;
    use proptest::prelude::*;

    type Read = (u64, u64, i32, i64, i64, i64);

    fn row(uin: u64, appid: u64, day: i32, records: i64) -> UsageRow {
        UsageRow {
            uin,
            appid,
            status: if appid == NO_APP {
                Status::Failed
            } else {
                Status::Metered
            },
            code: 2,
            unit: UnitKind::ALL[0],
            day,
            records,
            raw: records * 10,
            billable: records * 20,
        }
    }

    fn places() -> SkuRegions {
        let mut places = SkuRegions::default();
        places.code(SkuRegion {
            sku: "S".into(),
            region: "r".into(),
            task_type: "t".into(),
            unit: UnitKind::ALL[0],
        });
        places
    }

    /// A file of rows in row groups of so many.
    fn write_file(folder: &Path, rows: &[UsageRow], group_rows: usize) -> PathBuf {
        let path = folder.join("before.parquet");
        let mut file = None;
        for rows in rows.chunks(group_rows) {
            let columns = columns(rows, &places(), |_| chrono_tz::Asia::Shanghai);
            let open = match &mut file {
                Some(open) => open,
                none => none.insert(ColumnFile::create(&path, parquet_writer::schema_of(&columns)).unwrap()),
            };
            open.write(&RowGroup::of(columns).unwrap()).unwrap();
        }
        file.unwrap().finish().unwrap();
        path
    }

    fn read(path: &Path) -> Vec<Read> {
        let file = UsageRows::open(path).unwrap();
        let mut rows = Vec::new();
        for at in 0..file.groups() {
            file.read(at)
                .unwrap()
                .for_each(|row| {
                    assert_eq!((row.region, row.sku), ("r", "S"));
                    rows.push((row.uin, row.appid, row.day, row.records, row.raw, row.billable));
                    Ok(())
                })
                .unwrap();
        }
        rows
    }

    proptest! {
        // Each case writes and reads two files of many row groups.
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn rows_are_those_of_before_under_the_new_numbers_and_in_order(
            mut uins in prop::collection::vec(0_u64..8, 1..40),
            group_rows in 1_usize..12,
            uin in 0_u64..8,
            new_uin in prop_oneof![Just(100_u64), Just(u64::MAX), Just(1000)],
            is_below in any::<bool>(),
        ) {
            // Accounts are 10, 12, ...: a new number has its place before, between or after them.
            let number = |uin: u64| 10 + 2 * uin;
            let (uin, new_uin) = (number(uin), if is_below { number(uin) / 2 * 2 - 1 } else { new_uin });
            uins.sort_unstable();
            let rows: Vec<UsageRow> = uins
                .iter()
                .zip(0..)
                .map(|(of, at)| row(number(*of), u64::try_from(at % 3).unwrap(), 20_000 + at, i64::from(at)))
                .collect();
            let folder = tempfile::tempdir().unwrap();
            let before = write_file(folder.path(), &rows, group_rows);
            let after = folder.path().join("after.parquet");
            let apps = BTreeMap::from([(1, 7001), (2, 6002)]);
            let renaming = Renaming { uin, new_uin, apps: &apps };
            let written = write_renamed(&before, &after, &renaming).unwrap();
            let mut expected: Vec<Read> = read(&before)
                .into_iter()
                .map(|mut row| {
                    if row.0 == uin {
                        row.0 = new_uin;
                        row.1 = apps.get(&row.1).copied().unwrap_or(0);
                    }
                    row
                })
                .collect();
            if !uins.iter().any(|of| number(*of) == uin) {
                prop_assert!(written.is_none() && !after.exists());
                return Ok(());
            }
            let found = read(&after);
            prop_assert!(found.is_sorted_by_key(|row| row.0));
            let mut sorted = found.clone();
            sorted.sort_unstable();
            expected.sort_unstable();
            prop_assert_eq!(sorted, expected);
            let (bytes, digest) = written.unwrap();
            prop_assert_eq!(bytes, std::fs::metadata(&after).unwrap().len());
            prop_assert_eq!(digest, crate::values::digest::sha256_hex_of_file(&after).unwrap());
            for (first, last) in uin_ranges(&after).unwrap() {
                prop_assert!(!(first..=last).contains(&uin) || first < uin && uin < last);
            }
        }
    }

    #[test]
    fn the_application_zero_is_one_and_usage_that_is_not_metered_has_none() {
        let folder = tempfile::tempdir().unwrap();
        let rows = [
            row(1, 0, 20_000, 1),
            UsageRow {
                status: Status::Metered,
                ..row(1, 0, 20_001, 1)
            },
        ];
        let (before, after) = (write_file(folder.path(), &rows, 9), folder.path().join("after"));
        let apps = BTreeMap::from([(0, 50)]);
        let renaming = Renaming {
            uin: 1,
            new_uin: 9,
            apps: &apps,
        };
        write_renamed(&before, &after, &renaming).unwrap();
        let apps: Vec<(u64, i32)> = read(&after).into_iter().map(|row| (row.1, row.2)).collect();
        assert_eq!(apps, [(0, 20_000), (50, 20_001)]);
    }

    #[test]
    fn an_application_without_a_pseudonym_and_a_number_that_is_taken_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let before = write_file(folder.path(), &[row(1, 5, 20_000, 1), row(2, 5, 20_000, 1)], 1);
        let apps = BTreeMap::from([(5, 50)]);
        let refused = |new_uin, apps: &BTreeMap<u64, u64>, to: &str| {
            let renaming = Renaming { uin: 1, new_uin, apps };
            write_renamed(&before, &folder.path().join(to), &renaming)
                .unwrap_err()
                .to_string()
        };
        assert!(refused(9, &BTreeMap::new(), "a").contains("application 5, which has no pseudonym"));
        assert!(refused(2, &apps, "b").contains("usage of account 2 already"));
    }
}
