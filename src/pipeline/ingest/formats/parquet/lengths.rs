//! Lengths before they are believed: those of a file's pages against the file's own size, and the runs of its levels to their end.
//!
//! Of a damaged file the decoder may take a length at its word, ask for more memory than there is, and end the process. What leads there was
//! found by damaging files: levels (which tell what is null) that end before the page's values do. A page's levels are its first bytes, so
//! most of it is not unpacked for them.

use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};

use polars_parquet::parquet::compression::{Compression, DecompressionContext, decompress};
use polars_parquet_format::thrift::protocol::TCompactInputProtocol;
use polars_parquet_format::{
    ColumnMetaData, CompressionCodec, Encoding, FieldRepetitionType, FileMetaData, PageHeader, PageType, Type,
};

use crate::support::quote::plain;

/// A page's bytes, at most: writers make pages of a megabyte, and some one page of a whole row group.
const PAGE_BYTES_MAX: i32 = 1 << 30;

/// What is read for a page's header at first, and at most: it may have a smallest and a largest value in it.
const HEADER_BYTES: usize = 1 << 10;
const HEADER_BYTES_MAX: usize = 1 << 24;

/// A level's run has its length in so many bytes, at most.
const RUN_LENGTH_BYTES_MAX: usize = 5;

/// How deep a column's values are nested: the highest levels.
#[derive(Clone, Copy, Debug, Default)]
struct Levels {
    definition: u32,
    repetition: u32,
}

/// Fails where a length in the file does not fit what is there. Pages end at `pages_end`.
pub fn check(file: &File, footer: &FileMetaData, pages_end: u64) -> Result<(), String> {
    let leaves = leaves(footer).ok_or("its schema is damaged")?;
    for group in &footer.row_groups {
        if group.columns.len() != leaves.len() {
            return Err("its row groups have other columns than its schema".to_owned());
        }
        for (column, (name, levels)) in group.columns.iter().zip(&leaves) {
            let name = plain(name);
            if column.crypto_metadata.is_some() {
                return Err(format!("the column `{name}` is encrypted"));
            }
            let metadata = column.meta_data.as_ref().ok_or("its footer is damaged")?;
            let in_column = |what: String| format!("the column `{name}` {what}");
            if levels.repetition == 0 && metadata.num_values != group.num_rows {
                let (values, rows) = (metadata.num_values, group.num_rows);
                return Err(in_column(format!("has {values} values where there are {rows} rows")));
            }
            check_chunk(file, metadata, *levels, pages_end).map_err(in_column)?;
        }
    }
    Ok(())
}

/// The columns that have values, with their levels.
fn leaves(footer: &FileMetaData) -> Option<Vec<(String, Levels)>> {
    let mut found = Vec::new();
    // Of the groups that are open: members to come, and levels.
    let mut open: Vec<(i32, Levels)> = Vec::new();
    let mut schema = footer.schema.iter();
    open.push((schema.next()?.num_children.unwrap_or(0), Levels::default()));
    for element in schema {
        while open.last().is_some_and(|(left, _)| *left == 0) {
            open.pop();
        }
        let (left, mut levels) = open.last().copied()?;
        open.last_mut()?.0 = left - 1;
        match element.repetition_type {
            Some(FieldRepetitionType::OPTIONAL) => levels.definition += 1,
            Some(FieldRepetitionType::REPEATED) => {
                levels.definition += 1;
                levels.repetition += 1;
            }
            _ => {}
        }
        match element.num_children.filter(|children| *children > 0) {
            Some(children) => open.push((children, levels)),
            None if element.type_.is_some() => found.push((element.name.clone(), levels)),
            None => {}
        }
    }
    Some(found)
}

fn check_chunk(file: &File, metadata: &ColumnMetaData, levels: Levels, pages_end: u64) -> Result<(), String> {
    let damaged = || "has pages outside of the file".to_owned();
    let first = match metadata.dictionary_page_offset.filter(|offset| *offset > 0) {
        Some(dictionary) => dictionary.min(metadata.data_page_offset),
        None => metadata.data_page_offset,
    };
    let mut at = u64::try_from(first).map_err(|_| damaged())?;
    let bytes = u64::try_from(metadata.total_compressed_size).map_err(|_| damaged())?;
    let end = at
        .checked_add(bytes)
        .filter(|end| *end <= pages_end)
        .ok_or_else(damaged)?;
    let mut values = 0;
    while values < metadata.num_values {
        let (header, header_bytes) = read_header(file, at, end)?;
        let page = Page::of(&header, metadata, at + header_bytes, end)?;
        check_values(&header, metadata, levels, &page, file)?;
        values += i64::from(page.values);
        at = page.at + u64::from(page.stored);
    }
    if values == metadata.num_values {
        Ok(())
    } else {
        let told = metadata.num_values;
        Err(format!("has {values} values in its pages, and {told} by the footer"))
    }
}

