//! What a bucket refuses, and what to do about it. Of its answer only the status and the code are told: its message may have key ids
//! and signatures in it.

use chrono::{DateTime, Utc};

use super::super::error::StoreError;
use super::http::{Answer, Method};

/// The longest answer that is looked into for its code.
const ANSWER_BYTES_MAX: usize = 64 << 10;

/// The longest code that is shown.
const CODE_MAX: usize = 64;

/// An answer that is no success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    /// Such as `NoSuchBucket`; empty where there is none.
    pub code: String,
    /// The time of the server.
    pub date: Option<DateTime<Utc>>,
}

impl Refusal {
    pub async fn read(answer: Answer) -> Self {
        let status = answer.status;
        let date = answer.header("date").map(DateTime::parse_from_rfc2822);
        let date = date.and_then(Result::ok).map(|date| date.to_utc());
        let text = answer.body.within(ANSWER_BYTES_MAX).await.unwrap_or_default();
        let code = code_in(&String::from_utf8_lossy(&text));
        Self { status, code, date }
    }

    /// The error that it is. `name` is the bucket's, such as `s3://usage`.
    pub fn told(&self, name: &str, region: &str, method: Method) -> StoreError {
        let (status, code) = (self.status, self.code.as_str());
        let said = if code.is_empty() {
            status.to_string()
        } else {
            format!("{status} {code}")
        };
        match (status, code) {
            (404, "NoSuchBucket") => StoreError::NeedsPerson(format!(
                "there is no bucket {name} in region {region} ({said}): check `bucket` and `bucket_region`"
            )),
            (404, _) => StoreError::Missing,
            (412 | 416, _) => StoreError::Changed,
            (403, "InvalidObjectState") => StoreError::Archived,
            (408 | 429 | 500..=599, _) | (_, "RequestTimeout" | "SlowDown") => {
                StoreError::Unavailable(format!("{name} asks for patience ({said})"))
            }
            _ => StoreError::NeedsPerson(format!("{name} refuses the request ({said}): {}", self.cure(method))),
        }
    }

    fn cure(&self, method: Method) -> &'static str {
        match (self.status, self.code.as_str()) {
            (_, "InvalidAccessKeyId" | "InvalidSecretId") => {
                "it does not know this key id; check the secret id and the secret key"
            }
            (_, "SignatureDoesNotMatch") => {
                "the secret key does not belong to the key id, or `bucket_region` is another; check the three"
            }
            (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => {
                "the token of these keys has expired or is none; put new keys with their token in place"
            }
            (_, "RequestTimeTooSkewed" | "RequestIsExpired") => {
                "this machine's clock is wrong; correct it, and run again"
            }
            (_, "PathStyleDomainForbidden") => "the bucket must stand in the host's name; remove `path_style`",
            (300..=399, _) | (_, "AuthorizationHeaderMalformed" | "IllegalLocationConstraintException") => {
                "the bucket is in another region; correct `bucket_region`, or `endpoint` where it is set"
            }
            (401 | 403, _) if !method.only_reads() => {
                "these keys may not write there; allow them to list the bucket, and to read, put and delete its objects"
            }
            (401 | 403, _) => {
                "these keys may not list or read there; allow them to list the bucket and to read its objects"
            }
            _ => "check `bucket`, `bucket_region` and `endpoint`",
        }
    }
}

/// The code of an answer in XML; empty where it has none, or one that is no word. It is looked for as text, because what else is in the
/// answer need not be well formed.
fn code_in(text: &str) -> String {
    let code = text
        .split_once("<Code>")
        .and_then(|(_, rest)| rest.split_once("</Code>"));
    let code = code.map_or("", |(code, _)| code);
    let is_word = code.len() <= CODE_MAX && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
    if is_word { code.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, code: &str) -> Refusal {
        let text = format!(
            "<?xml version='1.0' encoding='utf-8' ?>\n<Error>\n<Code>{code}</Code>\n<Message>the key AKID0123 is wrong</Message>\
             <AWSAccessKeyId>AKID0123</AWSAccessKeyId><StringToSign>AKID0123</StringToSign></Error>"
        );
        Refusal {
            status,
            code: code_in(&text),
            date: None,
        }
    }

    fn told(status: u16, code: &str) -> StoreError {
        refusal(status, code).told("cos://usage-1250000001", "ap-guangzhou", Method::Get)
    }

    #[test]
    fn what_a_person_must_do_is_told_and_no_key_id_is() {
        for (status, code, cure) in [
            (403, "AccessDenied", "allow them to list"),
            (403, "SignatureDoesNotMatch", "does not belong to the key id"),
            (403, "InvalidAccessKeyId", "check the secret id"),
            (404, "NoSuchBucket", "check `bucket`"),
            (400, "ExpiredToken", "put new keys"),
            (301, "PermanentRedirect", "correct `bucket_region`"),
            (403, "PathStyleDomainForbidden", "remove `path_style`"),
            (400, "", "check `bucket`"),
        ] {
            let told = told(status, code);
            assert!(matches!(told, StoreError::NeedsPerson(_)), "{told}");
            let told = told.to_string();
            assert!(told.contains(cure) && told.contains("cos://usage-1250000001"), "{told}");
            assert!(!told.contains("AKID"), "{told}");
        }
    }

    #[test]
    fn what_passes_by_itself_is_tried_again() {
        for (status, code) in [
            (503, "SlowDown"),
            (500, "InternalError"),
            (429, ""),
            (400, "RequestTimeout"),
            (502, ""),
        ] {
            assert!(
                matches!(told(status, code), StoreError::Unavailable(_)),
                "{status} {code}"
            );
        }
    }

    #[test]
    fn an_object_that_is_missing_changed_or_archived_is_none_of_the_buckets_faults() {
        assert!(matches!(told(404, "NoSuchKey"), StoreError::Missing));
        assert!(matches!(told(412, "PreconditionFailed"), StoreError::Changed));
        assert!(matches!(told(416, "InvalidRange"), StoreError::Changed));
        assert!(matches!(told(403, "InvalidObjectState"), StoreError::Archived));
    }

    #[test]
    fn a_code_that_is_no_word_is_not_shown() {
        assert_eq!(refusal(403, "a b").code, "");
        assert_eq!(refusal(403, &"x".repeat(65)).code, "");
        assert_eq!(code_in("not XML"), "");
    }
}
