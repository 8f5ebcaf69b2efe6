//! Inputs: a file or standard input, its format and compression, and its bytes with their digest.

pub mod chunk;
pub(crate) mod compression;
pub mod folder;
pub(crate) mod sniff;
pub(crate) mod utf16;

use std::fs::File;
use std::io::{self, Read, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::storage::durable_files::{DataDir, create_dir_durably};
use crate::support::error::{AtPath as _, Error, Result};
use crate::support::failpoint;
use crate::values::digest::InputHasher;
pub use crate::values::format::Format;
use compression::{unpacked, unpacked_by_bytes};
use folder::{Filled, Folder};
use utf16::Utf8;

/// The wrapping around the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    None,
    Gzip,
    Zstd,
}

/// One input, not opened yet.
#[derive(Clone, Debug)]
pub struct Input {
    /// None for standard input.
    path: Option<PathBuf>,
    pub name: String,
    pub format: Format,
    compression: Compression,
    /// Whether somebody said that bytes known under another source are other records.
    again: bool,
    /// Whether each line stands for itself, whatever the lines before it look like.
    by_line: bool,
    /// The files, of a folder that is one input.
    folder: Option<Arc<Folder>>,
    /// Of a file in such a folder.
    part: Option<Part>,
}

/// What a file in a folder has besides its bytes.
#[derive(Clone, Debug)]
struct Part {
    /// The number of its first line in the whole input.
    first_line: u64,
    /// Fields with their values, which the folders on its way say.
    filled: Vec<(String, String)>,
    /// Lines that were read of it.
    lines: Arc<AtomicU64>,
}

/// A name in small letters without the extension of its compression, and that.
fn compression_of(lower: &str) -> (&str, Compression) {
    match lower.rsplit_once('.') {
        Some((stem, "gz")) => (stem, Compression::Gzip),
        Some((stem, "zst" | "zstd")) => (stem, Compression::Zstd),
        _ => (lower, Compression::None),
    }
}

/// The format that the extension of a name shows.
fn format_of(stem: &str) -> Option<Format> {
    match stem.rsplit_once('.').map(|(_, extension)| extension) {
        Some("ndjson" | "jsonl" | "json") => Some(Format::Ndjson),
        Some("csv") => Some(Format::Csv),
        Some("parquet") => Some(Format::Parquet),
        _ => None,
    }
}

/// Whether a name is that of a file of usage, by its extension alone.
pub fn shows_format(name: &str) -> bool {
    format_of(compression_of(&name.to_ascii_lowercase()).0).is_some()
}

impl Input {
    /// A file, or standard input for `-`. The format is the extension's unless given.
    pub fn named(path: &Path, format: Option<Format>) -> Result<Self> {
        let name = path.display().to_string();
        if name == "-" {
            let format = format.unwrap_or(Format::Ndjson);
            return Ok(Self {
                path: None,
                name: "standard input".to_owned(),
                format,
                compression: Compression::None,
                again: false,
                by_line: false,
                folder: None,
                part: None,
            });
        }
        if path.is_dir() {
            return Self::of_folder(path, name, format);
        }
        let lower = name.to_ascii_lowercase();
        let (stem, compression) = compression_of(&lower);
        let by_extension = format_of(stem);
        let is_spreadsheet = matches!(
            stem.rsplit_once('.').map(|(_, extension)| extension),
            Some("xlsx" | "xlsm" | "xlsb" | "xls" | "ods" | "numbers")
        );
        if is_spreadsheet && format.is_none() {
            return Err(Error::Input {
                input: name,
                what: "is a spreadsheet, which cannot be read; save it as CSV UTF-8 (format columns of long numbers as text first)".to_owned(),
            });
        }
        let Some(format) = format.or(by_extension) else {
            return Err(Error::Input {
                input: name,
                what: "the file name does not show the format (.ndjson, .jsonl, .json, .csv or .parquet, each also .gz or .zst); \
                       set it with --format".to_owned(),
            });
        };
        Ok(Self {
            path: Some(path.to_owned()),
            name,
            format,
            compression,
            again: false,
            by_line: false,
            folder: None,
            part: None,
        })
    }

    fn of_folder(path: &Path, name: String, format: Option<Format>) -> Result<Self> {
        let folder = Folder::of(path)?;
        Ok(Self {
            path: Some(path.to_owned()),
            format: match format {
                Some(format) => format,
                None => folder.format(&name)?,
            },
            name,
            compression: Compression::None,
            again: false,
            by_line: false,
            folder: Some(Arc::new(folder)),
            part: None,
        })
    }

    /// The files, of a folder that is one input.
    pub fn folder(&self) -> Option<&Folder> {
        self.folder.as_deref()
    }

