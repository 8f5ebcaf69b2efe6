//! The segment writers of one intake, shared by its worker threads: one per kind and day.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use chrono::NaiveDate;
use rayon::prelude::*;

use crate::storage::durable_files::DataDir;
use crate::storage::parquet_writer::{FileColumn, RowGroup, schema_of};
use crate::storage::raw::fingerprints::Fingerprints;
use crate::storage::raw::segment::{NewSegment, SegmentKind, SegmentWriter};
use crate::support::error::Result;
use crate::values::calendar::day_of_number;

type Shared = Arc<Mutex<SegmentWriter>>;

/// Writers by kind and day, made when first needed.
pub struct Writers {
    data: DataDir,
    intake: i64,
    by_day: Mutex<BTreeMap<(&'static str, i32), Shared>>,
}

impl Writers {
    pub fn new(data: &DataDir, intake: i64) -> Self {
        Self {
            data: data.clone(),
            intake,
            by_day: Mutex::default(),
        }
    }

    pub fn intake(&self) -> i64 {
        self.intake
    }

    /// Writes a row group of one day. Threads wait for each other only to write, and only on the same day.
    pub fn write(&self, kind: SegmentKind, day: i32, columns: Vec<FileColumn>) -> Result<()> {
        let schema = schema_of(&columns);
        let group = RowGroup::of(columns)?;
        let writer = {
            let mut by_day = self.by_day.lock().unwrap_or_else(PoisonError::into_inner);
            let writer = by_day.entry((kind.text(), day)).or_insert_with(|| {
                let day: NaiveDate = day_of_number(day);
                let writer = SegmentWriter::new(&self.data, kind, day, self.intake);
                Arc::new(Mutex::new(writer.with_fingerprints(Fingerprints::NOW)))
            });
            Arc::clone(writer)
        };
        let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
        writer.write(&group, || schema)
    }

    /// Ends all files and names them, by kind and day.
    pub fn finish(self) -> Result<Vec<NewSegment>> {
        let writers: Vec<_> = self
            .by_day
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
            .into_values()
            .collect();
        let finished: Vec<Vec<NewSegment>> = writers
            .into_par_iter()
            .map(|writer| {
                let writer = Arc::into_inner(writer).expect("the worker threads have ended");
                writer.into_inner().unwrap_or_else(PoisonError::into_inner).finish()
            })
            .collect::<Result<_>>()?;
        Ok(finished.into_iter().flatten().collect())
    }
}
