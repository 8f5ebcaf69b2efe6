//! Usage files as rating and checks read them: the rows of some accounts, with their texts held once.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::NaiveDate;
use polars::prelude::*;

use super::row_group::{Group, groups_of, uin_ranges};
use crate::storage::durable_files::DataDir;
use crate::storage::raw::segment::Groups;
use crate::storage::usage::row::Status;
use crate::support::error::{Doing as _, Error, Result};
use crate::support::threads;
use crate::values::calendar::number_of_day;

/// A row as it stands in a file.
#[derive(Clone, Copy, Debug)]
pub struct FileRow<'a> {
    pub uin: u64,
    pub appid: u64,
    pub region: &'a str,
    pub sku: &'a str,
    /// Days since 1970.
    pub day: i32,
    pub status: Status,
    pub records: i64,
    pub raw: i64,
    pub billable: i64,
}

/// A usage file, to be read row group by row group.
pub struct UsageRows {
    path: PathBuf,
    groups: Groups,
}

/// The rows of a row group.
pub struct GroupRows<'f> {
    path: &'f Path,
    frame: DataFrame,
}

const COLUMNS: [&str; 9] = [
    "uin", "appid", "region", "sku", "day", "status", "records", "raw", "billable",
];

impl UsageRows {
    pub fn open(path: &Path) -> Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            groups: Groups::open(path)?,
        })
    }

    /// How many row groups there are.
    pub fn groups(&self) -> usize {
        self.groups.count()
    }

    /// Hands on the rows of an account; row groups that have none by the file's footer are not read.
    pub fn for_each_of(&self, uin: u64, mut take: impl FnMut(FileRow) -> Result<()>) -> Result<()> {
        let ranges = uin_ranges(&self.path)?;
        for (at, (first, last)) in ranges.into_iter().enumerate() {
            if first <= uin && uin <= last {
                self.read(at)?
                    .for_each(|row| if row.uin == uin { take(row) } else { Ok(()) })?;
            }
        }
        Ok(())
    }

    /// One of them.
    pub fn read(&self, at: usize) -> Result<GroupRows<'_>> {
        Ok(GroupRows {
            path: &self.path,
            frame: self.groups.read(at, &COLUMNS)?,
        })
    }
}

impl GroupRows<'_> {
    /// Hands on each row, in the file's order.
    pub fn for_each(&self, mut take: impl FnMut(FileRow) -> Result<()>) -> Result<()> {
        let column = |name: &str| self.frame.column(name).doing("reading usage");
        let unsigned = |name: &str| column(name)?.u64().cloned().doing("reading usage");
        let signed = |name: &str| column(name)?.i64().cloned().doing("reading usage");
        let text = |name: &str| column(name)?.str().cloned().doing("reading usage");
        let (uin, appid, region, sku) = (unsigned("uin")?, unsigned("appid")?, text("region")?, text("sku")?);
        let day = column("day")?.date().doing("reading usage")?.phys.clone();
        let (status, records) = (text("status")?, signed("records")?);
        let (raw, billable) = (signed("raw")?, signed("billable")?);
        let rows = uin
            .into_no_null_iter()
            .zip(appid.into_no_null_iter())
            .zip(region.iter().zip(sku.iter()))
            .zip(day.into_no_null_iter().zip(status.iter()))
            .zip(
                records
                    .into_no_null_iter()
                    .zip(raw.into_no_null_iter())
                    .zip(billable.into_no_null_iter()),
            );
        for ((((uin, appid), (region, sku)), (day, status)), ((records, raw), billable)) in rows {
            take(FileRow {
                uin,
                appid,
                region: region.unwrap_or(""),
                sku: sku.unwrap_or(""),
                day,
                status: self.status(status.unwrap_or(""))?,
                records,
                raw,
                billable,
            })?;
        }
        Ok(())
    }

    fn status(&self, text: &str) -> Result<Status> {
        let known = Status::ALL.into_iter().find(|status| status.text() == text);
        known.ok_or_else(|| {
            Error::damaged(
                self.path,
                format!("has usage of the status {text:?}, which there is not"),
            )
        })
    }
}