    /// The same as a file of a folder, with the number of its first line in the whole input and the fields that the folders fill in.
    #[must_use]
    pub fn as_part(self, first_line: u64, filled: Vec<(String, String)>) -> Self {
        let part = Part {
            first_line,
            filled,
            lines: Arc::default(),
        };
        Self {
            part: Some(part),
            ..self
        }
    }

    /// Whether it is a file of a folder that is one input.
    pub fn is_part(&self) -> bool {
        self.part.is_some()
    }

    /// The number of its first line: 1, but of a file in a folder.
    pub fn first_line(&self) -> u64 {
        self.part.as_ref().map_or(1, |part| part.first_line)
    }

    /// Fields with their values that are none of the file's own.
    pub fn filled(&self) -> &[(String, String)] {
        self.part.as_ref().map_or(&[], |part| &part.filled)
    }

    /// Of a file in a folder that was read: the number of the next file's first line.
    pub fn next_line(&self) -> u64 {
        let lines = self.part.as_ref().map_or(0, |part| part.lines.load(Ordering::Relaxed));
        self.first_line() + lines + 1
    }

    /// Notes how many rows a file in a folder has.
    pub fn count_lines(&self, lines: u64) {
        if let Some(part) = &self.part {
            part.lines.fetch_add(lines, Ordering::Relaxed);
        }
    }

    /// An input whose bytes may be known under another source: they are other records nevertheless.
    #[must_use]
    pub fn again(self) -> Self {
        Self { again: true, ..self }
    }

    /// An input that a source laid down: each line stands for itself, and its name is the source's own.
    #[must_use]
    pub fn of_source(path: &Path, name: String, format: Format) -> Self {
        Self {
            path: Some(path.to_owned()),
            name,
            format,
            compression: Compression::None,
            again: true,
            by_line: true,
            folder: None,
            part: None,
        }
    }

    /// The same input in another format than its name says.
    #[must_use]
    pub fn in_format(self, format: Format) -> Self {
        Self { format, ..self }
    }

    /// The same input under another name.
    #[must_use]
    pub fn called(self, name: String) -> Self {
        Self { name, ..self }
    }

    /// Whether each line stands for itself.
    pub fn is_by_line(&self) -> bool {
        self.by_line
    }

    /// Whether somebody said so.
    pub fn comes_again(&self) -> bool {
        self.again
    }

    /// An input that came under a name and lies at a path now.
    pub fn lying_at(path: &Path, named: &Path, format: Option<Format>) -> Result<Self> {
        let name = named.display().to_string();
        if path.is_dir() {
            return Self::of_folder(path, name, format);
        }
        Ok(Self {
            path: Some(path.to_owned()),
            ..Self::named(named, format)?
        })
    }

    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The size on disk, where there is one.
    pub fn bytes(&self) -> Result<Option<u64>> {
        if let Some(folder) = &self.folder {
            return Ok(Some(folder.bytes()?));
        }
        self.path
            .as_ref()
            .map(|path| Ok(std::fs::metadata(path).at(path)?.len()))
            .transpose()
    }

    /// The digest of the input as it lies on disk; none for standard input, which can be read once only.
    pub fn digest(&self) -> Result<Option<String>> {
        let Some(path) = &self.path else { return Ok(None) };
        if let Some(folder) = &self.folder {
            return Ok(Some(folder.digest()?));
        }
        let (mut reader, meter) = self.stored_bytes()?;
        io::copy(&mut reader, &mut io::sink()).at(path)?;
        Ok(Some(meter.finish().digest))
    }

    /// The bytes without compression, and the meter that knows size and digest of what lies on disk.
    pub fn open(&self) -> Result<(Box<dyn Read + Send>, ByteCounter)> {
        let (stored, meter) = self.stored_bytes()?;
        let reader = unpacked(stored, self.compression).map_err(|error| self.unreadable(&error))?;
        let reader = self.as_text(reader);
        let Some(part) = &self.part else {
            return Ok((reader, meter));
        };
        let lines = Arc::clone(&part.lines);
        let reader: Box<dyn Read + Send> = if part.filled.is_empty() {
            Box::new(Counted { reader, lines })
        } else {
            let reader = Filled::new(reader, self.format, &part.filled);
            Box::new(Counted { reader, lines })
        };
        Ok((reader, meter))
    }

    /// What is read as UTF-8, where it is text.
    fn as_text(&self, reader: Box<dyn Read + Send>) -> Box<dyn Read + Send> {
        match self.format {
            Format::Parquet => reader,
            Format::Ndjson | Format::Csv | Format::MpsEvents | Format::MediaconvertEvents => Box::new(Utf8::of(reader)),
        }
    }

    /// The text without compression, by what is stored and whatever the name says.
    pub fn text_by_bytes(&self) -> io::Result<impl Read + use<>> {
        let stored = self.stored().map_err(io::Error::other)?;
        Ok(Utf8::of(unpacked_by_bytes(stored)?))
    }

