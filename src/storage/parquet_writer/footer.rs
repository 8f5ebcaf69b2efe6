//! The footer of a Parquet file as it stands there, and the bytes of one.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

use polars_parquet_format::FileMetaData;
use polars_parquet_format::thrift::protocol::{TCompactInputProtocol, TCompactOutputProtocol};

/// At either end of a file.
pub const MAGIC: &[u8; 4] = b"PAR1";

/// At the end of a file: the length of the footer, and the magic word.
const END_BYTES: usize = 8;

/// What a footer's values may take of memory: a multiple of its bytes, and this at least.
const VALUES_BYTES_MIN: usize = 1 << 16;
const VALUES_TIMES: usize = 4;

/// Why a file has no footer that can be read.
#[derive(Debug, thiserror::Error)]
pub enum FooterError {
    /// The disk's doing.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// The file's.
    #[error("{0}")]
    NotParquet(String),
}

/// The footer, and where it begins: what lies before are pages and indexes.
pub fn read_footer(file: &mut File) -> Result<(FileMetaData, u64), FooterError> {
    let not_parquet = |what: &str| FooterError::NotParquet(what.to_owned());
    let size = file.metadata()?.len();
    let end = size
        .checked_sub(END_BYTES as u64)
        .filter(|end| *end >= MAGIC.len() as u64)
        .ok_or_else(|| not_parquet("it is too short"))?;
    let mut last = [0; END_BYTES];
    file.seek(SeekFrom::Start(end))?;
    file.read_exact(&mut last)?;
    if last[4..] != *MAGIC {
        return Err(not_parquet(
            "it does not end with PAR1: it is another kind of file, or its end is missing",
        ));
    }
    let length = u32::from_le_bytes([last[0], last[1], last[2], last[3]]);
    let start = end
        .checked_sub(length.into())
        .ok_or_else(|| not_parquet("its footer is longer than the file: a part of it is missing"))?;
    let mut bytes = vec![0; length as usize];
    file.seek(SeekFrom::Start(start))?;
    file.read_exact(&mut bytes)?;
    let bytes_max = bytes.len().saturating_mul(VALUES_TIMES).max(VALUES_BYTES_MIN);
    let metadata = FileMetaData::read_from_in_protocol(&mut TCompactInputProtocol::new(bytes.as_slice(), bytes_max))
        .map_err(|error| FooterError::NotParquet(format!("its footer is damaged ({error})")))?;
    Ok((metadata, start))
}

/// The bytes of a footer, to the end of the file.
pub fn footer_bytes(metadata: &FileMetaData) -> Result<Vec<u8>, FooterError> {
    let mut bytes = Vec::new();
    metadata
        .write_to_out_protocol(&mut TCompactOutputProtocol::new(&mut bytes))
        .map_err(|error| FooterError::NotParquet(error.to_string()))?;
    let length = u32::try_from(bytes.len()).map_err(|error| FooterError::NotParquet(error.to_string()))?;
    bytes.extend(length.to_le_bytes());
    bytes.extend(MAGIC);
    Ok(bytes)
}
