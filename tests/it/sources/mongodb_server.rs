//! A server of a test's own that speaks the protocol of `MongoDB`, which may be killed and started again.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use mongodb::Client;
use mongodb::bson::{Document, doc};

use super::database::run;
use crate::left_out::named_by;

pub struct MongodbServer {
    program: String,
    options: Vec<&'static str>,
    port: u16,
    dir: tempfile::TempDir,
    process: Option<Child>,
}

impl MongodbServer {
    /// A server with these options beside the usual ones; none where the environment names no program.
    pub fn start_one(options: &[&'static str]) -> Option<Self> {
        if std::env::var_os("TALLYBOOK_TEST_LEDGER").is_some() {
            return None;
        }
        let program = named_by(
            "TALLYBOOK_TEST_MONGOD",
            "servers of MongoDB that are killed: the program of one",
        )?;
        let mut server = Self {
            program,
            options: options.to_vec(),
            port: TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port(),
            dir: tempfile::tempdir().unwrap(),
            process: None,
        };
        server.start();
        Some(server)
    }

    /// Starts it and waits until it answers.
    pub fn start(&mut self) {
        let mut server = Command::new(&self.program);
        server.args([
            "--host",
            "127.0.0.1",
            "--log-level",
            "ERROR",
            "--port",
            &self.port.to_string(),
        ]);
        server.arg("--storage-path").arg(self.dir.path().join("data"));
        server.args(&self.options);
        let log = std::fs::File::create(self.dir.path().join("log")).unwrap();
        self.process = Some(
            server
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(log)
                .spawn()
                .unwrap(),
        );
        run(async {
            let client = Client::with_uri_str(self.url("") + "?serverSelectionTimeoutMS=60000")
                .await
                .unwrap();
            client.database("admin").run_command(doc! { "ping": 1 }).await.unwrap();
        });
    }

    /// Kills it where it stands.
    pub fn kill(&mut self) {
        let mut process = self.process.take().expect("it runs");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Its URL; `user` is empty, or a name with `@` after it.
    pub fn url(&self, user: &str) -> String {
        format!("mongodb://{user}127.0.0.1:{}/", self.port)
    }

    /// A collection of it, by a client of the caller's own: one that was open while the server died would wait.
    pub fn collection(&self, database: &str, name: &str) -> mongodb::Collection<Document> {
        let client = run(Client::with_uri_str(self.url(""))).unwrap();
        client.database(database).collection(name)
    }

    pub fn admin(&self, command: Document) {
        let client = run(Client::with_uri_str(self.url(""))).unwrap();
        run(client.database("admin").run_command(command)).unwrap();
    }
}

impl Drop for MongodbServer {
    /// A test that fails leaves no server behind.
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        }
    }
}