/// The accounts whose usage is wanted, and the days of each.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Days since 1970, the last one excluded.
    accounts: BTreeMap<u64, (i32, i32)>,
}

impl Wanted {
    /// These accounts, each with its days `[from, to)`.
    pub fn new(accounts: impl IntoIterator<Item = (u64, (NaiveDate, NaiveDate))>) -> Self {
        let numbers = |(uin, (from, to))| (uin, (number_of_day(from), number_of_day(to)));
        Self {
            accounts: accounts.into_iter().map(numbers).collect(),
        }
    }

    /// The days of an account that are wanted; none when none is.
    pub fn days(&self, uin: u64) -> Option<(i32, i32)> {
        self.accounts.get(&uin).copied()
    }

    /// Whether an account from the first to the last of these is wanted.
    pub fn has_any(&self, (first, last): (u64, u64)) -> bool {
        self.accounts.range(first..=last).next().is_some()
    }
}

/// What closing, drafts and checks read of a row; its region and SKU are those of its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UsageDay {
    pub uin: u64,
    pub appid: u64,
    pub records: i64,
    pub raw: i64,
    pub billable: i64,
    /// The number of its region and SKU in its run.
    pub place: u32,
    pub day: NaiveDate,
}

/// Rows of one file, or of one metering, by account, with their texts held once. Of an account they stand in the file's order.
#[derive(Clone, Debug, Default)]
pub struct Run {
    /// The metering that wrote them.
    metering: i64,
    /// From the first day with rows to the last.
    days: Option<(NaiveDate, NaiveDate)>,
    pub rows: Vec<UsageDay>,
    /// Region and SKU by number.
    places: Vec<(Arc<str>, Arc<str>)>,
}

impl Run {
    /// Rows in any order; those of a file are in order already.
    pub fn new(metering: i64, mut rows: Vec<UsageDay>, places: Vec<(Arc<str>, Arc<str>)>) -> Self {
        if !rows.is_sorted_by_key(|row| row.uin) {
            rows.sort_by_key(|row| row.uin);
        }
        let days = rows.iter().map(|row| row.day);
        Self {
            metering,
            days: days.clone().min().zip(days.max()),
            rows,
            places,
        }
    }

    fn of_account(&self, uin: u64) -> Option<AccountRun<'_>> {
        let start = self.rows.partition_point(|row| row.uin < uin);
        let of_account = &self.rows[start..];
        let rows = &of_account[..of_account.partition_point(|row| row.uin == uin)];
        (!rows.is_empty()).then_some(AccountRun { run: self, rows })
    }

    /// With the texts that others have as well.
    fn sharing(mut self, texts: &mut Texts) -> Self {
        for (region, sku) in &mut self.places {
            texts.share(region);
            texts.share(sku);
        }
        self
    }

    fn has_rows_from(&self, uin: u64) -> bool {
        self.rows.last().is_some_and(|last| uin <= last.uin)
    }
}

/// Texts of runs that are read together: the same text lies at the same place in all of them, so that it need not be compared.
#[derive(Default)]
struct Texts(HashSet<Arc<str>>);

impl Texts {
    fn share(&mut self, text: &mut Arc<str>) {
        match self.0.get(&**text) {
            Some(known) => *text = Arc::clone(known),
            None => drop(self.0.insert(Arc::clone(text))),
        }
    }
}

/// Usage of some accounts.
#[derive(Clone, Debug, Default)]
pub struct UsageTable {
    runs: Vec<Run>,
}

/// Row groups that are read side by side. More would only take memory: each has up to 6 MB of rows.
const GROUPS_AT_A_TIME: usize = 4;

impl UsageTable {
    pub fn new(runs: Vec<Run>) -> Self {
        Self { runs }
    }