    /// The bytes as they are stored.
    pub fn stored(&self) -> Result<impl Read + use<>> {
        Ok(self.stored_bytes()?.0)
    }

    /// The bytes without compression of as many as are stored at the beginning.
    pub fn open_beginning(&self, bytes: u64) -> Result<Box<dyn Read + Send>> {
        let beginning = self.stored_bytes()?.0.take(bytes);
        let reader = unpacked(beginning, self.compression).map_err(|error| self.unreadable(&error))?;
        Ok(self.as_text(reader))
    }

    /// The error of an input whose bytes cannot be had.
    pub fn unreadable(&self, error: &io::Error) -> Error {
        let what = match error.kind() {
            io::ErrorKind::Unsupported => error.to_string(),
            _ => format!("cannot be read to its end: {error}; nothing was ingested"),
        };
        Error::Input {
            input: self.name.clone(),
            what,
        }
    }

    fn stored_bytes(&self) -> Result<(CountedReader, ByteCounter)> {
        let reader: Box<dyn Read + Send> = match &self.path {
            Some(path) => Box::new(File::open(path).at(path)?),
            None => Box::new(io::stdin()),
        };
        let meter = ByteCounter::default();
        Ok((
            CountedReader {
                reader,
                meter: meter.clone(),
            },
            meter,
        ))
    }
}

/// Counts the lines that end in what is read.
struct Counted<R> {
    reader: R,
    lines: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let ends = memchr::memchr_iter(b'\n', &buffer[..read]).count() as u64;
        self.lines.fetch_add(ends, Ordering::Relaxed);
        Ok(read)
    }
}

/// Size and BLAKE3 of what has been read so far.
#[derive(Clone, Default)]
pub struct ByteCounter(Arc<Mutex<(u64, InputHasher)>>);

/// What an input turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InputDigest {
    pub bytes: u64,
    pub digest: String,
}

impl ByteCounter {
    pub fn bytes(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    pub fn finish(&self) -> InputDigest {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        InputDigest {
            bytes: state.0,
            digest: state.1.hex(),
        }
    }
}

struct CountedReader {
    reader: Box<dyn Read + Send>,
    meter: ByteCounter,
}

impl Read for CountedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(buffer)?;
        let mut state = self.meter.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.0 += read as u64;
        state.1.update(&buffer[..read]);
        Ok(read)
    }
}

/// What is read at a time to be measured: a digest of much at once is made several times as fast as of little.
const MEASURED_BYTES: usize = 1 << 20;

/// An input as a plain file that can be read anywhere: itself, or an unpacked copy that goes with this value.
pub struct Spool<'a> {
    input: &'a Input,
    path: PathBuf,
    /// Of an input that was unpacked: it was read then.
    copied: Option<InputDigest>,
}

impl<'a> Spool<'a> {
    /// Unpacks the input into the data folder unless it is a plain file already. The copy is named by the intake, so that the
    /// sweeper removes it when the process dies.
    pub fn of(input: &'a Input, data: &DataDir, intake: i64) -> Result<Self> {
        if let (Some(path), Compression::None) = (&input.path, input.compression) {
            return Ok(Self {
                input,
                path: path.clone(),
                copied: None,
            });
        }
        create_dir_durably(&data.join("spool"))?;
        let path = data.join(&format!("spool/i{intake:08}.parquet"));
        let mut copy = Self {
            input,
            path,
            copied: Some(InputDigest::default()),
        };
        let (mut reader, meter) = input.open()?;
        let mut file = File::create(&copy.path).at(&copy.path)?;
        unpack(input, &mut *reader, &copy.path, &mut file)?;
        failpoint::file("written", &copy.path);
        copy.copied = Some(meter.finish());
        Ok(copy)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Measures the input as it is stored.
    pub fn measure(&self) -> Result<InputDigest> {
        if let Some(measured) = &self.copied {
            return Ok(measured.clone());
        }
        let (mut reader, meter) = self.input.stored_bytes()?;
        let mut buffer = vec![0; MEASURED_BYTES];
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(meter.finish()),
                Err(error) if error.kind() != io::ErrorKind::Interrupted => return Err(error).at(&self.path),
                _ => {}
            }
        }
    }
}

impl Drop for Spool<'_> {
    fn drop(&mut self) {
        if self.copied.is_some() {
            std::fs::remove_file(&self.path).ok();
            failpoint::file("removed", &self.path);
        }
    }
}

/// Copies to the end. A full disk is not the input's fault.
fn unpack(input: &Input, reader: &mut dyn Read, path: &Path, file: &mut File) -> Result<()> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match reader.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => file.write_all(&buffer[..read]).at(path)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(input.unreadable(&error)),
        }
    }
}
