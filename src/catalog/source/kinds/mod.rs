//! Where a source has its usage, kind by kind: what a definition may say of each.

pub mod address;
pub mod amqp;
pub mod batch_size;
pub mod cmq;
pub mod kafka;
pub mod mongodb;
pub mod nats;
pub mod objects;
pub mod table;

use std::time::Duration;

use crate::storage::ledger::Engine;
use crate::storage::objects::Cloud;

/// How long a source of most kinds rests when it is followed and had nothing more.
const REST: Duration = Duration::from_secs(5);

/// Where a source has its usage.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub enum Kind {
    /// Files that somebody brings: the drop folder, `ingest`.
    Files,
    /// A table or query of MySQL or MariaDB.
    Mysql(table::Table),
    /// A table or query of PostgreSQL.
    Postgres(table::Table),
    /// Objects of an S3 bucket.
    S3(objects::Bucket),
    /// Objects of a COS bucket.
    Cos(objects::Bucket),
    /// Files of a local folder that stay where they are.
    Folder(objects::LocalFolder),
    /// A queue of TDMQ for CMQ.
    Cmq(cmq::Queue),
    /// A queue of a broker that speaks AMQP 0-9-1.
    Amqp(amqp::Queue),
    /// A consumer of a stream of NATS `JetStream`.
    Nats(nats::Consumer),
    /// A topic of Kafka.
    Kafka(kafka::Topic),
    /// A collection of `MongoDB`.
    Mongodb(mongodb::Collection),
}

impl Kind {
    /// Names as definitions have them.
    pub const NAMES: [&str; 11] = [
        "files", "mysql", "postgres", "s3", "cos", "folder", "cmq", "amqp", "nats", "kafka", "mongodb",
    ];

    /// Reads what a definition says beside the keys that all kinds have.
    ///
    /// # Errors
    /// A sentence that names the key.
    pub fn read(name: &str, rest: toml::Table) -> Result<Self, String> {
        let kind = match name {
            "files" => no_more(&rest).map(|()| Self::Files)?,
            "mysql" => Self::Mysql(read(rest)?),
            "postgres" => Self::Postgres(read(rest)?),
            "s3" => Self::S3(read(rest)?),
            "cos" => Self::Cos(read(rest)?),
            "folder" => Self::Folder(read(rest)?),
            "cmq" => Self::Cmq(read(rest)?),
            "amqp" => Self::Amqp(read(rest)?),
            "nats" => Self::Nats(read(rest)?),
            "kafka" => Self::Kafka(read(rest)?),
            "mongodb" => Self::Mongodb(read(rest)?),
            other => return Err(unknown(other)),
        };
        kind.check()?;
        Ok(kind)
    }

    /// Its name in definitions.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Files => "files",
            Self::Mysql(_) => "mysql",
            Self::Postgres(_) => "postgres",
            Self::S3(_) => "s3",
            Self::Cos(_) => "cos",
            Self::Folder(_) => "folder",
            Self::Cmq(_) => "cmq",
            Self::Amqp(_) => "amqp",
            Self::Nats(_) => "nats",
            Self::Kafka(_) => "kafka",
            Self::Mongodb(_) => "mongodb",
        }
    }

    /// Whether `pull` fetches from it.
    pub fn is_pulled(&self) -> bool {
        !matches!(self, Self::Files)
    }

    /// Whether its rows or documents are read again in an overlap.
    pub fn is_database(&self) -> bool {
        matches!(self, Self::Mysql(_) | Self::Postgres(_) | Self::Mongodb(_))
    }

    /// Whether it hands over messages, in micro-batches.
    pub fn is_queue(&self) -> bool {
        self.forgets() || matches!(self, Self::Kafka(_))
    }

    /// Whether what was acknowledged is gone from it: it knows by itself where reading goes on.
    pub fn forgets(&self) -> bool {
        matches!(self, Self::Cmq(_) | Self::Amqp(_) | Self::Nats(_))
    }

    /// How long it rests when it is followed and had nothing more.
    pub fn poll(&self) -> Duration {
        match self {
            Self::S3(bucket) | Self::Cos(bucket) => bucket.poll(),
            Self::Folder(folder) => folder.poll(),
            _ => REST,
        }
    }

    /// Checks what is asked of definitions that are imported now, and was not asked of those that the ledger has.
    ///
    /// # Errors
    /// A sentence that names the key and the cure.
    pub fn check_new(&self) -> Result<(), String> {
        match self {
            Self::Folder(folder) => folder.check_new(),
            _ => Ok(()),
        }
    }

    fn check(&self) -> Result<(), String> {
        match self {
            Self::Files => Ok(()),
            Self::Mysql(table) => table.check(Engine::MySql),
            Self::Postgres(table) => table.check(Engine::Postgres),
            Self::S3(bucket) => bucket.check(Cloud::S3),
            Self::Cos(bucket) => bucket.check(Cloud::Cos),
            Self::Folder(folder) => folder.check(),
            Self::Cmq(queue) => queue.check(),
            Self::Amqp(queue) => queue.check(),
            Self::Nats(consumer) => consumer.check(),
            Self::Kafka(topic) => topic.check(),
            Self::Mongodb(collection) => collection.check(),
        }
    }
}

fn read<T: serde::de::DeserializeOwned>(rest: toml::Table) -> Result<T, String> {
    // The message of a wrong value may repeat it; the key is named and the value is not.
    rest.try_into()
        .map_err(|error: toml::de::Error| error.message().to_owned())
}

fn no_more(rest: &toml::Table) -> Result<(), String> {
    match rest.keys().next() {
        None => Ok(()),
        Some(key) => Err(format!("`{key}` is no key of a source of kind \"files\"")),
    }
}

fn unknown(name: &str) -> String {
    let likely = crate::support::nearest::nearest(name, Kind::NAMES);
    let cure = likely.map_or_else(
        || format!("one of {} is expected", Kind::NAMES.join(", ")),
        |likely| format!("did you mean \"{likely}\"?"),
    );
    format!("kind {name:?} is unknown; {cure}")
}