    /// Reads all that is wanted of usage files, each with the number of its metering.
    pub fn read(data: &DataDir, files: &[(String, i64)], wanted: &Wanted) -> Result<Self> {
        let groups = groups_of_files(data, files, wanted)?;
        let runs = threads::map(groups.len(), |at| groups[at].read(wanted))?;
        let mut texts = Texts::default();
        let runs = runs.into_iter().map(|run| run.sharing(&mut texts)).collect();
        Ok(Self { runs })
    }

    /// Reads what is wanted piece by piece, in the order of accounts, and hands each piece to `take` with the first account that
    /// later pieces may have rows of (none with the last piece): accounts before it are whole. So there is never much more in memory
    /// than one row group of each file.
    pub fn read_by_account(
        data: &DataDir,
        files: &[(String, i64)],
        wanted: &Wanted,
        mut take: impl FnMut(&Self, Option<u64>) -> Result<()>,
    ) -> Result<()> {
        let mut pieces = Self::by_account(data, files, wanted)?;
        while let Some((table, whole_to)) = pieces.next_piece()? {
            take(table, whole_to)?;
        }
        Ok(())
    }

    /// The same, for who takes the pieces when there is time for them.
    pub fn by_account<'w>(
        data: &DataDir,
        files: &[(String, i64)],
        wanted: &'w Wanted,
    ) -> Result<ByAccount<impl Fn(usize) -> Result<Run> + Sync + Send + use<'w>>> {
        let mut groups = groups_of_files(data, files, wanted)?;
        groups.sort_by_key(|group| group.uins.0);
        let first_uins: Vec<u64> = groups.iter().map(|group| group.uins.0).collect();
        Ok(ByAccount::new(first_uins, move |at| groups[at].read(wanted)))
    }

    /// The rows of an account.
    pub fn of_account(&self, uin: u64) -> AccountRows<'_> {
        AccountRows {
            runs: self.runs.iter().filter_map(|run| run.of_account(uin)).collect(),
        }
    }
}

/// Usage that is read piece by piece, in the order of accounts; see [`UsageTable::read_by_account`].
pub struct ByAccount<R> {
    /// Of each row group, in order.
    first_uins: Vec<u64>,
    read: R,
    table: UsageTable,
    texts: Texts,
    /// Row groups that were read.
    done: usize,
    is_over: bool,
}

impl<R: Fn(usize) -> Result<Run> + Sync> ByAccount<R> {
    fn new(first_uins: Vec<u64>, read: R) -> Self {
        Self {
            first_uins,
            read,
            table: UsageTable::default(),
            texts: Texts::default(),
            done: 0,
            is_over: false,
        }
    }

    /// The next piece, and the first account that later pieces may have rows of; none after the last piece.
    pub fn next_piece(&mut self) -> Result<Option<(&UsageTable, Option<u64>)>> {
        if self.is_over {
            return Ok(None);
        }
        if let Some(&whole_to) = self.first_uins.get(self.done) {
            self.table.runs.retain(|run| run.has_rows_from(whole_to));
        }
        let now = GROUPS_AT_A_TIME.min(self.first_uins.len() - self.done);
        let runs = threads::map(now, |at| (self.read)(self.done + at))?;
        let runs = runs.into_iter().map(|run| run.sharing(&mut self.texts));
        self.table.runs.extend(runs);
        self.done += now;
        let whole_to = self.first_uins.get(self.done).copied();
        self.is_over = whole_to.is_none();
        Ok(Some((&self.table, whole_to)))
    }
}

fn groups_of_files(data: &DataDir, files: &[(String, i64)], wanted: &Wanted) -> Result<Vec<Group>> {
    let mut groups = Vec::new();
    for (path, metering) in files {
        groups.extend(groups_of(&data.join(path), *metering, wanted)?);
    }
    Ok(groups)
}

/// An account's rows in a run.
#[derive(Clone, Copy, Debug)]
struct AccountRun<'a> {
    run: &'a Run,
    rows: &'a [UsageDay],
}

/// The rows of an account, file by file.
#[derive(Clone, Debug, Default)]
pub struct AccountRows<'a> {
    runs: Vec<AccountRun<'a>>,
}

