//! A connection to a server that can be cut: after so many bytes of its answers, or altogether.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// What is done when the connection is cut, before anybody hears of it.
type Meanwhile = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Plan {
    /// Bytes of answers until the next cut.
    left: Option<usize>,
    meanwhile: Option<Meanwhile>,
    is_down: bool,
    /// Bytes of answers that were handed on.
    handed_on: usize,
    refusal: Option<Refusal>,
    /// The first bytes of each request, as they were sent.
    requests: Vec<String>,
}

/// What the server itself would refuse.
struct Refusal {
    /// Requests that are still handed on.
    after: usize,
    /// What a request that is refused has in its head.
    of: String,
    answer: String,
    meanwhile: Option<Meanwhile>,
}

/// A server on a port of its own that hands everything on to another.
pub struct Proxy {
    pub endpoint: String,
    plan: Arc<Mutex<Plan>>,
}

impl Proxy {
    pub fn to(endpoint: &str) -> Self {
        let server = endpoint.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let plan = Arc::<Mutex<Plan>>::default();
        let shared = Arc::clone(&plan);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                if shared.lock().unwrap().is_down {
                    continue;
                }
                let server = TcpStream::connect(&server).unwrap();
                hand_on(&client, &server, &shared);
            }
        });
        Self { endpoint, plan }
    }

    /// Cuts the connection once so many bytes of answers were handed on, after something was done meanwhile.
    pub fn cut_after(&self, bytes: usize, meanwhile: impl FnOnce() + Send + 'static) {
        let mut plan = self.plan.lock().unwrap();
        plan.left = Some(bytes);
        plan.meanwhile = Some(Box::new(meanwhile));
    }

    /// Bytes of answers that were handed on so far.
    pub fn handed_on(&self) -> usize {
        self.plan.lock().unwrap().handed_on
    }

    /// After so many requests, refuses those whose heads have these words, as the server would; before the first, something is done.
    pub fn refuse_after(
        &self,
        after: usize,
        of: &str,
        (status, code): (u16, &str),
        meanwhile: impl FnOnce() + Send + 'static,
    ) {
        let body = format!(
            "<?xml version='1.0' encoding='utf-8' ?>\n<Error><Code>{code}</Code><Message>{of}</Message></Error>"
        );
        let head = format!(
            "HTTP/1.1 {status} No\r\nConnection: close\r\nContent-Length: {}",
            body.len()
        );
        self.plan.lock().unwrap().refusal = Some(Refusal {
            after,
            of: of.to_owned(),
            answer: format!("{head}\r\n\r\n{body}"),
            meanwhile: Some(Box::new(meanwhile)),
        });
    }

    /// Answers requests whose heads have these words with a body of the test's own.
    pub fn answer(&self, of: &str, body: &str) {
        let head = format!("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}", body.len());
        self.plan.lock().unwrap().refusal = Some(Refusal {
            after: 0,
            of: of.to_owned(),
            answer: format!("{head}\r\n\r\n{body}"),
            meanwhile: None,
        });
    }

    /// Refuses nothing any more.
    pub fn allow(&self) {
        self.plan.lock().unwrap().refusal = None;
    }

    /// Closes every new connection at once, or takes them again.
    pub fn set_down(&self, is_down: bool) {
        self.plan.lock().unwrap().is_down = is_down;
    }

    /// The same for a thread of its own.
    pub fn switch(&self) -> impl Fn(bool) + Send + 'static {
        let plan = Arc::clone(&self.plan);
        move |is_down| plan.lock().unwrap().is_down = is_down
    }

    /// The heads of the requests so far.
    pub fn requests(&self) -> Vec<String> {
        self.plan.lock().unwrap().requests.clone()
    }
}

fn hand_on(client: &TcpStream, server: &TcpStream, plan: &Arc<Mutex<Plan>>) {
    let (mut from, mut to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
    let shared = Arc::clone(plan);
    std::thread::spawn(move || {
        let mut block = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut block) {
            let head = String::from_utf8_lossy(&block[..read]).into_owned();
            let refused = refused(&mut shared.lock().unwrap(), &head);
            shared.lock().unwrap().requests.push(head);
            if let Some((answer, meanwhile)) = refused {
                if let Some(meanwhile) = meanwhile {
                    meanwhile();
                }
                from.write_all(answer.as_bytes()).ok();
                break;
            }
            if to.write_all(&block[..read]).is_err() {
                break;
            }
        }
        to.shutdown(Shutdown::Both).ok();
    });
    let (mut from, mut to) = (server.try_clone().unwrap(), client.try_clone().unwrap());
    let shared = Arc::clone(plan);
    std::thread::spawn(move || {
        let mut block = vec![0; 1 << 16];
        while let Ok(read @ 1..) = from.read(&mut block) {
            let (allowed, meanwhile) = allow(&mut shared.lock().unwrap(), read);
            shared.lock().unwrap().handed_on += allowed;
            if to.write_all(&block[..allowed]).is_err() {
                break;
            }
            if let Some(meanwhile) = meanwhile {
                meanwhile();
                break;
            }
        }
        to.shutdown(Shutdown::Both).ok();
        from.shutdown(Shutdown::Both).ok();
    });
}

/// What a request is answered with that is refused.
fn refused(plan: &mut Plan, head: &str) -> Option<(String, Option<Meanwhile>)> {
    let refusal = plan.refusal.as_mut()?;
    if let Some(left) = refusal.after.checked_sub(1) {
        refusal.after = left;
        return None;
    }
    let is_of = head.contains(&refusal.of);
    is_of.then(|| (refusal.answer.clone(), refusal.meanwhile.take()))
}

/// How many of the bytes that came are handed on, and what is done when they are the last.
fn allow(plan: &mut Plan, read: usize) -> (usize, Option<Meanwhile>) {
    match plan.left {
        None => (read, None),
        Some(left) if left > read => {
            plan.left = Some(left - read);
            (read, None)
        }
        Some(left) => {
            plan.left = None;
            (left, plan.meanwhile.take())
        }
    }
}
