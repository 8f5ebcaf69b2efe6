//! Sources that are pulled, kind by kind. Kinds that are not built in are left out, and so are real servers that are not there.

/// The bills of what is pulled, wherever the program is killed.
mod bills;

/// Databases of the tests' own in the servers that the environment names.
mod database;

/// Collections of MongoDB.
#[cfg(feature = "mongodb")]
mod mongodb;

/// Collections in the books.
#[cfg(feature = "mongodb")]
mod mongodb_pull;

/// Servers of MongoDB's protocol that are killed.
#[cfg(feature = "mongodb")]
mod mongodb_restarts;

#[cfg(feature = "mongodb")]
mod mongodb_server;

/// Collections of MongoDB that are watched.
#[cfg(feature = "mongodb")]
mod mongodb_watch;

/// Buckets and folders.
pub mod objects;

/// What is kept of the secrets of all kinds: nothing.
mod secrets;

/// Servers that die, change and forget.
mod restarts;

/// Tables of MySQL and PostgreSQL.
mod table;

/// Tables in the books.
mod table_pull;

/// Real brokers, and connections to them that can be cut.
#[cfg(any(feature = "amqp", feature = "kafka", feature = "nats"))]
mod broker;

/// Queues into books.
#[cfg(any(feature = "amqp", feature = "cmq", feature = "nats"))]
mod pulled;

/// Brokers that a test starts, kills, and starts again.
#[cfg(any(feature = "amqp", feature = "nats"))]
mod own_server;

/// Queues that are pulled by a program which is killed.
#[cfg(any(feature = "amqp", feature = "cmq", feature = "nats"))]
mod killed;

/// Servers of queues that die in the middle of a pull.
#[cfg(any(feature = "amqp", feature = "cmq", feature = "nats"))]
mod server_faults;

/// A server that keeps the rules of TDMQ for CMQ.
#[cfg(feature = "cmq")]
mod cmq_server;

#[cfg(feature = "cmq")]
mod cmq;

/// The vendor's own client against that server.
#[cfg(feature = "cmq")]
mod cmq_sdk;

#[cfg(feature = "amqp")]
mod amqp;

#[cfg(feature = "nats")]
mod nats;

/// A mock cluster of Kafka.
#[cfg(feature = "kafka")]
mod kafka_cluster;

/// What is between the program and that.
#[cfg(feature = "kafka")]
mod kafka_line;

/// Topics of Kafka.
#[cfg(feature = "kafka")]
mod kafka;

/// Topics in the books.
#[cfg(feature = "kafka")]
mod kafka_pull;

/// Topics of a broker that the environment names.
#[cfg(feature = "kafka")]
mod kafka_server;