impl<'a> AccountRows<'a> {
    /// The rows of days `[from, to)` as far as `metering` had come, each with its region and SKU.
    pub fn between(
        &self,
        from: NaiveDate,
        to: NaiveDate,
        metering: i64,
    ) -> impl Iterator<Item = (&'a UsageDay, &'a str, &'a str)> {
        let may_have = move |run: &&AccountRun| {
            run.run.metering <= metering && run.run.days.is_some_and(|(first, last)| from <= last && first < to)
        };
        self.runs.iter().filter(may_have).flat_map(move |run| {
            let run = *run;
            run.rows
                .iter()
                .filter(move |row| from <= row.day && row.day < to)
                .map(move |row| {
                    let (region, sku) = &run.run.places[row.place as usize];
                    (row, &**region, &**sku)
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::calendar::{all_days, day_of_number};
    use proptest::prelude::*;

    fn row(uin: u64, appid: u64) -> UsageDay {
        UsageDay {
            uin,
            appid,
            records: 1,
            raw: 1,
            billable: 1,
            place: 0,
            day: day_of_number(20_000),
        }
    }

    /// Apps of an account, in a table.
    fn apps(table: &UsageTable, uin: u64) -> Vec<u64> {
        let (from, to) = all_days();
        let rows = table.of_account(uin);
        let mut apps: Vec<u64> = rows.between(from, to, i64::MAX).map(|(row, ..)| row.appid).collect();
        apps.sort_unstable();
        apps
    }

    fn by_account(
        first_uins: &[u64],
        read: impl Fn(usize) -> Result<Run> + Sync,
        mut take: impl FnMut(&UsageTable, Option<u64>) -> Result<()>,
    ) -> Result<()> {
        let mut pieces = ByAccount::new(first_uins.to_vec(), read);
        while let Some((table, whole_to)) = pieces.next_piece()? {
            take(table, whole_to)?;
        }
        Ok(())
    }

    proptest! {
        /// Files have accounts 0 to 20 in row groups of a few rows; some say nothing about their accounts.
        #[test]
        fn an_account_is_handed_on_once_and_whole_however_its_rows_lie_in_files(
            files in prop::collection::vec((prop::collection::vec(0_u64..20, 1..40), 1_usize..6, any::<bool>()), 0..6),
        ) {
            let mut groups: Vec<(u64, Run)> = Vec::new();
            for (metering, (mut uins, group_rows, tells)) in (1..).zip(files) {
                uins.sort_unstable();
                for uins in uins.chunks(group_rows) {
                    let rows = (0..).zip(uins).map(|(at, uin)| row(*uin, 1000 * groups.len() as u64 + at)).collect();
                    let run = Run::new(metering, rows, vec![("r".into(), "s".into())]);
                    groups.push((if tells { uins[0] } else { 0 }, run));
                }
            }
            groups.sort_by_key(|(first, _)| *first);
            let all = UsageTable { runs: groups.iter().map(|(_, run)| run.clone()).collect() };
            let first_uins: Vec<u64> = groups.iter().map(|(first, _)| *first).collect();
            let mut next = 0;
            by_account(&first_uins, |at| Ok(groups[at].1.clone()), |table, whole_to| {
                for uin in next..whole_to.unwrap_or(20) {
                    assert_eq!(apps(table, uin), apps(&all, uin), "account {uin}");
                }
                next = next.max(whole_to.unwrap_or(20));
                Ok(())
            }).unwrap();
            prop_assert_eq!(next, 20);
        }
    }

    #[test]
    fn of_one_file_no_more_row_groups_are_held_than_are_read_at_a_time_and_the_one_before() {
        let first_uins: Vec<u64> = (0..100).collect();
        let read = |at: usize| {
            Ok(Run::new(
                1,
                vec![row(first_uins[at], 1), row(first_uins[at] + 1, 2)],
                vec![<_>::default()],
            ))
        };
        let mut most = 0;
        by_account(&first_uins, read, |table, _| {
            most = most.max(table.runs.len());
            Ok(())
        })
        .unwrap();
        assert_eq!(most, GROUPS_AT_A_TIME + 1);
    }
}
