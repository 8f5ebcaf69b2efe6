//! A loopback server that keeps the rules of TDMQ for CMQ: signatures, codes, batches of 16, messages that are hidden for a while, handles
//! that only the newest receive makes good, and the silent loss of what is not deleted in time. Its clock is set by the test, and its long
//! polls answer at once. `other_readers/cmq_sdk.py` holds it against the vendor's own client.

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::Sha256;

/// The keys that the server knows.
pub const SECRET_ID: &str = "AKIDforTests";
pub const SECRET_KEY: &str = "key-for-tests-only";

/// What one call may carry, by the service's rules.
const BATCH_MAX: usize = 16;

/// A message, while the queue has it.
#[derive(Clone, Debug)]
struct Held {
    id: String,
    body: String,
    enqueued_s: i64,
    visible_at_s: i64,
    first_dequeued_s: i64,
    dequeued: u64,
    handle: Option<String>,
}

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The connection is cut before the call is carried out.
    CutBefore,
    /// The call is carried out, and the connection is cut before the answer.
    CutAfter,
    /// Another HTTP status than 200.
    Status(u16),
    /// The call is not carried out, and the answer has this code.
    Code(i64),
    /// The answer is no JSON.
    Garbage,
    /// The call is carried out and never answered.
    Hold,
}

/// What the server has and has seen.
#[derive(Debug, Default)]
pub struct State {
    pub now_s: i64,
    pub visibility_s: i64,
    /// The queue's maximum unacknowledged time; none: nothing is ever dropped.
    pub unacknowledged_s: Option<i64>,
    queues: BTreeMap<String, Vec<Held>>,
    next: u64,
    /// What goes wrong with the next calls of an action, in this order; none: nothing.
    faults: BTreeMap<String, VecDeque<Option<Fault>>>,
    /// Ids of messages that the queue dropped by itself.
    pub dropped: Vec<String>,
    /// The token of temporary keys, which every call must have; none: the keys are lasting ones.
    pub token: Option<String>,
    /// Its connections, until they are cut.
    open: Vec<TcpStream>,
    is_down: bool,
    /// The calls: action and, of a receive, `pollingWaitSeconds`.
    pub calls: Vec<(String, Option<u32>)>,
    /// Whether each call came with another timestamp and nonce.
    seen: std::collections::BTreeSet<(String, String)>,
}

/// The server; it ends with the test's process.
#[derive(Clone)]
pub struct CmqServer {
    state: Arc<Mutex<State>>,
    /// Told when a call is held.
    held: Arc<tokio::sync::Notify>,
    /// The thread that listens.
    accepting: Arc<Mutex<Option<JoinHandle<()>>>>,
    port: u16,
}

impl CmqServer {
    /// A server with one empty queue. Its clock stands at `now_s`.
    pub fn start(queue: &str, now_s: i64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self {
            state: Arc::new(Mutex::new(State {
                now_s,
                visibility_s: 30,
                queues: BTreeMap::from([(queue.to_ascii_lowercase(), Vec::new())]),
                ..State::default()
            })),
            held: Arc::default(),
            accepting: Arc::default(),
            port,
        };
        server.accept(listener);
        server
    }