fn read_at(mut file: &File, bytes: &mut [u8], at: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.read_exact(bytes)
}

fn read_header(file: &File, at: u64, end: u64) -> Result<(PageHeader, u64), String> {
    let left = usize::try_from(end.saturating_sub(at)).unwrap_or(usize::MAX);
    let mut length = HEADER_BYTES;
    loop {
        let mut buffer = vec![0; length.min(left)];
        read_at(file, &mut buffer, at).map_err(|error| format!("cannot be read: {error}"))?;
        let mut rest = buffer.as_slice();
        let bytes_max = buffer.len().saturating_mul(4).max(1 << 16);
        match PageHeader::read_from_in_protocol(&mut TCompactInputProtocol::new(&mut rest, bytes_max)) {
            Ok(header) => return Ok((header, (buffer.len() - rest.len()) as u64)),
            Err(_) if length < left && length < HEADER_BYTES_MAX => length *= 8,
            Err(_) => return Err("has a page that is damaged".to_owned()),
        }
    }
}

/// Where a page's bytes are, and what they are when they are unpacked.
struct Page {
    at: u64,
    /// Bytes in the file.
    stored: u32,
    unpacked: u32,
    /// None in a dictionary.
    values: i32,
}

impl Page {
    fn of(header: &PageHeader, metadata: &ColumnMetaData, at: u64, end: u64) -> Result<Self, String> {
        let damaged = || "has a page whose lengths do not fit the file".to_owned();
        let stored = u32::try_from(header.compressed_page_size).map_err(|_| damaged())?;
        let unpacked = u32::try_from(header.uncompressed_page_size).map_err(|_| damaged())?;
        if at + u64::from(stored) > end || metadata.codec == CompressionCodec::UNCOMPRESSED && stored != unpacked {
            return Err(damaged());
        }
        if header.uncompressed_page_size > PAGE_BYTES_MAX {
            return Err(format!(
                "has a page of {unpacked} bytes; at most {PAGE_BYTES_MAX} are read"
            ));
        }
        let values = match (&header.data_page_header, &header.data_page_header_v2) {
            (Some(page), _) if header.type_ == PageType::DATA_PAGE => page.num_values,
            (_, Some(page)) if header.type_ == PageType::DATA_PAGE_V2 => page.num_values,
            _ => 0,
        };
        if values < 0 || i64::from(values) > metadata.num_values {
            return Err(damaged());
        }
        Ok(Self {
            at,
            stored,
            unpacked,
            values,
        })
    }
}

fn check_values(
    header: &PageHeader,
    metadata: &ColumnMetaData,
    levels: Levels,
    page: &Page,
    file: &File,
) -> Result<(), String> {
    if let (PageType::DICTIONARY_PAGE, Some(dictionary)) = (header.type_, &header.dictionary_page_header) {
        let bytes = i64::from(dictionary.num_values) * bytes_min(metadata.type_);
        let fits = dictionary.num_values >= 0 && bytes <= i64::from(page.unpacked);
        return if fits {
            Ok(())
        } else {
            Err("has a dictionary that is larger than its page".to_owned())
        };
    }
    let cut = || "has a page that tells of its nulls for fewer values than it has".to_owned();
    let check = |bytes: &[u8], highest: u32| check_levels(bytes, highest, page.values).ok_or_else(cut);
    if let (PageType::DATA_PAGE_V2, Some(of_page)) = (header.type_, &header.data_page_header_v2) {
        let length = |bytes: i32| {
            u32::try_from(bytes)
                .ok()
                .filter(|bytes| *bytes <= page.stored)
                .ok_or_else(cut)
        };
        let repetition = length(of_page.repetition_levels_byte_length)?;
        let definition = length(of_page.definition_levels_byte_length)?;
        let both = length(
            of_page
                .repetition_levels_byte_length
                .saturating_add(of_page.definition_levels_byte_length),
        )?;
        let mut bytes = vec![0; both as usize];
        read_at(file, &mut bytes, page.at).map_err(|error| format!("cannot be read: {error}"))?;
        check(&bytes[..repetition as usize], levels.repetition)?;
        return check(&bytes[repetition as usize..][..definition as usize], levels.definition);
    }
    let Some(of_page) = header
        .data_page_header
        .as_ref()
        .filter(|_| header.type_ == PageType::DATA_PAGE)
    else {
        return Ok(());
    };
    let mut head = Head::new(file, metadata.codec, page);
    for (highest, encoding) in [
        (levels.repetition, of_page.repetition_level_encoding),
        (levels.definition, of_page.definition_level_encoding),
    ] {
        if highest == 0 || page.values == 0 {
            continue;
        }
        if encoding != Encoding::RLE {
            return Err("has levels in an obsolete encoding; write the file again".to_owned());
        }
        let bytes = head.next_part()?.ok_or_else(cut)?;
        check(&bytes, highest)?;
    }
    Ok(())
}

