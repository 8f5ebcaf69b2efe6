//! A line to a cluster of Kafka, which knows what the mock cluster of librdkafka does not: users with passwords, and the time of `from`. It
//! can be cut, and led to another cluster.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Keys of requests.
const LIST_OFFSETS: i16 = 2;
const SASL_HANDSHAKE: i16 = 17;
const API_VERSIONS: i16 = 18;
const SASL_AUTHENTICATE: i16 = 36;

/// What a broker answers to a wrong password.
const SASL_AUTHENTICATION_FAILED: i16 = 58;

/// In place of a time, the offset of the first message that is there.
const EARLIEST: i64 = -2;

/// Passes connections on to a cluster with one broker.
#[derive(Clone)]
pub struct Line {
    pub host: String,
    port: u16,
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    broker: Mutex<String>,
    /// The user and the password that are let in; none: all.
    login: Mutex<Option<(String, String)>>,
    /// The time, in milliseconds, before every message.
    before_all: Mutex<Option<i64>>,
    open: Mutex<Vec<TcpStream>>,
}

impl Line {
    pub fn to(broker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let line = Self {
            host: address.to_string(),
            port: address.port(),
            inner: Arc::default(),
        };
        line.lead_to(broker);
        let accepting = line.clone();
        std::thread::spawn(move || {
            for here in listener.incoming().flatten() {
                // A broker that is not there is none that answers.
                let broker = accepting.inner.broker.lock().unwrap().clone();
                let Ok(there) = TcpStream::connect(broker) else {
                    continue;
                };
                let both = [here.try_clone().unwrap(), there.try_clone().unwrap()];
                accepting.inner.open.lock().unwrap().extend(both);
                Connection::pass(&accepting, here, there);
            }
        });
        line
    }

    /// Cuts all connections; new ones lead to this broker.
    pub fn lead_to(&self, broker: &str) {
        broker.clone_into(&mut self.inner.broker.lock().unwrap());
        self.cut();
    }

    /// Ends all connections, as a network does that fails.
    pub fn cut(&self) {
        for stream in self.inner.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    /// From now on nobody else is let in.
    pub fn ask_for(&self, user: &str, password: &str) {
        *self.inner.login.lock().unwrap() = Some((user.to_owned(), password.to_owned()));
    }

    /// From now on all messages are later than this time, whatever they say.
    pub fn is_before_all(&self, time: &str) {
        let time: chrono::DateTime<chrono::Utc> = time.parse().unwrap();
        *self.inner.before_all.lock().unwrap() = Some(time.timestamp_millis());
    }
}

/// One connection.
#[derive(Clone)]
struct Connection {
    line: Line,
    /// Which request has which number.
    asked: Arc<Mutex<HashMap<i32, i16>>>,
}

impl Connection {
    fn pass(line: &Line, here: TcpStream, there: TcpStream) {
        let connection = Self {
            line: line.clone(),
            asked: Arc::default(),
        };
        let other = connection.clone();
        let (client, broker) = (here.try_clone().unwrap(), there.try_clone().unwrap());
        std::thread::spawn(move || {
            connection.to_broker(&client, &broker);
            end(&client, &broker);
        });
        std::thread::spawn(move || {
            other.to_client(&there, &here);
            end(&here, &there);
        });
    }

    fn to_broker(&self, client: &TcpStream, broker: &TcpStream) {
        let mut is_in = self.line.inner.login.lock().unwrap().is_none();
        while let Some(mut frame) = read(client) {
            let (key, number) = (i16_at(&frame, 0), i32_at(&frame, 4));
            if matches!(key, SASL_HANDSHAKE | SASL_AUTHENTICATE) {
                let refused = key == SASL_AUTHENTICATE && !self.lets_in(&frame);
                is_in = key == SASL_AUTHENTICATE && !refused;
                if !write(client, &answer(key, number, refused)) {
                    return;
                }
                continue;
            }
            if !is_in && key != API_VERSIONS {
                return;
            }
            if key == LIST_OFFSETS {
                self.replace_time(&mut frame);
            }
            self.asked.lock().unwrap().insert(number, key);
            if !write(broker, &frame) {
                return;
            }
        }
    }