    fn accept(&self, listener: TcpListener) {
        let server = self.clone();
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if server.state().is_down {
                    return;
                }
                server.state().open.push(stream.try_clone().unwrap());
                let server = server.clone();
                std::thread::spawn(move || server.serve(stream));
            }
        });
        *self.accepting.lock().unwrap() = Some(accepting);
    }

    /// Goes down: nobody listens any more, and all connections are cut. What it has stays.
    pub fn stop(&self) {
        let mut state = self.state();
        state.is_down = true;
        for stream in state.open.drain(..) {
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
        drop(state);
        // It hears of that when somebody comes.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
        let accepting = self.accepting.lock().unwrap().take();
        accepting.expect("it accepts").join().unwrap();
    }

    /// Comes up again at the same address.
    pub fn start_again(&self) {
        self.state().is_down = false;
        self.accept(TcpListener::bind(("127.0.0.1", self.port)).unwrap());
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Lets calls of an action go wrong, one after another.
    pub fn plan(&self, action: &str, faults: impl IntoIterator<Item = Option<Fault>>) {
        self.state().faults.entry(action.to_owned()).or_default().extend(faults);
    }

    /// Lets time pass.
    pub fn pass(&self, seconds: i64) {
        self.state().now_s += seconds;
    }

    /// Puts a message into a queue, and returns its id.
    pub fn send(&self, queue: &str, body: &str) -> String {
        self.state().send(queue, body, 0).unwrap()
    }

    /// The bodies that a queue still has, hidden ones too.
    pub fn left(&self, queue: &str) -> Vec<String> {
        self.state().queues[&queue.to_ascii_lowercase()]
            .iter()
            .map(|held| held.body.clone())
            .collect()
    }

    /// Waits until a call is held.
    pub async fn held(&self) {
        self.held.notified().await;
    }

    /// Answers the requests of a connection.
    fn serve(&self, stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut writer = stream;
        while let Some(request) = Request::read(&mut reader) {
            let (answer, is_held) = self.answer(&request);
            if is_held {
                self.held.notify_one();
                // Until the client is gone.
                let _ = reader.read_line(&mut String::new());
                return;
            }
            let Some((status, body)) = answer else {
                let _ = writer.shutdown(std::net::Shutdown::Both);
                return;
            };
            let head = format!(
                "HTTP/1.1 {status} X\r\nContent-Type: text/html\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            if writer.write_all((head + &body).as_bytes()).is_err() {
                return;
            }
        }
    }

    /// Status and body, none where the connection is to be cut, and whether the answer is held.
    fn answer(&self, request: &Request) -> (Option<(u16, String)>, bool) {
        let mut state = self.state();
        let action = request.values.get("Action").cloned().unwrap_or_default();
        let wait = request
            .values
            .get("pollingWaitSeconds")
            .and_then(|text| text.parse().ok());
        state.calls.push((action.clone(), wait));
        let fault = state.faults.get_mut(&action).and_then(VecDeque::pop_front).flatten();
        let answer = match fault {
            Some(Fault::CutBefore) => None,
            Some(Fault::Status(status)) => Some((status, "<html>".to_owned())),
            Some(Fault::Garbage) => Some((200, "<html>no JSON</html>".to_owned())),
            Some(Fault::Code(code)) => Some((200, failed(code, "planned").to_string())),
            Some(Fault::CutAfter | Fault::Hold) | None => {
                let answer = state.answer(request, &action);
                fault.is_none().then_some(answer)
            }
        };
        (answer, fault == Some(Fault::Hold))
    }
}

fn failed(code: i64, message: &str) -> Value {
    json!({"code": code, "message": message, "requestId": "14534664555"})
}

/// Joins the fields of an answer to those that every answer has.
fn done(fields: &Value) -> Value {
    let mut answer = json!({"code": 0, "message": "", "requestId": "14534664555"});
    answer
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    answer
}

type Values = BTreeMap<String, String>;

impl State {
    fn answer(&mut self, request: &Request, action: &str) -> (u16, String) {
        if request.path != "/v2/index.php" {
            return (404, String::new());
        }
        let signed = request.check_signature().and_then(|()| self.check_token(request));
        let checked = signed.and_then(|()| self.check_replay(request));
        let answer = checked.and_then(|()| self.act(action, &request.values));
        (200, answer.unwrap_or_else(|refused| refused).to_string())
    }

    fn check_token(&self, request: &Request) -> Result<(), Value> {
        if request.values.get("Token") == self.token.as_ref() {
            return Ok(());
        }
        Err(failed(4100, "(10000)the token is not valid any more"))
    }

    fn check_replay(&mut self, request: &Request) -> Result<(), Value> {
        let of = |name: &str| request.values.get(name).cloned().unwrap_or_default();
        if self.seen.insert((of("Timestamp"), of("Nonce"))) {
            return Ok(());
        }
        Err(failed(4000, "this timestamp and nonce were used before"))
    }

    fn act(&mut self, action: &str, values: &Values) -> Result<Value, Value> {
        let queue = values
            .get("queueName")
            .ok_or_else(|| failed(4000, "queueName is missing"))?
            .clone();
        self.drop_old(&queue)?;
        match action {
            "SendMessage" => {
                let body = values
                    .get("msgBody")
                    .ok_or_else(|| failed(4000, "msgBody is missing"))?;
                let delay = values
                    .get("delaySeconds")
                    .and_then(|text| text.parse().ok())
                    .unwrap_or(0);
                Ok(done(&json!({"msgId": self.send(&queue, body, delay)?})))
            }
            "BatchSendMessage" => {
                let mut list = Vec::new();
                for body in numbered(values, "msgBody")? {
                    list.push(json!({"msgId": self.send(&queue, &body, 0)?}));
                }
                Ok(done(&json!({"msgList": list})))
            }
            "ReceiveMessage" => Ok(done(&self.receive(&queue, 1)?.remove(0))),
            "BatchReceiveMessage" => {
                let wanted: usize = values.get("numOfMsg").and_then(|text| text.parse().ok()).unwrap_or(0);
                if !(1..=BATCH_MAX).contains(&wanted) {
                    return Err(failed(4000, "numOfMsg is from 1 to 16"));
                }
                Ok(done(&json!({"msgInfoList": self.receive(&queue, wanted)?})))
            }
            "DeleteMessage" => {
                let handle = values
                    .get("receiptHandle")
                    .ok_or_else(|| failed(4000, "receiptHandle is missing"))?;
                self.delete(&queue, handle).map(|()| done(&json!({})))
            }
            "BatchDeleteMessage" => self.delete_all(&queue, &numbered(values, "receiptHandle")?),
            _ => Err(failed(4000, "unknown action")),
        }
    }

    fn queue(&mut self, name: &str) -> Result<&mut Vec<Held>, Value> {
        self.queues
            .get_mut(&name.to_ascii_lowercase())
            .ok_or_else(|| failed(4440, "queue does not exist"))
    }

    /// The service acknowledges by itself what was not deleted in time.
    fn drop_old(&mut self, queue: &str) -> Result<(), Value> {
        let (now, limit) = (self.now_s, self.unacknowledged_s);
        let is_old = |held: &Held| limit.is_some_and(|limit| held.enqueued_s + limit <= now);
        let queue = self.queue(queue)?;
        let old: Vec<String> = queue
            .iter()
            .filter(|held| is_old(held))
            .map(|held| held.id.clone())
            .collect();
        queue.retain(|held| !is_old(held));
        self.dropped.extend(old);
        Ok(())
    }

    fn send(&mut self, queue: &str, body: &str, delay_s: i64) -> Result<String, Value> {
        self.next += 1;
        let (now, id) = (self.now_s, format!("CMQ-m-{}", self.next));
        self.queue(queue)?.push(Held {
            id: id.clone(),
            body: body.to_owned(),
            enqueued_s: now,
            visible_at_s: now + delay_s,
            first_dequeued_s: 0,
            dequeued: 0,
            handle: None,
        });
        Ok(id)
    }

    fn receive(&mut self, queue: &str, wanted: usize) -> Result<Vec<Value>, Value> {
        let (now, hidden_until) = (self.now_s, self.now_s + self.visibility_s);
        let mut next = self.next;
        let mut found = Vec::new();
        for held in self
            .queue(queue)?
            .iter_mut()
            .filter(|held| held.visible_at_s <= now)
            .take(wanted)
        {
            next += 1;
            let handle = format!("{}-{next}", held.id);
            held.handle = Some(handle.clone());
            held.visible_at_s = hidden_until;
            held.dequeued += 1;
            if held.dequeued == 1 {
                held.first_dequeued_s = now;
            }
            found.push(json!({
                "msgId": held.id, "msgBody": held.body, "receiptHandle": handle, "enqueueTime": held.enqueued_s,
                "nextVisibleTime": hidden_until, "firstDequeueTime": held.first_dequeued_s, "dequeueCount": held.dequeued,
            }));
        }
        self.next = next;
        if found.is_empty() {
            return Err(failed(7000, "(10200)no message"));
        }
        Ok(found)
    }

    fn delete(&mut self, queue: &str, handle: &str) -> Result<(), Value> {
        let now = self.now_s;
        let queue = self.queue(queue)?;
        let is_meant = |held: &Held| held.handle.as_deref() == Some(handle) && now < held.visible_at_s;
        let at = queue
            .iter()
            .position(is_meant)
            .ok_or_else(|| failed(4430, "receipt handle is invalid"))?;
        queue.remove(at);
        Ok(())
    }

    fn delete_all(&mut self, queue: &str, handles: &[String]) -> Result<Value, Value> {
        let mut errors = Vec::new();
        for handle in handles {
            if let Err(error) = self.delete(queue, handle) {
                errors.push(json!({"code": error["code"], "message": error["message"], "receiptHandle": handle}));
            }
        }
        match errors.len() {
            0 => Ok(done(&json!({}))),
            all => {
                let mut answer = failed(if all == handles.len() { 6020 } else { 6010 }, "delete failed");
                answer["errorList"] = Value::Array(errors);
                Err(answer)
            }
        }
    }
}

/// Values with numbers, from 0 or 1 on and without a gap.
fn numbered(values: &Values, name: &str) -> Result<Vec<String>, Value> {
    let first = usize::from(!values.contains_key(&format!("{name}.0")));
    let found: Vec<String> = (first..)
        .map_while(|at| values.get(&format!("{name}.{at}")).cloned())
        .collect();
    let given = values.keys().filter(|key| key.starts_with(&format!("{name}."))).count();
    if found.is_empty() || found.len() != given || BATCH_MAX < given {
        return Err(failed(4000, "1 to 16 are expected, numbered without a gap"));
    }
    Ok(found)
}

/// A request, as far as the service looks at it.
struct Request {
    method: String,
    host: String,
    path: String,
    values: Values,
}

impl Request {
    /// The next request of a connection; none at its end.
    fn read(reader: &mut BufReader<TcpStream>) -> Option<Self> {
        let mut first = String::new();
        reader.read_line(&mut first).ok().filter(|read| *read > 0)?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (mut host, mut length) = (String::new(), 0_usize);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
            let Some((name, value)) = line.trim_end().split_once(':') else {
                break;
            };
            match name.to_ascii_lowercase().as_str() {
                "host" => value.trim().clone_into(&mut host),
                "content-length" => length = value.trim().parse().ok()?,
                _ => {}
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        let form = if method == "POST" {
            String::from_utf8(body).ok()?
        } else {
            query.to_owned()
        };
        let pairs = form.split('&').filter_map(|pair| pair.split_once('='));
        Some(Self {
            values: pairs.map(|(name, value)| (decoded(name), decoded(value))).collect(),
            path: path.to_owned(),
            method,
            host,
        })
    }

    fn check_signature(&self) -> Result<(), Value> {
        let of = |name: &str| self.values.get(name).map_or("", String::as_str);
        let names: Vec<(String, &String)> = {
            let signed = self
                .values
                .iter()
                .filter(|(name, value)| *name != "Signature" && !(self.method == "POST" && value.starts_with('@')));
            signed.map(|(name, value)| (name.replace('_', "."), value)).collect()
        };
        let pairs: Vec<String> = names.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let text = format!("{}{}{}?{}", self.method, self.host, self.path, pairs.join("&"));
        let expected = if of("SignatureMethod") == "HmacSHA256" {
            let mut mac = Hmac::<Sha256>::new_from_slice(SECRET_KEY.as_bytes()).unwrap();
            mac.update(text.as_bytes());
            STANDARD.encode(mac.finalize().into_bytes())
        } else {
            let mut mac = Hmac::<Sha1>::new_from_slice(SECRET_KEY.as_bytes()).unwrap();
            mac.update(text.as_bytes());
            STANDARD.encode(mac.finalize().into_bytes())
        };
        if of("SecretId") == SECRET_ID && of("Signature") == expected {
            return Ok(());
        }
        Err(failed(
            4100,
            &format!("(10000)authorization fail for SecretId {}", of("SecretId")),
        ))
    }
}

fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let (mut decoded, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match bytes[at] {
            b'+' => decoded.push(b' '),
            b'%' => {
                decoded.push(u8::from_str_radix(&text[at + 1..at + 3], 16).unwrap());
                at += 2;
            }
            byte => decoded.push(byte),
        }
        at += 1;
    }
    String::from_utf8(decoded).unwrap()
}
