//! What brings an event: a message of a queue or of a topic, a `CloudEvent`, a batch of messages, or nothing. The event is taken out of
//! it, and put back into it to be kept.

use super::member::{Node, wrong_type};
use super::secrets;
use super::times::{Instant, unix_time};
use crate::pipeline::ingest::record::refusal::{Refusal, code, duplicate_field, not_json};
use crate::support::json::tree::{Tree, write_members, write_text};
use crate::support::json::{Fault, SyntaxError};

/// The largest document that is read: a batch of the queue's 16 messages of 1 MiB at the most.
pub const MAX_DOCUMENT_BYTES: usize = 16 << 20;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// What a refusal calls a document that came by itself.
const DOCUMENT: &str = "the event";

/// How often the text of a message may be JSON text of JSON text: some senders encode it twice.
const TEXTS_IN_TEXTS_MAX: u32 = 3;

/// How many carriers may stand in each other, such as a `CloudEvent` around a queue's message.
const CARRIERS_MAX: usize = 3;

/// Stands in a message of a queue in place of a body that is no text: its length in bytes.
const NO_TEXT: &str = "msgBodyBytes";

/// What a message's members say that matter to its event. All others are left out.
const OF_MESSAGE: [&str; 7] = [
    "TopicOwner",
    "topicName",
    "subscriptionName",
    "requestId",
    "msgId",
    "enqueueTime",
    "publishTime",
];

/// The same of a `CloudEvent`.
const OF_CLOUD_EVENT: [&str; 6] = ["specversion", "type", "source", "subject", "id", "time"];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Of a queue or a topic: the event is its `msgBody`, as text.
    Message,
    /// The event is its `data`.
    CloudEvent,
}

#[derive(Debug)]
struct Carrier {
    kind: Kind,
    /// An object of the members that matter.
    members: Tree,
}

/// An event, and what carried it, from the outermost on.
#[derive(Debug)]
pub(super) struct Carried {
    carriers: Vec<Carrier>,
    pub content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    Json(Tree),
    /// A text that is none, or that stands where no event can.
    Broken {
        text: String,
        cause: Cause,
    },
}

/// What is wrong with a text.
#[derive(Debug)]
pub(super) enum Cause {
    /// It is not JSON; the name of what it is.
    NoJson(&'static str),
    Other(Refusal),
}

/// What the carriers say about an event.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Delivery<'a> {
    pub message_id: Option<&'a str>,
    /// When the message was put into its queue, or its topic sent it on.
    pub message_time: Option<Instant>,
    /// When a `CloudEvent` around it happened, which is as good as its receipt.
    pub event_time: Option<Instant>,
    pub topic_owner: Option<u64>,
}

/// Every event of a document, at least one.
pub(super) fn open(document: &str) -> Vec<Carried> {
    let text = document.trim_start_matches(BYTE_ORDER_MARK);
    if text.len() > MAX_DOCUMENT_BYTES {
        let sentence = format!(
            "the event is {} bytes long; at most {MAX_DOCUMENT_BYTES} are allowed",
            text.len()
        );
        let refusal = Refusal::new(code::EVENT_TOO_LARGE, sentence);
        return vec![Carried::broken(text.to_owned(), Cause::Other(refusal), Vec::new())];
    }
    let mut found = Vec::new();
    match Tree::read(text) {
        Ok(Tree::Array(items)) if !items.is_empty() => {
            for item in items {
                unpack(item, Vec::new(), &mut found);
            }
        }
        Ok(tree) => unpack(tree, Vec::new(), &mut found),
        Err(_) => found.push(Carried::broken(text.to_owned(), Cause::NoJson(DOCUMENT), Vec::new())),
    }
    found
}

