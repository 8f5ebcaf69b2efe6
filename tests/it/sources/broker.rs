//! Real brokers of the tests: where they are, connections to them that can be cut, and what tests of all queues need.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use tallybook::sources::fetch::{Content, Fetch, Part};

use crate::left_out::named_by;
use crate::world::line;

/// A broker: its host and port, and who may log in.
#[derive(Clone, Debug)]
pub struct Broker {
    pub host: String,
    /// `USER:PASSWORD`; empty where nobody is asked.
    pub login: String,
}

impl Broker {
    /// The broker that a variable names; none where it is left out, which is said.
    pub fn named(variable: &str) -> Option<Self> {
        let url = named_by(variable, "a broker where tests may make queues: its URL")?;
        let rest = url
            .split_once("://")
            .map_or(&*url, |(_, rest)| rest)
            .trim_end_matches('/');
        let (login, host) = rest.rsplit_once('@').unwrap_or(("", rest));
        Some(Self {
            host: host.to_owned(),
            login: login.to_owned(),
        })
    }
}

/// Fetches after trouble, at most, until all is there.
const ROUNDS_MAX: u32 = 30;

/// A direction of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    ToBroker,
    FromBroker,
}

pub const WAYS: [Way; 2] = [Way::ToBroker, Way::FromBroker];

/// Passes connections on to a broker, until they are cut.
#[derive(Clone)]
pub struct Line {
    pub host: String,
    /// Where they end.
    pub broker: String,
    open: Arc<Mutex<Vec<TcpStream>>>,
    /// In which direction the next bytes are lost.
    losing: Arc<Mutex<Option<Way>>>,
}

impl Line {
    pub fn to(broker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let line = Self {
            host: listener.local_addr().unwrap().to_string(),
            broker: broker.to_owned(),
            open: Arc::default(),
            losing: Arc::default(),
        };
        let accepting = line.clone();
        std::thread::spawn(move || {
            for here in listener.incoming().flatten() {
                // A broker that is not there is none that answers.
                let Ok(there) = TcpStream::connect(&accepting.broker) else {
                    continue;
                };
                accepting
                    .open
                    .lock()
                    .unwrap()
                    .extend([here.try_clone().unwrap(), there.try_clone().unwrap()]);
                accepting.pass(here.try_clone().unwrap(), there.try_clone().unwrap(), Way::ToBroker);
                accepting.pass(there, here, Way::FromBroker);
            }
        });
        line
    }

    /// Ends all connections, as a network does that fails.
    pub fn cut(&self) {
        for stream in self.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// Loses what is sent next in one direction, and cuts all connections then. What went before, and the other way, arrives.
    pub fn lose_next(&self, way: Way) {
        *self.losing.lock().unwrap() = Some(way);
    }

    /// Whether that has happened.
    pub fn has_lost(&self) -> bool {
        self.losing.lock().unwrap().is_none()
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream, way: Way) {
        let line = self.clone();
        std::thread::spawn(move || {
            let mut bytes = vec![0; 64 << 10];
            while let Ok(read @ 1..) = from.read(&mut bytes) {
                if line.losing.lock().unwrap().take_if(|losing| *losing == way).is_some() {
                    line.cut();
                    break;
                }
                if to.write_all(&bytes[..read]).is_err() {
                    break;
                }
            }
            let _ = to.shutdown(Shutdown::Both);
            let _ = from.shutdown(Shutdown::Both);
        });
    }
}

/// A number that no other test of this run has.
pub fn unique() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "tallybook-test-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// A record.
pub fn body(number: usize) -> String {
    line(&format!("id-{number}"), 7, "2026-11-01T10:00:00Z", 60_000)
        .trim_end()
        .to_owned()
}

pub fn bodies(count: usize) -> Vec<String> {
    (0..count).map(body).collect()
}

/// What a part hands over.
pub fn lines(part: &Part) -> Vec<String> {
    match &part.content {
        Content::Lines { bytes, .. } => String::from_utf8_lossy(bytes).lines().map(str::to_owned).collect(),
        other => panic!("lines are expected, not {other:?}"),
    }
}

/// Fetches and acknowledges until there is nothing more.
pub async fn drain(queue: &mut impl Fetch) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(part) = queue.fetch().await.unwrap() {
        found.extend(lines(&part));
        queue.acknowledge().await.unwrap();
    }
    found
}

/// Pulls on, whatever is told of trouble, until these lines came. Returns how many came besides, as repeats.
pub async fn pull_until_all_came(queue: &mut impl Fetch, mut books: Vec<String>, sent: &[String]) -> usize {
    for _ in 0..ROUNDS_MAX {
        if sent.iter().all(|line| books.contains(line)) {
            return books.len() - sent.len();
        }
        if let Ok(Some(part)) = queue.fetch().await {
            books.extend(lines(&part));
            let _ = queue.acknowledge().await;
        }
    }
    let missing = sent.iter().filter(|line| !books.contains(line)).count();
    panic!("{missing} of {} messages are lost", sent.len());
}

pub fn sorted(mut lines: Vec<String>) -> Vec<String> {
    lines.sort();
    lines
}
