//! Files that are put into a bucket: at once, or in parts where they are large.
//!
//! Each object notes the SHA-256 of its bytes, so that what an interrupted run left is known again without reading it. The note comes with
//! the bytes in one request; of an object in parts it comes first, and the object is there when its last request was answered.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use super::super::Cloud;
use super::super::error::StoreError;
use super::http::{Bytes, Method};
use super::keeping::text_of;
use super::patience::patiently;
use super::{Ask, Bucket, answer};
use crate::support::error::{self, AtPath as _, Error};
use crate::support::failpoint;
use crate::values::digest::{Hasher, sha256_hex};

/// Bytes of a part, and the most that is put at once. Both clouds take parts of 5 MiB at least and 10,000 of them: files of 160 GiB.
pub const PART_BYTES: usize = 16 << 20;

/// The longest answer about an upload that is read: a thousand uploads with keys of 1,024 bytes, encoded.
const ANSWER_BYTES_MAX: usize = 8 << 20;

/// What an object notes of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    pub bytes: u64,
    /// None where somebody else put it.
    pub sha256: Option<String>,
}

/// An upload in parts that came to no end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unfinished {
    pub key: String,
    pub id: String,
}

impl Bucket {
    /// Puts a file whose digest is known.
    ///
    /// # Errors
    /// [`Error::Damaged`] inside of [`StoreError::Local`] when the file has another digest by now; then no object was made.
    pub async fn put_file(&self, key: &str, path: &Path, sha256: &str) -> Result<(), StoreError> {
        let mut file = File::open(path).at(path)?;
        let first = next_part(&mut file, path)?;
        if first.len() < PART_BYTES {
            if sha256_hex(&first) != sha256 {
                return Err(changed(path));
            }
            return self.put_noted(key, first, sha256).await;
        }
        let upload = patiently(async || self.begin_upload(key, sha256).await).await?;
        match self.put_parts(key, &upload, first, (&mut file, path), sha256).await {
            Ok(parts) => self.end_upload(key, &upload, &parts, sha256).await,
            Err(error) => {
                // What is left of it otherwise goes with the next prune.
                if let Err(error) = self.abort_upload(key, &upload).await {
                    tracing::debug!("an upload could not be given up: {error}");
                }
                Err(error)
            }
        }
    }

    /// Puts bytes with their digest.
    async fn put_noted(&self, key: &str, bytes: Bytes, sha256: &str) -> Result<(), StoreError> {
        let ask = Ask {
            method: Method::Put,
            body: bytes,
            headers: vec![(self.note(), sha256.to_owned())],
            ..Ask::get(Some(key))
        };
        patiently(async || self.ask(&ask).await.map(drop)).await
    }

    /// What an object notes; none where there is none.
    ///
    /// # Errors
    /// Where nothing is said of it.
    pub async fn noted(&self, key: &str) -> Result<Option<Noted>, StoreError> {
        let ask = Ask {
            method: Method::Head,
            ..Ask::get(Some(key))
        };
        let answer = match patiently(async || self.ask(&ask).await).await {
            Err(StoreError::Missing) => return Ok(None),
            answer => answer?,
        };
        let bytes = answer.header("content-length").and_then(|length| length.parse().ok());
        Ok(Some(Noted {
            bytes: bytes.ok_or_else(|| self.strange("an object without content-length"))?,
            sha256: answer.header(self.note()).map(ToOwned::to_owned),
        }))
    }

