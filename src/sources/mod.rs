//! Sources that are pulled: databases, buckets and queues. Each kind fetches parts; one loop puts them into the books.

#[cfg(feature = "amqp")]
pub mod amqp;
#[cfg(feature = "cmq")]
pub mod cmq;
pub mod expire;
pub mod fetch;
pub mod follow;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod kinds;
mod line;
pub mod message_line;
pub mod micro_batch;
#[cfg(feature = "mongodb")]
pub mod mongodb;
#[cfg(feature = "nats")]
pub mod nats;
pub mod objects;
pub mod overview;
mod position;
pub mod pull;
mod rounds;
pub mod store;
pub mod table;
pub mod trial;
