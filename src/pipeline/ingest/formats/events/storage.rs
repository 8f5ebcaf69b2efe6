//! Where a task read and wrote: buckets and URLs of an event.

use super::member::Node;
use super::secrets::BLANK;
use crate::pipeline::ingest::record::refusal::Refusal;
use crate::support::json::tree::Tree;

/// A bucket of the service's own object store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Bucket<'a> {
    pub name: Option<&'a str>,
    pub region: Option<&'a str>,
}

/// What a task read.
#[derive(Clone, Debug, Default)]
pub(super) struct Input<'a> {
    pub bucket: Bucket<'a>,
    /// For people, without what signs it.
    pub url: Option<String>,
}

/// The source that an `InputInfo` names.
pub(super) fn input<'a>(info: Option<&Node<'a>>) -> Result<Input<'a>, Refusal> {
    let Some(info) = info else {
        return Ok(Input::default());
    };
    if let Some(cos) = info.object("CosInputInfo")? {
        let bucket = Bucket {
            name: cos.text("Bucket")?,
            region: cos.text("Region")?,
        };
        let url = place("cos", bucket.name, cos.text("Object")?);
        return Ok(Input { bucket, url });
    }
    let url = match (info.object("UrlInputInfo")?, info.object("S3InputInfo")?) {
        (Some(url), _) => url.text("Url")?.map(plain_url),
        (None, Some(s3)) => place("s3", s3.text("S3Bucket")?, s3.text("S3Object")?),
        (None, None) => None,
    };
    Ok(Input {
        bucket: Bucket::default(),
        url,
    })
}

/// The bucket into which a result was written.
pub(super) fn output<'a>(result: &Node<'a>) -> Result<Bucket<'a>, Refusal> {
    // Of recognition and analysis it is a list.
    let Some(Tree::Object(_)) = result.value("Output")? else {
        return Ok(Bucket::default());
    };
    for storage in ["OutputStorage", "Storage"] {
        if let Some(cos) = result.object_at(&["Output", storage, "CosOutputStorage"])? {
            return Ok(Bucket {
                name: cos.text("Bucket")?,
                region: cos.text("Region")?,
            });
        }
    }
    Ok(Bucket::default())
}

fn place(scheme: &str, bucket: Option<&str>, object: Option<&str>) -> Option<String> {
    let (bucket, object) = (bucket?, object?);
    Some(format!("{scheme}://{bucket}/{}", object.trim_start_matches('/')))
}

/// A URL without its query and fragment, and without who signs in there.
fn plain_url(url: &str) -> String {
    let end = url.find(['?', '#']).unwrap_or(url.len());
    url[..end].replacen(&format!("{BLANK}@"), "", 1)
}