    fn note(&self) -> &'static str {
        match self.place.cloud {
            Cloud::S3 => "x-amz-meta-sha256",
            Cloud::Cos => "x-cos-meta-sha256",
        }
    }

    async fn begin_upload(&self, key: &str, sha256: &str) -> Result<String, StoreError> {
        let ask = Ask {
            method: Method::Post,
            query: vec![("uploads", String::new())],
            headers: vec![(self.note(), sha256.to_owned())],
            ..Ask::get(Some(key))
        };
        let text = self.text_of_answer(&ask).await?;
        text_of(&text, "UploadId").ok_or_else(|| self.strange("an upload without a name"))
    }

    /// Puts the parts, and returns their `ETag`s.
    async fn put_parts(
        &self,
        key: &str,
        upload: &str,
        first: Bytes,
        (file, path): (&mut File, &Path),
        sha256: &str,
    ) -> Result<Vec<String>, StoreError> {
        let (mut part, mut digest, mut etags) = (first, Hasher::default(), Vec::new());
        while !part.is_empty() {
            digest.update(&part);
            let ask = Ask {
                method: Method::Put,
                query: vec![
                    ("partNumber", (etags.len() + 1).to_string()),
                    ("uploadId", upload.to_owned()),
                ],
                body: part,
                ..Ask::get(Some(key))
            };
            let answer = patiently(async || self.ask(&ask).await).await?;
            let etag = answer
                .header("etag")
                .ok_or_else(|| self.strange("a part without etag"))?;
            etags.push(answer::quoted(etag));
            failpoint::file("put part", Path::new(key));
            part = next_part(file, path)?;
        }
        if digest.hex() == sha256 {
            Ok(etags)
        } else {
            Err(changed(path))
        }
    }

    /// Makes an object of its parts. One that was made before its answer was lost is known by its note.
    async fn end_upload(&self, key: &str, upload: &str, etags: &[String], sha256: &str) -> Result<(), StoreError> {
        let parts: String = etags
            .iter()
            .enumerate()
            .map(|(at, etag)| {
                let number = at + 1;
                format!("<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>")
            })
            .collect();
        let ask = Ask {
            method: Method::Post,
            query: vec![("uploadId", upload.to_owned())],
            body: format!("<CompleteMultipartUpload>{parts}</CompleteMultipartUpload>").into(),
            ..Ask::get(Some(key))
        };
        let ended = patiently(async || {
            // It may say that it failed after it began to answer.
            let text = self.text_of_answer(&ask).await?;
            if text.contains("<Error>") {
                let code = text_of(&text, "Code").unwrap_or_default();
                return Err(StoreError::Unavailable(format!(
                    "{} asks for patience ({code})",
                    self.name()
                )));
            }
            Ok(())
        });
        match ended.await {
            Err(StoreError::Missing) => {
                let noted = self.noted(key).await?.and_then(|noted| noted.sha256);
                if noted.as_deref() == Some(sha256) {
                    return Ok(());
                }
                Err(StoreError::Unavailable(format!("{} has lost an upload", self.name())))
            }
            ended => ended,
        }
    }

    /// Uploads below a prefix that came to no end, a thousand at most.
    ///
    /// # Errors
    /// Where they are not told.
    pub async fn unfinished(&self, prefix: &str) -> Result<Vec<Unfinished>, StoreError> {
        let ask = Ask {
            query: vec![
                ("encoding-type", "url".to_owned()),
                ("prefix", prefix.to_owned()),
                ("uploads", String::new()),
            ],
            ..Ask::get(None)
        };
        let text = patiently(async || self.text_of_answer(&ask).await).await?;
        answer::unfinished(self.place.cloud, &text).map_err(|what| self.strange(&what))
    }

    /// Gives an upload up, and what was put of it.
    ///
    /// # Errors
    /// Where it may still be there.
    pub async fn abort_upload(&self, key: &str, upload: &str) -> Result<(), StoreError> {
        let ask = Ask {
            method: Method::Delete,
            query: vec![("uploadId", upload.to_owned())],
            ..Ask::get(Some(key))
        };
        match patiently(async || self.ask(&ask).await).await {
            Err(StoreError::Missing) => Ok(()),
            answered => answered.map(drop),
        }
    }

    async fn text_of_answer(&self, ask: &Ask<'_>) -> Result<String, StoreError> {
        let answer = self.ask(ask).await?;
        let text = answer.body.within(ANSWER_BYTES_MAX).await.ok_or_else(|| self.cut())?;
        Ok(String::from_utf8_lossy(&text).into_owned())
    }
}

/// The next bytes of a file, a part at most; empty at its end.
fn next_part(file: &mut File, path: &Path) -> error::Result<Bytes> {
    let mut part = Vec::new();
    file.take(PART_BYTES as u64).read_to_end(&mut part).at(path)?;
    Ok(part.into())
}

fn changed(path: &Path) -> StoreError {
    StoreError::Local(Error::damaged(path, "changed while it was copied; run again"))
}