    fn to_client(&self, broker: &TcpStream, client: &TcpStream) {
        while let Some(mut frame) = read(broker) {
            let key = self.asked.lock().unwrap().remove(&i32_at(&frame, 0));
            if key == Some(API_VERSIONS) && self.line.inner.login.lock().unwrap().is_some() {
                add_sasl(&mut frame);
            }
            self.replace_address(&mut frame);
            if !write(client, &frame) {
                return;
            }
        }
    }

    /// Whether a request has the name and the password that are asked for.
    fn lets_in(&self, frame: &[u8]) -> bool {
        let login = self.line.inner.login.lock().unwrap().clone();
        login.is_none_or(|(user, password)| frame.ends_with(format!("\0{user}\0{password}").as_bytes()))
    }

    fn replace_time(&self, frame: &mut [u8]) {
        let Some(time) = *self.line.inner.before_all.lock().unwrap() else {
            return;
        };
        replace(frame, &time.to_be_bytes(), &EARLIEST.to_be_bytes());
    }

    /// Whoever is told where the broker is comes to the line.
    fn replace_address(&self, frame: &mut [u8]) {
        let broker = self.line.inner.broker.lock().unwrap().clone();
        let (host, port) = broker.rsplit_once(':').unwrap();
        let port: i32 = port.parse().unwrap();
        let with = |port: i32| [host.as_bytes(), &port.to_be_bytes()].concat();
        replace(frame, &with(port), &with(self.line.port.into()));
    }
}

fn end(one: &TcpStream, other: &TcpStream) {
    let _ = one.shutdown(Shutdown::Both);
    let _ = other.shutdown(Shutdown::Both);
}

/// A request or an answer, without its length; none at the end.
fn read(mut from: &TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let mut frame = vec![0; usize::try_from(i32::from_be_bytes(length)).ok()?];
    from.read_exact(&mut frame).ok()?;
    Some(frame)
}

/// Whether it could be written.
fn write(mut to: &TcpStream, frame: &[u8]) -> bool {
    let length = i32::try_from(frame.len()).unwrap().to_be_bytes();
    to.write_all(&[&length, frame].concat()).is_ok()
}

fn i16_at(frame: &[u8], at: usize) -> i16 {
    i16::from_be_bytes(frame[at..at + 2].try_into().unwrap())
}

fn i32_at(frame: &[u8], at: usize) -> i32 {
    i32::from_be_bytes(frame[at..at + 4].try_into().unwrap())
}

fn replace(frame: &mut [u8], old: &[u8], new: &[u8]) {
    let mut from = 0;
    while let Some(at) = memchr::memmem::find(&frame[from..], old) {
        frame[from + at..from + at + old.len()].copy_from_slice(new);
        from += at + old.len();
    }
}

/// What a broker with users answers when one signs in.
fn answer(key: i16, number: i32, refused: bool) -> Vec<u8> {
    let mut answer = number.to_be_bytes().to_vec();
    let text = |text: &str| [&i16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    match (key, refused) {
        (SASL_HANDSHAKE, _) => {
            answer.extend(0_i16.to_be_bytes());
            answer.extend(1_i32.to_be_bytes());
            answer.extend(text("PLAIN"));
        }
        (_, false) => {
            answer.extend([0_i16, -1].map(i16::to_be_bytes).concat());
            answer.extend(0_i32.to_be_bytes());
        }
        (_, true) => {
            answer.extend(SASL_AUTHENTICATION_FAILED.to_be_bytes());
            answer.extend(text("Authentication failed: Invalid username or password"));
            answer.extend(0_i32.to_be_bytes());
        }
    }
    answer
}

/// Adds the requests by which users sign in to those that a broker says that it knows.
fn add_sasl(frame: &mut Vec<u8>) {
    // The number of the request, an error code, how many requests follow, and key, lowest and highest version of each.
    const ERROR_AT: usize = 4;
    const COUNT_AT: usize = 6;
    const ENTRIES_AT: usize = 10;
    if i16_at(frame, ERROR_AT) != 0 {
        return;
    }
    let count = i32_at(frame, COUNT_AT);
    let end = ENTRIES_AT + usize::try_from(count).unwrap() * 6;
    let added: Vec<u8> = [(SASL_HANDSHAKE, 0, 1), (SASL_AUTHENTICATE, 0, 0)]
        .iter()
        .flat_map(|(key, low, high)| [*key, *low, *high].map(i16::to_be_bytes).concat())
        .collect();
    frame.splice(end..end, added);
    frame[COUNT_AT..ENTRIES_AT].copy_from_slice(&(count + 2).to_be_bytes());
}