/// Takes the events out of a value.
fn unpack(tree: Tree, carriers: Vec<Carrier>, found: &mut Vec<Carried>) {
    let has = |name: &str| matches!(&tree, Tree::Object(members) if members.iter().any(|(member, _)| member == name));
    if has(NO_TEXT) && !has("msgBody") {
        let refusal = Refusal::new(
            code::NOT_UTF8,
            "the message is no text, neither UTF-8 nor UTF-16, and was not kept, because it may hold secrets: let its sender send the \
             event as JSON text",
        );
        found.push(Carried::broken(tree.written(), Cause::Other(refusal), carriers));
    } else if has("msgBody") {
        unpack_body(tree, Kind::Message, carriers, found);
    } else if has("msgInfoList") && carriers.is_empty() {
        unpack_batch(tree, found);
    } else if has("specversion") && (has("data") || has("data_base64")) {
        unpack_body(tree, Kind::CloudEvent, carriers, found);
    } else {
        found.push(Carried {
            carriers,
            content: Content::Json(tree),
        });
    }
}

/// Takes the messages out of the answer to a call for several; of an answer without any, the answer itself is left.
fn unpack_batch(tree: Tree, found: &mut Vec<Carried>) {
    let Tree::Object(mut members) = tree else { return };
    if members.iter().filter(|(name, _)| name == "msgInfoList").count() > 1 {
        let cause = Cause::Other(duplicate_field("msgInfoList"));
        found.push(Carried::broken(Tree::Object(members).written(), cause, Vec::new()));
        return;
    }
    let list = members.iter_mut().find(|(name, _)| name == "msgInfoList");
    match list {
        Some((_, Tree::Array(messages))) if !messages.is_empty() => {
            for message in std::mem::take(messages) {
                unpack(message, Vec::new(), found);
            }
        }
        _ => found.push(Carried {
            carriers: Vec::new(),
            content: Content::Json(Tree::Object(members)),
        }),
    }
}

/// Takes the event out of one carrier.
fn unpack_body(tree: Tree, kind: Kind, mut carriers: Vec<Carrier>, found: &mut Vec<Carried>) {
    let body = match body_of(&tree, kind.body()) {
        Ok(_) if carriers.len() == CARRIERS_MAX => {
            let sentence =
                format!("the event is in more than {CARRIERS_MAX} messages and CloudEvents around each other");
            Err(Refusal::new(code::TOO_DEEP, sentence))
        }
        body => body,
    };
    match body {
        Ok(body) => {
            carriers.push(Carrier::of(tree, kind));
            match body {
                Body::Event(event) => unpack(event, carriers, found),
                Body::NoJson(text) => {
                    let cause = Cause::NoJson(kind.body());
                    found.push(Carried::broken(text, cause, carriers));
                }
            }
        }
        Err(refusal) => found.push(Carried::broken(tree.written(), Cause::Other(refusal), carriers)),
    }
}

enum Body {
    Event(Tree),
    NoJson(String),
}

/// The event that the member `name` is, or whose text it is.
fn body_of(carrier: &Tree, name: &str) -> Result<Body, Refusal> {
    let body = match Node::root(carrier) {
        Some(members) => members.value(name)?,
        None => None,
    };
    let Some(body) = body else {
        let sentence = format!("`{name}` is missing; the event is expected there");
        return Err(Refusal::new(code::MISSING_FIELD, sentence));
    };
    let mut body = body.clone();
    for _ in 0..=TEXTS_IN_TEXTS_MAX {
        body = match body {
            Tree::Object(_) => return Ok(Body::Event(body)),
            Tree::Text(text) => {
                let text = text.trim_start_matches(BYTE_ORDER_MARK);
                match Tree::read(text) {
                    Ok(tree) => tree,
                    Err(_) => return Ok(Body::NoJson(text.to_owned())),
                }
            }
            mut other => {
                secrets::blank(&mut other);
                return Err(wrong_type(
                    name,
                    &other,
                    "an event, as an object or as the text of one,",
                ));
            }
        };
    }
    let sentence = format!("`{name}` is text of text of text; the text of an event is expected there");
    Err(Refusal::new(code::TOO_DEEP, sentence))
}

impl Carrier {
    fn of(tree: Tree, kind: Kind) -> Self {
        let mut members = match tree {
            Tree::Object(members) => members,
            _ => Vec::new(),
        };
        members.retain(|(name, _)| kind.wanted().contains(&name.as_str()));
        Self {
            kind,
            members: Tree::Object(members),
        }
    }
}

