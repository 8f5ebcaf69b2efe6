//! Packed inputs: what is told by the first bytes, and gzip as gzip itself takes it.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::GzDecoder;

use super::Compression;

/// Read at a time.
const BUFFER_BYTES: usize = 1 << 18;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];
/// From its second byte on; the first is 0x50 to 0x5f.
const ZSTD_SKIPPABLE: &[u8] = &[0x2a, 0x4d, 0x18];

/// The bytes that a stored input stands for, or why its name is wrong.
///
/// # Errors
/// [`io::ErrorKind::Unsupported`] with the cure, where the bytes are not what the name says.
pub fn unpacked(stored: impl Read + Send + 'static, by_name: Compression) -> io::Result<Box<dyn Read + Send>> {
    let mut stored = BufReader::with_capacity(BUFFER_BYTES, stored);
    let beginning = stored.fill_buf()?;
    if let Some(cure) = cure(by_name, packing_of(beginning), beginning.is_empty()) {
        return Err(io::Error::new(io::ErrorKind::Unsupported, cure));
    }
    Ok(match by_name {
        Compression::None => Box::new(stored),
        Compression::Gzip => Box::new(Members::new(stored)),
        Compression::Zstd => Box::new(zstd::Decoder::with_buffer(stored)?),
    })
}

/// The bytes that a stored input stands for, by what is stored and whatever its name says.
pub fn unpacked_by_bytes(stored: impl Read + Send + 'static) -> io::Result<Box<dyn Read + Send>> {
    let mut stored = BufReader::with_capacity(BUFFER_BYTES, stored);
    let packing = packing_of(stored.fill_buf()?);
    unpacked(stored, packing)
}

fn packing_of(beginning: &[u8]) -> Compression {
    let is_skippable =
        beginning.first().is_some_and(|first| first >> 4 == 5) && beginning[1..].starts_with(ZSTD_SKIPPABLE);
    if beginning.starts_with(GZIP) {
        Compression::Gzip
    } else if beginning.starts_with(ZSTD) || is_skippable {
        Compression::Zstd
    } else {
        Compression::None
    }
}

fn cure(by_name: Compression, found: Compression, is_empty: bool) -> Option<&'static str> {
    if is_empty {
        return None;
    }
    match (by_name, found) {
        (Compression::Gzip, Compression::None) => {
            Some("its name ends in .gz, but it is not gzip; if it was already unpacked, remove `.gz` from the name")
        }
        (Compression::Zstd, Compression::None) => {
            Some("its name ends in .zst, but it is not zstd; if it was already unpacked, remove `.zst` from the name")
        }
        (Compression::None | Compression::Zstd, Compression::Gzip) => Some("it is gzip; add .gz to its name"),
        (Compression::None | Compression::Gzip, Compression::Zstd) => Some("it is zstd; add .zst to its name"),
        _ => None,
    }
}

/// The members of a gzip file one after the other. Zeros after a member, which tapes and block devices leave, are no part of it.
struct Members<R> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Members<R> {
    fn new(stored: R) -> Self {
        Self {
            member: Some(GzDecoder::new(stored)),
        }
    }
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while let Some(member) = &mut self.member {
            let read = member.read(buffer)?;
            if read > 0 || buffer.is_empty() {
                return Ok(read);
            }
            let mut rest = self.member.take().map(GzDecoder::into_inner);
            if let Some(rest) = rest.take_if(|rest| skip_zeros(rest).unwrap_or(true)) {
                self.member = Some(GzDecoder::new(rest));
            }
        }
        Ok(0)
    }
}

/// Whether anything but zeros follows. An error is met again by whoever reads on.
fn skip_zeros(reader: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let block = reader.fill_buf()?;
        if block.is_empty() {
            return Ok(false);
        }
        let zeros = block.iter().take_while(|byte| **byte == 0).count();
        if zeros == 0 {
            return Ok(true);
        }
        reader.consume(zeros);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn packed(text: &str) -> Vec<u8> {
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(text.as_bytes()).unwrap();
        packed.finish().unwrap()
    }

    fn read(bytes: Vec<u8>, by_name: Compression) -> io::Result<String> {
        let mut text = String::new();
        unpacked(io::Cursor::new(bytes), by_name)?.read_to_string(&mut text)?;
        Ok(text)
    }

    #[test]
    fn members_and_zeros_after_them_are_taken_as_gzip_takes_them() {
        let two = [packed("a\n"), packed("b\n")].concat();
        assert_eq!(read(two.clone(), Compression::Gzip).unwrap(), "a\nb\n");
        let padded = [two.clone(), vec![0; 10_000]].concat();
        assert_eq!(read(padded, Compression::Gzip).unwrap(), "a\nb\n");
        let rest = [two.clone(), b"rest".to_vec()].concat();
        read(rest, Compression::Gzip).unwrap_err();
        read(two[..two.len() - 1].to_vec(), Compression::Gzip).unwrap_err();
        read(vec![0; 10], Compression::Gzip).unwrap_err();
    }

    #[test]
    fn bytes_that_are_not_what_the_name_says_are_told_with_the_cure() {
        let told = |bytes: &[u8], by_name| read(bytes.to_vec(), by_name).unwrap_err().to_string();
        assert!(told(b"{}\n", Compression::Gzip).contains("remove `.gz` from the name"));
        assert!(told(b"{}\n", Compression::Zstd).contains("remove `.zst` from the name"));
        assert!(told(&packed("{}\n"), Compression::None).contains("add .gz to its name"));
        assert!(told(&zstd::encode_all(&b"{}\n"[..], 1).unwrap(), Compression::None).contains("add .zst to its name"));
        assert_eq!(read(Vec::new(), Compression::None).unwrap(), "");
    }
}
