//! Hashes of a record's identity and billable content (XXH3, 64 bits, stable across machines and versions).
//!
//! They find candidates; what they find is verified on the real strings and values. Different fingerprints of one version prove
//! different content; equal ones, and those of different versions, prove nothing.

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use super::{Kind, Record};
use crate::values::parameters::coarse;

/// What a void's content begins with; no status of usage has this value.
const VOID_MARK: u64 = 2;

/// The hash of an identity. The source's hash is the id's seed, so that `("a", "bc")` is not `("ab", "c")`.
#[inline]
pub fn identity_hash(source: &str, id: &str) -> u64 {
    identity_hash_with(text_hash(source), id)
}

/// [`identity_hash`] where the [`text_hash`] of the source is known already.
#[inline]
pub fn identity_hash_with(source_hash: u64, id: &str) -> u64 {
    xxh3_64_with_seed(id.as_bytes(), source_hash)
}

/// The hash of one text, such as a canonical text of parameters.
#[inline]
pub fn text_hash(text: &str) -> u64 {
    xxh3_64(text.as_bytes())
}

/// The hash of a record's billable content: status, account, application, task type, parameters and duration; of a void, what it takes
/// back. It is of the coarser form, in which plain decimals in text are numbers and the time is left out: contents that are equal have
/// equal fingerprints. `parameters` is the canonical text.
pub fn content_fingerprint(record: &Record<'_>, parameters: &str) -> u64 {
    let hashes = TextHashes {
        task_type: text_hash(record.task_type.unwrap_or_default()),
        parameters: text_hash(&coarse(parameters)),
    };
    content_fingerprint_with(record, hashes)
}

/// The [`text_hash`] of those texts of a record that come again and again.
#[derive(Clone, Copy, Debug)]
pub struct TextHashes {
    pub task_type: u64,
    /// Of the coarse text.
    pub parameters: u64,
}

/// [`content_fingerprint`] where the hashes of the texts are known already.
#[inline]
pub fn content_fingerprint_with(record: &Record<'_>, hashes: TextHashes) -> u64 {
    let words = match record.kind {
        Kind::Void => [VOID_MARK, text_hash(record.voids.unwrap_or_default()), 0, 0, 0, 0, 0],
        Kind::Usage => [
            u64::from(record.failed),
            record.uin.unwrap_or_default(),
            record.appid.unwrap_or_default(),
            hashes.task_type,
            hashes.parameters,
            record.duration_ms.unwrap_or_default().cast_unsigned(),
            // The time's place in the version before: a void has one fingerprint in both.
            0,
        ],
    };
    let mut bytes = [0; 7 * 8];
    for (place, word) in bytes.chunks_exact_mut(8).zip(words) {
        place.copy_from_slice(&word.to_le_bytes());
    }
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::ingest::record::{Scratch, parse_line};

    fn fingerprint(line: &str) -> u64 {
        let mut scratch = Scratch::default();
        let record = parse_line(line.as_bytes(), &mut scratch).unwrap();
        let parameters = crate::pipeline::ingest::record::canonical_parameters(&record).unwrap();
        content_fingerprint(&record, &parameters)
    }

    const USAGE: &str = r#"{"id":"a","uin":"100","appid":125,"task_type":"Transcode","parameters":{"width":1920,"codec":"H264"},"duration_ms":32000,"finished_at":"2026-10-22T07:54:27Z"}"#;

    #[test]
    fn content_is_compared_as_values() {
        for (from, to) in [
            (r#""uin":"100""#, r#""uin":100"#),
            (r#""id":"a""#, r#""source":"x","id":"b""#),
            (r#""width":1920"#, r#""height":null,"width":1.92e3"#),
            (r#""width":1920"#, r#""width":"1920""#),
            (r#""width":1920"#, r#""width":"1920.00""#),
            ("27Z", "28Z"),
            ("32000", "32000.0"),
            ("07:54:27Z", "15:54:27.000+08:00"),
            (
                r#""appid":125"#,
                r#""appid":"125","status":"SUCCESS","task_id":"t","created_at":"0000-00-00T00:00:00Z""#,
            ),
        ] {
            let line = USAGE.replace(from, to);
            assert_ne!(line, USAGE);
            assert_eq!(fingerprint(&line), fingerprint(USAGE), "{line}");
        }
    }

    #[test]
    fn each_part_of_the_billable_content_counts() {
        for (from, to) in [
            ("\"100\"", "\"101\""),
            ("125", "126"),
            ("Transcode", "Enhance"),
            ("1920", "1921"),
            ("H264", "H265"),
            ("32000", "32001"),
            (r#""id":"a""#, r#""id":"a","status":"FAIL""#),
        ] {
            let line = USAGE.replace(from, to);
            assert_ne!(fingerprint(&line), fingerprint(USAGE), "{line}");
        }
        let void = |target: &str| fingerprint(&format!(r#"{{"id":"v","kind":"void","voids":"{target}"}}"#));
        assert_ne!(void("a"), void("b"));
        assert_ne!(void("a"), fingerprint(USAGE));
    }

    #[test]
    fn where_the_source_ends_and_the_id_begins_matters() {
        assert_ne!(identity_hash("a", "bc"), identity_hash("ab", "c"));
        assert_eq!(identity_hash("mps", "1"), identity_hash("mps", "1"));
    }

    #[test]
    fn hashes_are_those_that_are_stored_already() {
        assert_eq!(
            identity_hash("mps", "7143216afe91b33d1bbc3fa145795fe3"),
            3_965_620_196_090_485_980
        );
        assert_eq!(fingerprint(USAGE), 7_202_943_627_803_286_931);
    }
}
