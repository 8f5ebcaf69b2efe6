//! A connection to a broker, with a consumer on it. The interface to lapin is here.

use std::time::Duration;

use futures_util::StreamExt as _;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, Consumer};

use crate::catalog::source::kinds::amqp::Queue;
use crate::catalog::source::secret::Secret;
use crate::sources::fetch::FetchError;
use crate::support::failpoint;

/// How long a broker may take to take a connection, and to answer on it.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a broker says to a client that must not try again as it is: `ACCESS_REFUSED`, `NOT_FOUND`, `RESOURCE_LOCKED`, `NOT_ALLOWED`.
const REFUSALS: [(u16, &str); 4] = [
    (
        403,
        "check `user`, its password and its permissions: it must be allowed to read from the queue",
    ),
    (
        404,
        "create the queue, or correct `queue` or the virtual host in `url`; a pull never makes a queue",
    ),
    (405, "another consumer has the queue for itself; end it"),
    (530, "check the virtual host in `url`, and that the user may enter it"),
];

/// A consumer that holds messages until they are acknowledged. When it is dropped, the broker delivers them again.
pub(super) struct Session {
    /// Closes the connection when it is dropped.
    _connection: Connection,
    channel: Channel,
    consumer: Consumer,
    /// How many messages the broker may deliver before it hears of any.
    ahead: u16,
}

impl Session {
    /// Connects and begins to consume.
    pub(super) async fn open(queue: &Queue, password: &Secret) -> Result<Self, FetchError> {
        let uri = uri(queue, password)?;
        let opening = Self::begin(uri, queue);
        let opened = tokio::time::timeout(PATIENCE, opening).await;
        let error = match opened {
            Ok(Ok(session)) => return Ok(session),
            Ok(Err(error)) => error,
            Err(_) => return Err(slow("take the connection")),
        };
        Err(meaning(&error, Some(password)))
    }

    async fn begin(uri: AMQPUri, queue: &Queue) -> lapin::Result<Self> {
        let connection = Connection::connect_uri(uri, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        // One batch is put into the books while the next is delivered.
        let ahead = u16::try_from(2 * queue.max_messages).unwrap_or(u16::MAX);
        channel.basic_qos(ahead, BasicQosOptions::default()).await?;
        let consuming = channel.basic_consume(
            queue.queue.as_str().into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumer = consuming.await?;
        Ok(Self {
            _connection: connection,
            channel,
            consumer,
            ahead,
        })
    }

    /// The next message; none when none came in this time.
    pub(super) async fn next(&mut self, wait: Duration) -> Result<Option<Delivery>, FetchError> {
        match tokio::time::timeout(wait, self.consumer.next()).await {
            Err(_) => Ok(None),
            Ok(Some(Ok(delivery))) => Ok(Some(delivery)),
            Ok(Some(Err(error))) => Err(meaning(&error, None)),
            Ok(None) => Err(FetchError::Unavailable(
                "the broker ended the consumer (the queue may have been deleted): it is tried again later".to_owned(),
            )),
        }
    }

    /// Acknowledges all messages up to one. When this returns, the broker knows.
    pub(super) async fn acknowledge(&self, up_to: u64) -> Result<(), FetchError> {
        let acknowledging = async {
            self.channel
                .basic_ack(up_to, BasicAckOptions { multiple: true })
                .await?;
            failpoint::point("sent acknowledgements");
            // An acknowledgement has no answer. What is sent after it has one, and a channel keeps the order.
            self.channel.basic_qos(self.ahead, BasicQosOptions::default()).await
        };
        match tokio::time::timeout(PATIENCE, acknowledging).await {
            Ok(done) => done.map_err(|error| meaning(&error, None)),
            Err(_) => Err(slow("take an acknowledgement")),
        }
    }
}

fn uri(queue: &Queue, password: &Secret) -> Result<AMQPUri, FetchError> {
    // It has no password, so an error about it may show it.
    let parsed: Result<AMQPUri, String> = queue.url.parse();
    let mut uri = parsed.map_err(|error| FetchError::NeedsPerson(format!("`url` is {:?}: {error}", queue.url)))?;
    queue.user.clone_into(&mut uri.authority.userinfo.username);
    password.reveal().clone_into(&mut uri.authority.userinfo.password);
    Ok(uri)
}

fn slow(what: &str) -> FetchError {
    FetchError::Unavailable(format!(
        "the broker did not {what} within {} s: it is tried again later",
        PATIENCE.as_secs()
    ))
}

/// Whether time or a person cures an error.
fn meaning(error: &lapin::Error, password: Option<&Secret>) -> FetchError {
    // A broker's own sentence may end in a dot, and others follow it here.
    let mut said = error.to_string().trim_end_matches('.').to_owned();
    if let Some(password) = password {
        said = said.replace(password.reveal(), "***");
    }
    let code = match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    };
    let cure = REFUSALS.iter().find(|(refusal, _)| Some(*refusal) == code);
    match cure {
        Some((_, cure)) => FetchError::NeedsPerson(format!("{said}: {cure}")),
        None => FetchError::Unavailable(format!("{said}: it is tried again later")),
    }
}
