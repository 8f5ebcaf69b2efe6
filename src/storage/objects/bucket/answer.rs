//! What buckets answer: pages of listings, and what the head of an answer says of an object. Pure.

use chrono::{DateTime, Utc};
use serde::Deserialize;

use super::super::{Cloud, Object, Odd, OddKind, Page};
use super::address::decoded;
use super::http::Answer;
use super::upload::Unfinished;

/// A page of a listing, and where the next begins.
#[derive(Debug)]
pub struct Listed {
    pub page: Page,
    /// None: it is the last.
    pub next: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListBucketResult {
    #[serde(default)]
    is_truncated: bool,
    next_continuation_token: Option<String>,
    encoding_type: Option<String>,
    #[serde(default)]
    contents: Vec<Contents>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Contents {
    #[serde(default)]
    key: String,
    last_modified: DateTime<Utc>,
    #[serde(rename = "ETag", default)]
    etag: String,
    size: u64,
}

/// Reads a page. S3 goes on by a token of its own, COS after the last key.
///
/// # Errors
/// What is wrong with it.
pub fn listed(cloud: Cloud, text: &[u8]) -> Result<Listed, String> {
    let text = std::str::from_utf8(text).map_err(|_| "a listing that is not UTF-8".to_owned())?;
    if !text.contains("<ListBucketResult") {
        return Err("no listing".to_owned());
    }
    let result: ListBucketResult =
        quick_xml::de::from_str(text).map_err(|_| "a listing that cannot be read".to_owned())?;
    let is_encoded = result.encoding_type.as_deref() == Some("url");
    let (mut page, mut last) = (Page::default(), None);
    for contents in result.contents {
        let key = if is_encoded {
            // S3 writes a blank as forms do; COS does not.
            decoded(&contents.key, cloud == Cloud::S3)
        } else {
            Some(contents.key.clone())
        };
        // No database takes a zero in a text.
        let Some(key) = key.filter(|key| !key.contains('\0')) else {
            page.odd.push(Odd {
                key: contents.key,
                kind: OddKind::NoText,
            });
            continue;
        };
        last = Some(key.clone());
        page.objects.push(Object {
            key,
            bytes: contents.size,
            etag: without_quotes(&contents.etag).to_owned(),
            modified: contents.last_modified,
        });
    }
    let next = match cloud {
        _ if !result.is_truncated => None,
        Cloud::S3 => Some(result.next_continuation_token),
        Cloud::Cos => Some(last),
    };
    match next {
        Some(None) => Err("a listing that does not say how it goes on".to_owned()),
        next => Ok(Listed {
            page,
            next: next.flatten(),
        }),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ListMultipartUploadsResult {
    encoding_type: Option<String>,
    #[serde(rename = "Upload", default)]
    uploads: Vec<Upload>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Upload {
    key: String,
    upload_id: String,
}

/// Reads a list of uploads that came to no end.
///
/// # Errors
/// What is wrong with it.
pub fn unfinished(cloud: Cloud, text: &str) -> Result<Vec<Unfinished>, String> {
    if !text.contains("<ListMultipartUploadsResult") {
        return Err("no list of uploads".to_owned());
    }
    let result: ListMultipartUploadsResult =
        quick_xml::de::from_str(text).map_err(|_| "a list of uploads that cannot be read".to_owned())?;
    let is_encoded = result.encoding_type.as_deref() == Some("url");
    let key_of = |key: String| {
        if is_encoded {
            // As in a listing.
            decoded(&key, cloud == Cloud::S3)
        } else {
            Some(key)
        }
    };
    let uploads = result.uploads.into_iter();
    Ok(uploads
        .filter_map(|upload| {
            let key = key_of(upload.key)?;
            let id = upload.upload_id;
            Some(Unfinished { key, id })
        })
        .collect())
}

/// The state of an object that is sent, from a byte on.
///
/// # Errors
/// What is wrong with the answer.
pub fn object(key: &str, answer: &Answer, from: u64) -> Result<Object, String> {
    let header = |name: &str| answer.header(name).ok_or_else(|| format!("an object without {name}"));
    let number = |text: &str| text.parse::<u64>().map_err(|_| "a length that is no number".to_owned());
    let bytes = if from == 0 {
        number(header("content-length")?)?
    } else {
        // Such as `bytes 5-9/10`.
        let range = header("content-range")?;
        let (part, all) = range.split_once('/').ok_or("a range that is none")?;
        let begins = part.strip_prefix("bytes ").and_then(|part| part.split_once('-'));
        let (begins, _) = begins.ok_or("a range that is none")?;
        if number(begins)? != from {
            return Err("another range than was asked for".to_owned());
        }
        number(all)?
    };
    let modified = DateTime::parse_from_rfc2822(header("last-modified")?);
    Ok(Object {
        key: key.to_owned(),
        bytes,
        etag: without_quotes(header("etag")?).to_owned(),
        modified: modified.map_err(|_| "a time that is none")?.to_utc(),
    })
}

/// An `ETag` as it is compared: some servers leave the quotes out of their listings.
fn without_quotes(etag: &str) -> &str {
    let inner = etag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(etag)
}

/// The same as a request has it.
pub fn quoted(etag: &str) -> String {
    if etag.contains('"') {
        etag.to_owned()
    } else {
        format!("\"{etag}\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAGE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name><Prefix></Prefix><KeyCount>2</KeyCount>
<MaxKeys>2</MaxKeys><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>
<Contents><Key>a%2Bb+c%2F..%2F%2Fd.csv</Key><LastModified>2026-11-02T03:04:05.678Z</LastModified><ETag>&quot;0f&quot;</ETag>
<Size>12</Size><StorageClass>STANDARD</StorageClass></Contents>
<CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes>
<Contents><Key>%E7%94%A8</Key><LastModified>2026-11-02T03:04:05.000Z</LastModified><ETag>&#34;1e&#34;</ETag><Size>0</Size>
</Contents><NextContinuationToken>t/1+2=</NextContinuationToken></ListBucketResult>"#;

    fn keys(listed: &Listed) -> Vec<&str> {
        listed.page.objects.iter().map(|object| object.key.as_str()).collect()
    }

    #[test]
    fn a_page_says_keys_sizes_states_and_where_the_next_begins() {
        let listed = listed(Cloud::S3, PAGE.as_bytes()).unwrap();
        assert_eq!(keys(&listed), ["a+b c/..//d.csv", "用"]);
        assert_eq!(listed.next.as_deref(), Some("t/1+2="));
        let object = &listed.page.objects[0];
        assert_eq!((object.bytes, object.etag.as_str()), (12, "0f"));
        assert_eq!(
            object.modified,
            "2026-11-02T03:04:05.678Z".parse::<DateTime<Utc>>().unwrap()
        );
        assert_eq!(listed.page.objects[1].etag, "1e");
    }

    #[test]
    fn cos_goes_on_after_the_last_key_and_writes_no_blank_as_a_plus() {
        let page = PAGE.replace("<Key>%E7%94%A8", "<Key>x+y");
        let listed = listed(Cloud::Cos, page.as_bytes()).unwrap();
        assert_eq!(keys(&listed), ["a+b+c/..//d.csv", "x+y"]);
        assert_eq!(listed.next.as_deref(), Some("x+y"));
    }

    #[test]
    fn the_last_page_and_an_empty_one_have_no_next() {
        let last = PAGE.replace("<IsTruncated>true", "<IsTruncated>false");
        assert_eq!(listed(Cloud::S3, last.as_bytes()).unwrap().next, None);
        let empty = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";
        let empty = listed(Cloud::S3, empty.as_bytes()).unwrap();
        assert!(empty.page.objects.is_empty() && empty.next.is_none());
    }

    #[test]
    fn what_is_no_listing_and_one_that_does_not_go_on_are_told() {
        let endless = PAGE.replace("NextContinuationToken", "Other");
        for wrong in ["<html></html>", "{}", "", endless.as_str()] {
            assert!(listed(Cloud::S3, wrong.as_bytes()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn uploads_are_told_and_what_is_no_list_of_them_is_none() {
        let text = "<ListMultipartUploadsResult><EncodingType>url</EncodingType><Upload><Key>a%2Fb+c</Key><UploadId>u1</UploadId></Upload>\
                    </ListMultipartUploadsResult>";
        let found = unfinished(Cloud::S3, text).unwrap();
        assert_eq!(
            (found.len(), &*found[0].key, &*found[0].id),
            (1, "a/b c", "u1"),
            "{found:?}"
        );
        for wrong in ["<html></html>", "<ListBucketResult></ListBucketResult>", ""] {
            assert!(unfinished(Cloud::S3, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_key_that_is_no_text_is_told_and_the_others_are_listed() {
        let page = PAGE.replace("%E7%94%A8", "%FF");
        let listed = listed(Cloud::S3, page.as_bytes()).unwrap();
        assert_eq!(
            (
                keys(&listed).len(),
                listed.page.odd.into_iter().map(|odd| odd.key).collect()
            ),
            (1, vec!["%FF".to_owned()])
        );
    }
}
