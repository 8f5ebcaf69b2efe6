//! Whether a bucket keeps what is deleted.

use super::super::error::StoreError;
use super::http::Method;
use super::refusal::Refusal;
use super::{Ask, Bucket};

/// The longest answer that is looked into.
const ANSWER_BYTES_MAX: usize = 64 << 10;

impl Bucket {
    /// Why what is deleted here is not gone, with the cure; none where it is.
    ///
    /// # Errors
    /// Where the bucket does not say so.
    pub async fn keeps_what_is_deleted(&self) -> Result<Option<String>, StoreError> {
        // A lock comes with versions, which cannot be suspended.
        if self.says("object-lock", "ObjectLockEnabled").await?.as_deref() == Some("Enabled") {
            return Ok(Some(format!(
                "{} has an object lock, so what expired could not be deleted there: name a bucket without one",
                self.name()
            )));
        }
        if self.says("versioning", "Status").await?.as_deref() == Some("Enabled") {
            return Ok(Some(format!(
                "{} keeps old versions of its objects, so what expired would stay there: suspend its versioning and delete the old \
                 versions, or name another bucket",
                self.name()
            )));
        }
        Ok(None)
    }

    /// What an element of the bucket's configuration says; none where the bucket has no such configuration, or the server no such thing.
    async fn says(&self, configuration: &'static str, element: &str) -> Result<Option<String>, StoreError> {
        let ask = Ask {
            query: vec![(configuration, String::new())],
            ..Ask::get(None)
        };
        let answer = match self.ask_what_may_be_refused(&ask).await? {
            Ok(answer) => answer,
            Err(Refusal { status: 405 | 501, .. }) => return Ok(None),
            Err(Refusal { status: 404, code, .. }) if code != "NoSuchBucket" => return Ok(None),
            Err(Refusal {
                status: 401 | 403,
                code,
                ..
            }) if code == "AccessDenied" => {
                return Err(StoreError::NeedsPerson(format!(
                    "{} does not tell these keys whether it keeps what is deleted ({code}): allow them to read the bucket's versioning \
                     and its object lock",
                    self.name()
                )));
            }
            Err(refusal) => return Err(self.told(&refusal, Method::Get)),
        };
        let Some(text) = answer.body.within(ANSWER_BYTES_MAX).await else {
            return Err(self.cut());
        };
        Ok(text_of(&String::from_utf8_lossy(&text), element))
    }
}

/// The text of the first element of a name.
pub fn text_of(xml: &str, element: &str) -> Option<String> {
    let (_, rest) = xml.split_once(&format!("<{element}>"))?;
    let (text, _) = rest.split_once(&format!("</{element}>"))?;
    Some(text.trim().to_owned())
}
