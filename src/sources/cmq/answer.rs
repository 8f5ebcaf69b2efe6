//! Answers of TDMQ for CMQ: the messages in them, and what a code means for a pull.

use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

use crate::sources::fetch::FetchError;
use crate::support::quote::plain;

/// No message came while the call waited. That is no error.
const NO_MESSAGE: i64 = 7000;

/// A handle is wrong, or the time for its use is over.
pub(super) const HANDLE_INVALID: i64 = 4430;

/// Some or all of the messages were not deleted; a list says which and why.
const NOT_ALL_DELETED: [i64; 2] = [6010, 6020];

/// A message that was received and is hidden from others for a while.
#[derive(Debug)]
pub(super) struct Delivery {
    pub id: Option<String>,
    pub body: Vec<u8>,
    pub sent_at: Option<DateTime<Utc>>,
    /// What deletes it, for as long as it is hidden.
    pub handle: String,
}

/// A message that was not deleted.
#[derive(Debug, serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct NotDeleted {
    pub code: i64,
    #[serde(default)]
    pub message: String,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Answer<'a> {
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    request_id: String,
    #[serde(default, borrow)]
    msg_info_list: Option<Vec<MessageInfo<'a>>>,
    #[serde(default)]
    error_list: Option<Vec<NotDeleted>>,
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessageInfo<'a> {
    #[serde(default)]
    msg_id: Option<String>,
    #[serde(borrow)]
    msg_body: &'a RawValue,
    receipt_handle: String,
    #[serde(default)]
    enqueue_time: Option<i64>,
}

impl Answer<'_> {
    /// The messages of a receive call; none where the queue had none.
    ///
    /// # Errors
    /// The code's meaning, where it is an error. `queue` is the queue's name for people.
    pub(super) fn deliveries(self, queue: &str) -> Result<Vec<Delivery>, FetchError> {
        match self.code {
            0 => Ok(self
                .msg_info_list
                .unwrap_or_default()
                .into_iter()
                .map(delivery)
                .collect()),
            NO_MESSAGE => Ok(Vec::new()),
            _ => Err(self.error(queue)),
        }
    }

    /// What a delete call left.
    ///
    /// # Errors
    /// The code's meaning, where nothing is known of any message.
    pub(super) fn not_deleted(self, queue: &str) -> Result<Vec<NotDeleted>, FetchError> {
        match (self.code, self.error_list) {
            (0, _) => Ok(Vec::new()),
            (code, Some(list)) if NOT_ALL_DELETED.contains(&code) => Ok(list),
            // One call for one handle says so of the call.
            (HANDLE_INVALID, _) => Ok(vec![NotDeleted {
                code: HANDLE_INVALID,
                message: self.message,
            }]),
            (_, error_list) => Err(Answer { error_list, ..self }.error(queue)),
        }
    }

    fn error(&self, queue: &str) -> FetchError {
        let said = format!(
            "{queue}: code {} ({}; request {})",
            self.code,
            plain(&self.message),
            plain(&self.request_id)
        );
        match cure(self.code) {
            Some(cure) => FetchError::NeedsPerson(format!("{said}: {cure}")),
            None => FetchError::Unavailable(format!("{said}: it is tried again later")),
        }
    }
}

/// What a person does about a code; none where time cures it.
fn cure(code: i64) -> Option<&'static str> {
    match code {
        4000 => Some(
            "the service does not take a parameter of the request; compare `queue` and `endpoint` with the console",
        ),
        4100 => Some(
            "the key or its signature is refused; check what `secret_id_*`, `secret_key_*` and `token_*` name, that the key may \
             receive and delete messages of this queue, and this machine's clock",
        ),
        4300 => Some("the account is in arrears; nothing is delivered until they are paid"),
        4440 => Some("there is no such queue at this endpoint; check `queue` and the region in `endpoint`"),
        4420 => None,
        4001..=4999 => Some("the service refuses the request; its list of error codes says why"),
        _ => None,
    }
}

fn delivery(info: MessageInfo) -> Delivery {
    let raw = info.msg_body.get();
    // A text with half a character in it (an escape such as \ud800) is no text: then the body is what stands in the answer.
    let body = serde_json::from_str::<String>(raw).unwrap_or_else(|_| raw.to_owned());
    Delivery {
        id: info.msg_id,
        body: body.into_bytes(),
        sent_at: info
            .enqueue_time
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
        handle: info.receipt_handle,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(text: &str) -> Answer<'_> {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn messages_are_read_with_their_text_as_it_was_sent() {
        let found = answer(
            r#"{"code":0,"message":"","requestId":"r","msgInfoList":[
                {"msgId":"m","msgBody":"{\"a\":\"\u00e9\"}","receiptHandle":"h","enqueueTime":1793491201,"dequeueCount":1},
                {"msgId":"n","msgBody":"\ud800","receiptHandle":"i"}]}"#,
        )
        .deliveries("q")
        .unwrap();
        assert_eq!((&*found[0].body, &*found[0].handle), ("{\"a\":\"é\"}".as_bytes(), "h"));
        assert_eq!(found[0].sent_at, Some("2026-11-01T00:00:01Z".parse().unwrap()));
        assert_eq!((&*found[1].body, found[1].sent_at), (&b"\"\\ud800\""[..], None));
        assert!(
            answer(r#"{"code":7000,"message":"no message"}"#)
                .deliveries("q")
                .unwrap()
                .is_empty()
        );
    }

    #[test]
    fn a_code_is_cured_by_time_or_by_a_person() {
        for code in [4420, 6000, 6050, 10_000] {
            let text = format!("{{\"code\":{code},\"message\":\"m\"}}");
            let error = answer(&text).deliveries("queue q").unwrap_err();
            assert!(
                matches!(&error, FetchError::Unavailable(said) if said.starts_with("queue q: code ")),
                "{error}"
            );
        }
        for code in [4000, 4100, 4300, 4440, 4499] {
            let text = format!("{{\"code\":{code}}}");
            let error = answer(&text).deliveries("queue q").unwrap_err();
            assert!(matches!(error, FetchError::NeedsPerson(_)), "{error}");
        }
    }

    #[test]
    fn deletes_that_failed_are_listed_and_those_of_an_unknown_fate_are_an_error() {
        let list = r#"{"code":6010,"errorList":[{"code":4430,"message":"late","receiptHandle":"h"}]}"#;
        assert_eq!(answer(list).not_deleted("q").unwrap()[0].code, HANDLE_INVALID);
        assert!(answer(r#"{"code":0}"#).not_deleted("q").unwrap().is_empty());
        assert_eq!(answer(r#"{"code":4430}"#).not_deleted("q").unwrap().len(), 1);
        assert!(matches!(
            answer(r#"{"code":6000}"#).not_deleted("q"),
            Err(FetchError::Unavailable(_))
        ));
    }
}