/// Bytes that a value takes in a dictionary, at least.
fn bytes_min(of: Type) -> i64 {
    match of {
        Type::INT32 | Type::FLOAT | Type::BYTE_ARRAY => 4,
        Type::INT64 | Type::DOUBLE => 8,
        Type::INT96 => 12,
        _ => 1,
    }
}

/// Whether the runs of levels up to `highest` come to so many values; none if they end before.
fn check_levels(mut bytes: &[u8], highest: u32, values: i32) -> Option<()> {
    let bits = u64::from(u32::BITS - highest.leading_zeros());
    if bits == 0 {
        return Some(());
    }
    let mut left = u64::try_from(values).ok()?;
    while left > 0 {
        let run = run_length(&mut bytes)?;
        let covered = if run & 1 == 1 {
            let packed = (run >> 1).checked_mul(bits)?;
            let there = usize::try_from(packed).map_or(bytes.len(), |packed| packed.min(bytes.len()));
            bytes = &bytes[there..];
            there as u64 * 8 / bits
        } else {
            bytes = bytes.get(usize::try_from(bits.div_ceil(8)).ok()?..)?;
            run >> 1
        };
        left = left.saturating_sub(covered);
    }
    Some(())
}

/// The number that a run begins with, which says how long it is and of which kind.
fn run_length(bytes: &mut &[u8]) -> Option<u64> {
    let mut length = 0;
    for at in 0..RUN_LENGTH_BYTES_MAX {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        length |= u64::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(length);
        }
    }
    None
}

/// The first bytes of a page of the older kind: levels, each with their length before them, packed together with what follows.
struct Head<'a> {
    file: &'a File,
    codec: CompressionCodec,
    page: &'a Page,
    /// What was taken so far.
    taken: usize,
    /// The page as it is stored, once it was read.
    stored: Option<Vec<u8>>,
}

impl<'a> Head<'a> {
    fn new(file: &'a File, codec: CompressionCodec, page: &'a Page) -> Self {
        Self {
            file,
            codec,
            page,
            taken: 0,
            stored: None,
        }
    }

    /// The next levels; none if the page ends before they do.
    fn next_part(&mut self) -> Result<Option<Vec<u8>>, String> {
        const LENGTH_BYTES: usize = 4;
        let Some(length) = self.unpacked(self.taken + LENGTH_BYTES)? else {
            return Ok(None);
        };
        let length = &length[self.taken..][..LENGTH_BYTES];
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        let start = self.taken + LENGTH_BYTES;
        if length > self.page.unpacked as usize {
            return Ok(None);
        }
        self.taken = start + length;
        Ok(self.unpacked(self.taken)?.map(|mut bytes| bytes.split_off(start)))
    }

    /// So many bytes of the page from its beginning, unpacked; none if it has fewer.
    fn unpacked(&mut self, count: usize) -> Result<Option<Vec<u8>>, String> {
        if count > self.page.unpacked as usize {
            return Ok(None);
        }
        let damaged = |error: &dyn std::fmt::Display| format!("has a page that cannot be unpacked: {error}");
        if self.codec == CompressionCodec::UNCOMPRESSED {
            let mut bytes = vec![0; count];
            read_at(self.file, &mut bytes, self.page.at).map_err(|error| damaged(&error))?;
            return Ok(Some(bytes));
        }
        let stored = match &mut self.stored {
            Some(stored) => stored,
            none => {
                let mut stored = vec![0; self.page.stored as usize];
                read_at(self.file, &mut stored, self.page.at).map_err(|error| damaged(&error))?;
                none.insert(stored)
            }
        };
        let from_stream = |stream: &mut dyn Read| {
            let mut bytes = vec![0; count];
            stream
                .read_exact(&mut bytes)
                .map(|()| Some(bytes))
                .map_err(|error| damaged(&error))
        };
        match self.codec {
            CompressionCodec::SNAPPY => Ok(snappy_head(stored, count)),
            CompressionCodec::ZSTD => {
                let mut stream = zstd::Decoder::with_buffer(stored.as_slice()).map_err(|error| damaged(&error))?;
                from_stream(&mut stream)
            }
            CompressionCodec::GZIP => from_stream(&mut flate2::read::MultiGzDecoder::new(stored.as_slice())),
            other => {
                let codec = Compression::try_from(other).map_err(|error| damaged(&error))?;
                let mut bytes = vec![0; self.page.unpacked as usize];
                decompress(codec, stored, &mut bytes, &mut DecompressionContext::Unset)
                    .map_err(|error| damaged(&error))?;
                bytes.truncate(count);
                Ok(Some(bytes))
            }
        }
    }
}

