//! Input files in a backup: packed with zstd, but for those that are compressed already.

use std::fs::File;
use std::io::{Read as _, Write};
use std::path::Path;

use super::object_writer::{Made, ObjectWriter};
use crate::support::error::{AtPath as _, Result};
use crate::values::digest::Hasher;

/// Lines of media work repeat: more costs more time than it saves bytes.
const LEVEL: i32 = 3;

/// The ending of a packed file's key.
pub const PACKED: &str = ".zst";

/// Bytes that are read at a time.
const BLOCK_BYTES: usize = 1 << 20;

/// What compressed files begin with: gzip, zstd, xz, bzip2, lz4, zip, Parquet.
const COMPRESSED: [&[u8]; 7] = [
    &[0x1f, 0x8b],
    &[0x28, 0xb5, 0x2f, 0xfd],
    &[0xfd, b'7', b'z', b'X', b'Z', 0],
    b"BZh",
    &[0x04, 0x22, 0x4d, 0x18],
    b"PK\x03\x04",
    b"PAR1",
];

/// An input file as it was, and as it is in a backup.
#[derive(Debug)]
pub struct Copied {
    pub bytes: u64,
    pub sha256: String,
    pub stored: Made,
}

/// Copies an input file into a new file of a backup, packed if that is of use. It is not synced yet.
///
/// # Errors
/// That of the file which cannot be read or written; the path in it says which.
pub fn copy_packed(source: &Path, to: ObjectWriter) -> Result<Copied> {
    let copy = &to.path().to_owned();
    let mut from = File::open(source).at(source)?;
    let mut block = vec![0; BLOCK_BYTES];
    let mut read = from.read(&mut block).at(source)?;
    let is_packed = read > 0 && !COMPRESSED.iter().any(|begins| block[..read].starts_with(begins));
    let mut out = Out::of(to, is_packed).at(copy)?;
    let (mut bytes, mut plain) = (0, Hasher::default());
    while read > 0 {
        out.write_all(&block[..read]).at(copy)?;
        plain.update(&block[..read]);
        bytes += read as u64;
        read = from.read(&mut block).at(source)?;
    }
    let out = out.end().at(copy)?;
    let sha256 = plain.hex();
    let ending = if is_packed { PACKED } else { "" };
    let stored = out.finish(|_| format!("originals/{sha256}{ending}"))?;
    Ok(Copied { bytes, sha256, stored })
}

/// Where the bytes of a copy go.
enum Out<W: Write> {
    Plain(W),
    Packed(zstd::Encoder<'static, W>),
}

impl<W: Write> Out<W> {
    fn of(file: W, is_packed: bool) -> std::io::Result<Self> {
        if !is_packed {
            return Ok(Self::Plain(file));
        }
        let mut packed = zstd::Encoder::new(file, LEVEL)?;
        packed.include_checksum(true)?;
        Ok(Self::Packed(packed))
    }

    fn write_all(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        match self {
            Self::Plain(file) => file.write_all(bytes),
            Self::Packed(packed) => packed.write_all(bytes),
        }
    }

    fn end(self) -> std::io::Result<W> {
        match self {
            Self::Plain(file) => Ok(file),
            Self::Packed(packed) => packed.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(bytes: &[u8]) -> (Copied, Vec<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let (source, copy) = (folder.path().join("a"), folder.path().join("b"));
        std::fs::write(&source, bytes).unwrap();
        let copied = copy_packed(&source, ObjectWriter::create(&copy, None).unwrap()).unwrap();
        (copied, std::fs::read(copy).unwrap())
    }

    #[test]
    fn an_input_file_is_packed_unless_it_is_compressed_already_or_empty() {
        let lines = "job-1,1001,Transcode,60000\n".repeat(100_000);
        let (packed, stored) = copied(lines.as_bytes());
        assert_eq!(packed.bytes, lines.len() as u64);
        assert!(packed.stored.object.bytes < packed.bytes / 20, "{packed:?}");
        assert_eq!(packed.stored.object.key, format!("originals/{}.zst", packed.sha256));
        assert_eq!(zstd::decode_all(&stored[..]).unwrap(), lines.as_bytes());
        for begins in COMPRESSED {
            let bytes = [begins, b"the rest"].concat();
            let (plain, stored) = copied(&bytes);
            assert_eq!(stored, bytes);
            assert_eq!(plain.stored.object.key, format!("originals/{}", plain.sha256));
            let stored = plain.stored.object;
            assert_eq!((plain.bytes, plain.sha256), (stored.bytes, stored.sha256));
        }
        assert_eq!(copied(b"").1, b"");
    }
}
