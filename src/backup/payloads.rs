//! Bytes of refused lines, a file for each day of their receipt: a JSON line `[number in quarantine, "Base64"]` for each, packed with zstd.
//! They are kept for less than the ledger's rows, so no dump has them.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::manifest::PayloadDay;
use super::object_writer::ObjectWriter;
use super::repository::{NAME_DIGITS, Repository};
use super::store;
use crate::storage::ledger::Reading;
use crate::support::error::{AtPath as _, Error, Result};

/// Lines of media work repeat: more costs more time than it saves bytes.
const LEVEL: i32 = 3;

/// Writes the files of all days, and returns them with the paths at which they were made.
pub async fn write(repository: &Repository, reading: &mut Reading) -> Result<Vec<(PathBuf, PayloadDay)>> {
    let mut days = Vec::new();
    let mut open: Option<OpenDay> = None;
    store::each_payload(reading, |day, number, payload| {
        if open.as_ref().is_some_and(|open| open.day != day)
            && let Some(before) = open.take()
        {
            days.push(before.end()?);
        }
        if open.is_none() {
            open = Some(OpenDay::begin(repository, day)?);
        }
        open.as_mut().map_or(Ok(()), |open| open.add(number, &payload))
    })
    .await?;
    if let Some(last) = open {
        days.push(last.end()?);
    }
    Ok(days)
}

/// A day's file while it is written.
struct OpenDay {
    day: String,
    lines: u64,
    path: PathBuf,
    out: zstd::Encoder<'static, ObjectWriter>,
}

impl OpenDay {
    fn begin(repository: &Repository, day: String) -> Result<Self> {
        let file = repository.create()?;
        let path = file.path().to_owned();
        let mut out = zstd::Encoder::new(file, LEVEL).at(&path)?;
        out.include_checksum(true).at(&path)?;
        Ok(Self {
            day,
            lines: 0,
            path,
            out,
        })
    }

    fn add(&mut self, number: i64, payload: &[u8]) -> Result<()> {
        self.lines += 1;
        writeln!(self.out, "[{number},\"{}\"]", BASE64_STANDARD.encode(payload)).at(&self.path)
    }

    fn end(self) -> Result<(PathBuf, PayloadDay)> {
        let out = self.out.finish().at(&self.path)?;
        let made = out.finish(|sha256| format!("quarantine/{}-{}.jsonl.zst", self.day, &sha256[..NAME_DIGITS]))?;
        let day = PayloadDay {
            day: self.day,
            lines: self.lines,
            object: made.object,
        };
        Ok((made.path, day))
    }
}

/// The lines of a file: numbers in quarantine and bytes.
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<(i64, Vec<u8>)>>> {
    let file = File::open(path).at(path)?;
    let lines = BufReader::new(zstd::Decoder::new(file).at(path)?).lines();
    let path = path.to_owned();
    Ok(lines.map(move |line| {
        let line = line.at(&path)?;
        let read = serde_json::from_str::<(i64, String)>(&line).ok();
        let read = read.and_then(|(number, text)| Some((number, BASE64_STANDARD.decode(text).ok()?)));
        read.ok_or_else(|| Error::damaged(&path, "has a line that is no refused line"))
    }))
}
