//! Brokers that a test starts for itself, kills, and starts again on the same data. Left out, and said so, where they are not installed;
//! the CI installs them.

use std::io::{BufRead as _, BufReader};
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::left_out::left_out;

/// How long a broker may take for anything.
const PATIENCE: Duration = Duration::from_mins(2);

/// The user whom the brokers know.
pub const USER: &str = "guest";

/// A broker of the test's own.
pub struct OwnServer {
    dir: tempfile::TempDir,
    port: u16,
    kind: Kind,
    running: Option<Running>,
}

/// Its process, and what that says, line by line.
struct Running {
    child: Child,
    said: Receiver<String>,
}

impl Running {
    fn wait_until_it_says(&self, words: &str) {
        let mut before = Vec::new();
        loop {
            match self.said.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(words) => return,
                Ok(line) => before.push(line),
                Err(why) => panic!("{why} before it said {words:?}: {}", before.join("\n")),
            }
        }
    }
}

#[cfg_attr(
    not(all(feature = "amqp", feature = "nats")),
    allow(dead_code, reason = "a build with one of them starts no other")
)]
enum Kind {
    Nats { program: PathBuf },
    Rabbitmq { folder: PathBuf, distribution_port: u16 },
}

impl OwnServer {
    /// A NATS server with `JetStream`, which lets in [`USER`] with a password; none where it is not installed.
    #[cfg(feature = "nats")]
    pub fn nats(password: &str) -> Option<Self> {
        let program = installed("nats-server", &["/usr/sbin", "/usr/bin", "/usr/local/bin"])?;
        let mut server = Self::new(Kind::Nats { program });
        server.configure_nats(password);
        server.start();
        Some(server)
    }

    /// A `RabbitMQ`, which lets in [`USER`] with the same word as password; none where it is not installed.
    #[cfg(feature = "amqp")]
    pub fn rabbitmq() -> Option<Self> {
        // What is in the other folders of Debian changes to a user of its own first.
        let program = installed("rabbitmq-server", &["/usr/lib/rabbitmq/bin"])?;
        let folder = program.parent().expect("a program stands in a folder").to_owned();
        let distribution_port = free_port();
        let mut server = Self::new(Kind::Rabbitmq {
            folder,
            distribution_port,
        });
        std::fs::write(server.path("plugins"), "[].\n").unwrap();
        std::fs::write(server.path("rabbit.conf"), "loopback_users = none\n").unwrap();
        server.start();
        Some(server)
    }

    fn new(kind: Kind) -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
            kind,
            running: None,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Its host and port.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Starts it, and waits until it listens.
    pub fn start(&mut self) {
        let (mut command, words) = match &self.kind {
            Kind::Nats { program } => {
                let mut command = Command::new(program);
                command.arg("--config").arg(self.path("nats.conf"));
                (command, "Server is ready")
            }
            Kind::Rabbitmq { folder, .. } => (self.rabbitmq_command(&folder.join("rabbitmq-server")), "completed with"),
        };
        let (reader, writer) = std::io::pipe().unwrap();
        // A group of its own: the broker may be a child of the shell script that starts it.
        command.process_group(0).stdin(Stdio::null());
        command.stdout(writer.try_clone().unwrap()).stderr(writer);
        let child = command.spawn().unwrap();
        drop(command);
        let (sender, said) = channel();
        std::thread::spawn(move || {
            let lines = BufReader::new(reader).lines().map_while(Result::ok);
            // Whoever does not listen any more wants it read nevertheless, so that the broker can write.
            lines.for_each(|line| sender.send(line).unwrap_or_default());
        });
        let running = Running { child, said };
        running.wait_until_it_says(words);
        self.running = Some(running);
    }

    /// Kills it where it stands.
    pub fn kill(&mut self) {
        let Some(mut running) = self.running.take() else { return };
        let group = format!("-{}", running.child.id());
        let killed = Command::new("kill").args(["-KILL", "--", &group]).status().unwrap();
        assert!(killed.success());
        running.child.wait().unwrap();
        // When nobody can say anything more, all processes of the group are gone.
        while running.said.recv_timeout(PATIENCE).is_ok() {}
    }

    /// Gives [`USER`] another password, while it runs.
    pub fn change_password(&mut self, password: &str) {
        match &self.kind {
            Kind::Nats { .. } => {
                self.configure_nats(password);
                let running = self.running.as_ref().expect("it runs");
                let id = running.child.id().to_string();
                assert!(Command::new("kill").args(["-HUP", &id]).status().unwrap().success());
                running.wait_until_it_says("Reloaded server configuration");
            }
            Kind::Rabbitmq { folder, .. } => {
                let mut command = self.rabbitmq_command(&folder.join("rabbitmqctl"));
                command.args(["change_password", USER, password]);
                let output = command.output().unwrap();
                assert!(output.status.success(), "{output:?}");
            }
        }
    }

    fn configure_nats(&self, password: &str) {
        let config = format!(
            "listen: \"{}\"\njetstream {{ store_dir: \"{}\" }}\nauthorization {{ user: \"{USER}\", password: \"{password}\" }}\n",
            self.host(),
            self.path("store").display()
        );
        std::fs::write(self.path("nats.conf"), config).unwrap();
    }

    /// A program of `RabbitMQ` for this node: its data, logs and cookie are in the test's folder.
    fn rabbitmq_command(&self, program: &Path) -> Command {
        let Kind::Rabbitmq { distribution_port, .. } = &self.kind else {
            unreachable!("it is asked for by RabbitMQ alone")
        };
        let mut command = Command::new(program);
        command
            .env("HOME", self.dir.path())
            .env("RABBITMQ_NODENAME", format!("tallybook-{}@localhost", self.port))
            .env("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_NODE_PORT", self.port.to_string())
            .env("RABBITMQ_DIST_PORT", distribution_port.to_string())
            .env("RABBITMQ_LOGS", "-");
        for (variable, name) in [
            ("RABBITMQ_MNESIA_BASE", "mnesia"),
            ("RABBITMQ_LOG_BASE", "log"),
            ("RABBITMQ_GENERATED_CONFIG_DIR", "config"),
            ("RABBITMQ_PID_FILE", "pid"),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", "plugins"),
            ("RABBITMQ_CONFIG_FILE", "rabbit"),
            ("RABBITMQ_CONF_ENV_FILE", "environment"),
        ] {
            command.env(variable, self.path(name));
        }
        command
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Where a program is installed. Where every test was asked for, it must be.
fn installed(name: &str, folders: &[&str]) -> Option<PathBuf> {
    let found = folders
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists());
    if found.is_none() {
        left_out(&format!("{name} is in none of {folders:?}"));
    }
    found
}

/// A port that nobody listens on.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
