//! Readings of an input that ended the process: counted, and the third is done by a process of its own.
//!
//! Some bytes make a decoder ask for more memory than there is, which ends the process before anything can be said. A small file in
//! `attempts/` says that an input is being read; it goes when the last record was decoded, or when the input was refused. One that
//! is found there tells of a reading that never came to its end. It outlives the process and need not outlive a power cut.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::PathBuf;

use super::input::Input;
use crate::context::Books;
use crate::storage::durable_files::remove_files;
use crate::support::error::{AtPath as _, Result};
use crate::support::whole_numbers::WholeNumbers;
use crate::values::digest::InputHasher;

/// Readings that may end this process; an input that ended as many is read by another one.
const DEATHS_HERE: u32 = 2;

/// An input is known by its size and so many bytes of its beginning and its end.
const SAMPLE_BYTES: u64 = 1 << 16;

/// A reading that is under way.
pub struct Attempt {
    place: PathBuf,
}

impl Attempt {
    /// Notes that an input is read now. None for standard input, which nobody can read again.
    pub fn begin(books: &Books, input: &Input) -> Result<Option<Self>> {
        let Some(place) = place(books, input)? else {
            return Ok(None);
        };
        let deaths = deaths_at(&place);
        if let Some(folder) = place.parent() {
            std::fs::create_dir_all(folder).at(folder)?;
        }
        std::fs::write(&place, format!("{} {}\n", deaths + 1, input.name)).at(&place)?;
        Ok(Some(Self { place }))
    }
}

impl Drop for Attempt {
    /// A reading that ends the process does not come here.
    fn drop(&mut self) {
        std::fs::remove_file(&self.place).ok();
    }
}

/// Whether so many readings of an input ended the process that another process is to read it.
pub fn is_deadly(books: &Books, input: &Input) -> Result<bool> {
    Ok(place(books, input)?.is_some_and(|place| deaths_at(&place) >= DEATHS_HERE))
}

/// Forgets readings of inputs in whose names one of these numbers stands.
pub fn forget_naming(books: &Books, numbers: &WholeNumbers) -> Result<()> {
    let folder = books.data.join("attempts");
    if !folder.is_dir() {
        return Ok(());
    }
    for entry in std::fs::read_dir(&folder).at(&folder)? {
        let path = entry.at(&folder)?.path();
        let text = std::fs::read(&path).at(&path)?;
        // The count of deaths stands before the name.
        let name = text
            .iter()
            .position(|byte| *byte == b' ')
            .map_or(&text[..], |at| &text[at..]);
        if numbers.are_in(name) {
            remove_files(&[path])?;
        }
    }
    Ok(())
}

/// How often a reading began that did not end; what cannot be read says nothing.
fn deaths_at(path: &PathBuf) -> u32 {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.split(' ').next().and_then(|count| count.parse().ok()).unwrap_or(0)
}

fn place(books: &Books, input: &Input) -> Result<Option<PathBuf>> {
    let Some(path) = input.path() else { return Ok(None) };
    let mut hasher = InputHasher::default();
    if let Some(folder) = input.folder() {
        for part in &folder.parts {
            let bytes = std::fs::metadata(&part.path).at(&part.path)?.len();
            hasher.update(format!("{bytes} {}\n", part.name).as_bytes());
        }
        return Ok(Some(place_of(books, &hasher)));
    }
    let mut file = File::open(path).at(path)?;
    let bytes = file.metadata().at(path)?.len();
    hasher.update(&bytes.to_le_bytes());
    let mut sample = Vec::new();
    for from in [0, bytes.saturating_sub(SAMPLE_BYTES)] {
        file.seek(SeekFrom::Start(from)).at(path)?;
        sample.clear();
        (&mut file).take(SAMPLE_BYTES).read_to_end(&mut sample).at(path)?;
        hasher.update(&sample);
    }
    Ok(Some(place_of(books, &hasher)))
}

fn place_of(books: &Books, hasher: &InputHasher) -> PathBuf {
    books.data.join(&format!("attempts/{}", &hasher.hex()[..16]))
}