/// The kind of a Snappy tag after which bytes stand as they are; others copy what came before.
const LITERAL: u8 = 0;

/// So many bytes of what is packed as Snappy packs a block; none if it ends before, or is no such block.
fn snappy_head(mut packed: &[u8], count: usize) -> Option<Vec<u8>> {
    run_length(&mut packed)?;
    let mut head = Vec::with_capacity(count);
    while head.len() < count {
        let (&tag, rest) = packed.split_first()?;
        packed = rest;
        let upper = usize::from(tag >> 2);
        let kind = tag & 3;
        if kind == LITERAL {
            let more = upper.saturating_sub(59);
            let length = if more == 0 {
                upper
            } else {
                little_endian(&mut packed, more)?
            } + 1;
            let literal = packed.get(..length.min(count - head.len()))?;
            head.extend(literal);
            packed = packed.get(length..).unwrap_or_default();
            continue;
        }
        let (length, offset) = match kind {
            1 => (
                (upper & 7) + 4,
                usize::from(tag >> 5) << 8 | little_endian(&mut packed, 1)?,
            ),
            2 => (upper + 1, little_endian(&mut packed, 2)?),
            _ => (upper + 1, little_endian(&mut packed, 4)?),
        };
        let start = head.len().checked_sub(offset).filter(|_| offset > 0)?;
        for at in start..start + length {
            head.push(head[at]);
        }
    }
    head.truncate(count);
    Some(head)
}

fn little_endian(bytes: &mut &[u8], count: usize) -> Option<usize> {
    let (number, rest) = bytes.split_at_checked(count)?;
    *bytes = rest;
    Some(
        number
            .iter()
            .rev()
            .fold(0, |number, byte| number << 8 | usize::from(*byte)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_that_end_before_their_values_are_no_levels() {
        // A run of 300 ones; of 319 groups of bits that are not there; without its value; of any length in more bytes than one has.
        let run = [0xD8, 0x04, 0x01];
        assert_eq!(check_levels(&run, 1, 300), Some(()));
        assert_eq!(check_levels(&run, 1, 301), None);
        assert_eq!(check_levels(&[0xFF, 0x04, 0x01], 1, 300), None);
        assert_eq!(check_levels(&[0xD8, 0x04], 1, 300), None);
        assert_eq!(check_levels(&[0xFF; 12], 1, 300), None);
        assert_eq!(check_levels(&[], 1, 1), None);
        assert_eq!(check_levels(&[], 1, 0), Some(()));
        assert_eq!(check_levels(&[], 0, 300), Some(()));
        // Eight values of two bits, packed.
        assert_eq!(check_levels(&[0x03, 0x1B, 0x1B], 3, 8), Some(()));
        assert_eq!(check_levels(&[0x03, 0x1B], 3, 8), None);
    }

    #[test]
    fn the_head_of_a_snappy_block_is_that_of_what_was_packed() {
        // 4 bytes as they are, then 11 and 7 that stood 4 and 2 bytes before; the third is cut by what is asked for.
        let packed = [22, 3 << 2, b'a', b'b', b'c', b'd', 7 << 2 | 1, 4, 6 << 2 | 2, 2, 0];
        let whole = b"abcdabcdabcdabcbcbcbcb";
        for count in 0..=whole.len() {
            assert_eq!(snappy_head(&packed, count).as_deref(), Some(&whole[..count]), "{count}");
        }
        assert_eq!(snappy_head(&packed, whole.len() + 1), None);
        assert_eq!(snappy_head(&[9, 3 << 2, b'a'], 4), None);
        assert_eq!(snappy_head(&[9, 1, 1], 1), None);
    }
}