impl Kind {
    fn body(self) -> &'static str {
        match self {
            Self::Message => "msgBody",
            Self::CloudEvent => "data",
        }
    }

    fn wanted(self) -> &'static [&'static str] {
        match self {
            Self::Message => &OF_MESSAGE,
            Self::CloudEvent => &OF_CLOUD_EVENT,
        }
    }
}

impl Carried {
    fn broken(text: String, cause: Cause, carriers: Vec<Carrier>) -> Self {
        Self {
            carriers,
            content: Content::Broken { text, cause },
        }
    }

    pub fn blank_secrets(&mut self) {
        for carrier in &mut self.carriers {
            secrets::blank(&mut carrier.members);
        }
        match &mut self.content {
            Content::Json(event) => {
                secrets::blank(event);
            }
            Content::Broken { text, cause } => {
                *text = secrets::blank_text(text);
                // What is no JSON must not become some, or it would be taken when it is read again.
                if matches!(cause, Cause::NoJson(_)) && Tree::read(text).is_ok() {
                    *text = format!("{text} {}", secrets::BLANK);
                }
            }
        }
    }

    /// Drops what names a delivery alone.
    pub fn drop_ids(&mut self) {
        for carrier in &mut self.carriers {
            let ids: &[&str] = match carrier.kind {
                Kind::Message => &["msgId", "requestId"],
                Kind::CloudEvent => &["id"],
            };
            if let Tree::Object(members) = &mut carrier.members {
                members.retain(|(name, _)| !ids.contains(&name.as_str()));
            }
        }
    }

    /// The event in its carriers, as JSON on one line where it is JSON.
    pub fn written(&self) -> String {
        let (mut text, mut is_json) = match &self.content {
            Content::Json(event) => (event.written(), true),
            Content::Broken { text, .. } => (text.clone(), false),
        };
        for carrier in self.carriers.iter().rev() {
            let mut out = String::with_capacity(text.len() + text.len() / 8);
            out.push('{');
            if let Tree::Object(members) = &carrier.members
                && !members.is_empty()
            {
                write_members(members, &mut out);
                out.push(',');
            }
            write_text(carrier.kind.body(), &mut out);
            out.push(':');
            if is_json && carrier.kind == Kind::CloudEvent {
                out.push_str(&text);
            } else {
                write_text(&text, &mut out);
            }
            out.push('}');
            (text, is_json) = (out, true);
        }
        text
    }

    /// What the carriers say.
    ///
    /// # Errors
    /// Where they say it in no way that is known, such as a time that is none.
    pub fn delivery(&self) -> Result<Delivery<'_>, Refusal> {
        let mut delivery = Delivery::default();
        for carrier in &self.carriers {
            let Some(members) = Node::root(&carrier.members) else {
                continue;
            };
            match carrier.kind {
                Kind::Message => {
                    delivery.message_id = members.text("msgId")?.or(delivery.message_id);
                    let time = match unix_time(&members, "enqueueTime")? {
                        None => unix_time(&members, "publishTime")?,
                        enqueued => enqueued,
                    };
                    delivery.message_time = time.or(delivery.message_time);
                    delivery.topic_owner = members.digits("TopicOwner")?.or(delivery.topic_owner);
                }
                Kind::CloudEvent => {
                    delivery.message_id = delivery.message_id.or(members.text("id")?);
                    delivery.event_time = members.time("time")?.or(delivery.event_time);
                }
            }
        }
        Ok(delivery)
    }
}

impl Cause {
    /// The refusal of a text, as it is kept.
    pub fn refusal(&self, text: &str) -> Refusal {
        match self {
            Self::Other(refusal) => refusal.clone(),
            Self::NoJson(name) => {
                let error = Tree::read(text).err().unwrap_or(SyntaxError {
                    at: text.len(),
                    fault: Fault::CutOff,
                });
                let Refusal { code, sentence } = not_json(text, error);
                let name = if *name == DOCUMENT {
                    DOCUMENT.to_owned()
                } else {
                    format!("`{name}`")
                };
                Refusal::new(code, sentence.replacen("the line", &name, 1))
            }
        }
    }
}
