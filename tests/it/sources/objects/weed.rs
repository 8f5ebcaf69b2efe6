//! A `SeaweedFS` of one test's own, which may be killed and started again.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tallybook::storage::objects::Cloud;

use super::servers::{TestBucket, from_environment};
use crate::world::run;

const IDENTITIES: &str = r#"{"identities": [{"name": "t", "credentials": [{"accessKey": "idOfTheTest", "secretKey": "secretOfTheTest"}],
"actions": ["Admin", "Read", "Write", "List"]}]}"#;

/// How often it is asked whether it is up, at most, and how long a line of its log is waited for in between.
const ASKED_MAX: u32 = 1200;
const BETWEEN: Duration = Duration::from_millis(100);

pub struct Weed {
    program: String,
    dir: tempfile::TempDir,
    /// Master, volume server, filer, S3.
    ports: [u16; 4],
    running: Option<(Child, Receiver<String>)>,
}

impl Weed {
    /// None where `.ci/object-stores` does not say where the program is.
    pub fn start() -> Option<Self> {
        let mut weed = Self {
            program: from_environment("TALLYBOOK_TEST_WEED")?,
            dir: tempfile::tempdir().unwrap(),
            ports: free_ports(),
            running: None,
        };
        std::fs::write(weed.dir.path().join("s3.json"), IDENTITIES).unwrap();
        weed.start_again();
        Some(weed)
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports[3])
    }

    /// Starts it on the data that it had, and waits until it takes an object.
    pub fn start_again(&mut self) {
        let [master, volume, filer, s3] = self.ports;
        let dir = self.dir.path();
        let mut command = Command::new(&self.program);
        command
            .env("WEED_MASTER_VOLUME_GROWTH_COPY_1", "1")
            .args([
                "server",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                "-master.telemetry=false",
            ])
            .args([
                "-master.volumeSizeLimitMB=64",
                "-volume.max=0",
                "-filer",
                "-s3",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
            ])
            .arg(format!("-dir={}", dir.display()))
            .arg(format!("-s3.config={}", dir.join("s3.json").display()))
            .arg(format!("-master.port={master}"))
            .arg(format!("-volume.port={volume}"))
            .arg(format!("-filer.port={filer}"))
            .arg(format!("-s3.port={s3}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let log = BufReader::new(child.stderr.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || log.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        self.wait_until_up(&mut child, &lines);
        self.running = Some((child, lines));
    }

    fn wait_until_up(&self, child: &mut Child, lines: &Receiver<String>) {
        let probe = TestBucket::at(Cloud::S3, &self.endpoint());
        let mut said = String::new();
        for _ in 0..ASKED_MAX {
            if run(async {
                probe.store().put("", Vec::new()).await.is_ok() && probe.store().put("x", vec![1]).await.is_ok()
            }) {
                return;
            }
            let has_ended = child.try_wait().unwrap().is_some();
            while let Ok(line) = lines.recv_timeout(BETWEEN) {
                said = said + &line + "\n";
            }
            assert!(!has_ended, "{said}");
        }
        panic!("it is not up: {said}");
    }

    /// `SIGKILL`: it gets no chance to do anything more.
    pub fn kill(&mut self) {
        if let Some((mut child, _)) = self.running.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

impl Drop for Weed {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Ports below those that systems give to clients, with those 10,000 higher: it takes these as well.
fn free_ports() -> [u16; 4] {
    let mut kept = Vec::new();
    let first = 20_000 + u16::try_from(std::process::id() % 2_000).unwrap();
    let mut free = (first..22_768).chain(20_000..first).filter(|port| {
        let taken = [*port, *port + 10_000].map(|port| TcpListener::bind(("127.0.0.1", port)));
        let is_free = taken.iter().all(Result::is_ok);
        kept.extend(taken);
        is_free
    });
    [(); 4].map(|()| free.next().unwrap())
}
