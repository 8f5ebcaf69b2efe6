//! A database server of the test's own, in a folder of its own and on a free port, which it may stop and start.

use std::io::{Read as _, Seek as _};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::ledgers::{engine, mysqld, run_sql};
use crate::left_out::left_out;
use tallybook::storage::ledger::Engine;

/// The administrator's password in PostgreSQL; those of MySQL and `MariaDB` take connections without one.
const ADMINISTRATOR: &str = "administrator";

pub struct Server {
    engine: Engine,
    dir: tempfile::TempDir,
    port: u16,
    has_tls: bool,
    /// The process of MySQL or `MariaDB`; PostgreSQL has a program that starts and stops it.
    process: Option<Child>,
    databases: u32,
}

impl Server {
    /// A server of this run's engine; none for the embedded ledger, or where its programs are missing.
    pub fn start_one() -> Option<Self> {
        if engine() == Engine::Sqlite {
            return None;
        }
        Self::start_of(engine())
    }

    /// A server of this engine; none where its programs are missing.
    pub fn start_of(engine: Engine) -> Option<Self> {
        if let Some(missing) = missing(engine) {
            left_out(&format!("servers that restart; {missing}"));
            return None;
        }
        let mut server = Self {
            engine,
            dir: tempfile::tempdir().unwrap(),
            port: free_port(),
            has_tls: true,
            process: None,
            databases: 0,
        };
        server.make();
        server.start();
        Some(server)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The file of its socket.
    pub fn socket(&self) -> PathBuf {
        self.path("socket")
    }

    /// The certificate of the authority that signed the server's.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// `USER[:PASSWORD]` with this database, on this host.
    pub fn url_at(&self, host: &str, user: &str, database: &str) -> String {
        let scheme = match self.engine {
            Engine::Postgres => "postgres",
            _ => "mysql",
        };
        format!("{scheme}://{user}@{host}:{}/{database}", self.port)
    }

    /// The URL of who may do everything.
    pub fn administrators_url(&self, database: &str) -> String {
        match self.engine {
            Engine::Postgres => self.url_at("127.0.0.1", &format!("postgres:{ADMINISTRATOR}"), database),
            _ => self.url_at("127.0.0.1", "root", database),
        }
    }

    pub fn administer(&self, sql: &str) {
        let database = if self.engine == Engine::Postgres {
            "postgres"
        } else {
            "mysql"
        };
        self.administer_in(database, sql);
    }

    pub fn administer_in(&self, database: &str, sql: &str) {
        run_sql(self.administrators_url(database), sql.to_owned());
    }

    /// A database without tables, and its URL.
    pub fn new_database(&mut self) -> String {
        self.databases += 1;
        let name = format!("ledger_{}", self.databases);
        self.administer(&format!("CREATE DATABASE {name}"));
        self.administrators_url(&name)
    }

    fn make(&self) {
        make_certificates(self.dir.path());
        if self.engine == Engine::Postgres {
            std::fs::write(self.path("password"), ADMINISTRATOR).unwrap();
            let owned = Command::new("chown")
                .args(["-R", "postgres"])
                .arg(self.dir.path())
                .status();
            assert!(owned.unwrap().success());
            let mut initdb = self.as_postgres("initdb");
            initdb.args([
                "--no-sync",
                "--auth=scram-sha-256",
                "--username=postgres",
                "--encoding=UTF8",
            ]);
            initdb.arg(format!("--pwfile={}", self.path("password").display()));
            done(initdb.arg("--pgdata").arg(self.path("data")));
        } else if let Some(mysqld) = mysqld() {
            let mut initialize = Command::new(mysqld);
            done(
                initialize
                    .arg("--initialize-insecure")
                    .arg(self.option("datadir", "data")),
            );
        } else {
            let mut install = Command::new("mariadb-install-db");
            install.args([
                "--no-defaults",
                "--user=root",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ]);
            done(install.arg(format!("--datadir={}", self.path("data").display())));
        }
    }

    /// A program of PostgreSQL's, as the user `postgres`: it refuses to run as root.
    fn as_postgres(&self, program: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
        command
            .arg(postgres_programs().unwrap().join(program))
            .current_dir(self.dir.path());
        command
    }

    /// The program of this run's MySQL or `MariaDB`, with TLS or without.
    fn mysql_or_mariadb(&self) -> Command {
        let mut server = mysqld().map_or_else(
            || {
                let mut mariadb = Command::new("mariadbd");
                mariadb.args(["--no-defaults", "--user=root"]);
                mariadb
            },
            Command::new,
        );
        if self.has_tls {
            server.args([
                self.option("ssl-cert", "server.pem"),
                self.option("ssl-key", "server.key"),
            ]);
        } else if mysqld().is_some() {
            // It would make a certificate for itself.
            server.arg("--tls-version=");
        }
        server
    }

    /// `--NAME=` a file in the server's folder.
    fn option(&self, name: &str, file: &str) -> String {
        format!("--{name}={}", self.path(file).display())
    }

    /// Starts the server and waits until it answers.
    pub fn start(&mut self) {
        let folder = self.dir.path().to_owned();
        let path = |name: &str| folder.join(name).display().to_string();
        if self.engine == Engine::Postgres {
            let mut settings = format!(
                "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories={} -c fsync=off",
                self.port,
                self.dir.path().display()
            );
            if self.has_tls {
                let (certificate, key) = (path("server.pem"), path("server.key"));
                settings += &format!(" -c ssl=on -c ssl_cert_file={certificate} -c ssl_key_file={key}");
            }
            let mut start = self.as_postgres("pg_ctl");
            start
                .args(["start", "--wait", "--timeout=60", "--pgdata"])
                .arg(self.path("data"));
            start.arg("--log").arg(self.path("log")).arg("--options").arg(settings);
            done(&mut start);
        } else {
            let mut server = self.mysql_or_mariadb();
            server.arg("--bind-address=127.0.0.1");
            server.args([
                self.option("datadir", "data"),
                self.option("socket", "socket"),
                self.option("pid-file", "pid"),
            ]);
            server.arg(format!("--port={}", self.port));
            // A commit is written before it is answered, as any server's that is in use: what a test kills has lost nothing.
            server.args(["--innodb-flush-log-at-trx-commit=2", "--innodb-buffer-pool-size=32M"]);
            let log = std::fs::File::create(self.path("log")).unwrap();
            self.process = Some(server.stdout(Stdio::null()).stderr(log).spawn().unwrap());
            let mut ping = Command::new("mariadb-admin");
            ping.args(["--no-defaults", "--user=root", "--wait=60"]);
            done(ping.arg(self.option("socket", "socket")).arg("ping"));
        }
    }

    /// Stops the server as an administrator does: sessions are ended, what they did not commit is undone.
    pub fn stop(&mut self) {
        if self.engine == Engine::Postgres {
            let mut stop = self.as_postgres("pg_ctl");
            stop.args(["stop", "--wait", "--mode=fast", "--pgdata"])
                .arg(self.path("data"));
            done(&mut stop);
        } else {
            let mut process = self.process.take().expect("it runs");
            let asked = Command::new("kill").arg(process.id().to_string()).status().unwrap();
            assert!(asked.success());
            process.wait().unwrap();
        }
    }

    /// Kills it where it stands, with whatever it was in the middle of.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
            return;
        }
        let file = self.path("data/postmaster.pid");
        let text = std::fs::read_to_string(&file).unwrap();
        let main: u32 = text.lines().next().unwrap().parse().unwrap();
        let mut all = vec![main];
        all.extend(children_of(main));
        let ids = all.iter().map(u32::to_string);
        assert!(Command::new("kill").arg("-KILL").args(ids).status().unwrap().success());
        while all.iter().any(|id| is_alive(*id)) {
            std::thread::yield_now();
        }
        // They name a process that may have no parent to bury it.
        std::fs::remove_file(file).unwrap();
        let socket = format!(".s.PGSQL.{}", self.port);
        for name in [socket.clone(), socket + ".lock"] {
            std::fs::remove_file(self.path(&name)).unwrap();
        }
    }

    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    pub fn restart_without_tls(&mut self) {
        self.has_tls = false;
        self.restart();
    }
}

impl Drop for Server {
    /// A test that fails leaves no server behind.
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().ok();
            process.wait().ok();
        } else if self.engine == Engine::Postgres && self.path("data/postmaster.pid").exists() {
            let mut stop = self.as_postgres("pg_ctl");
            stop.args(["stop", "--wait", "--mode=immediate", "--pgdata"])
                .arg(self.path("data"));
            stop.output().ok();
        }
    }
}

/// The state and the parent of a process; none where there is no such process.
fn state_and_parent(id: &str) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    // The name before them may have blanks.
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut fields = rest.split(' ');
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

fn children_of(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").unwrap();
    let names = processes.filter_map(|entry| entry.unwrap().file_name().into_string().ok());
    let children = names.filter(|name| state_and_parent(name).is_some_and(|(_, of)| of == parent));
    children.filter_map(|name| name.parse().ok()).collect()
}

fn is_alive(id: u32) -> bool {
    state_and_parent(&id.to_string()).is_some_and(|(state, _)| state != 'Z')
}

/// Runs a program to its end.
fn done(command: &mut Command) {
    // A server that it starts must not keep a pipe open.
    let said = tempfile::tempfile().unwrap();
    let (out, err) = (said.try_clone().unwrap(), said.try_clone().unwrap());
    let status = command.stdin(Stdio::null()).stdout(out).stderr(err).status().unwrap();
    if !status.success() {
        let (mut said, mut text) = (said, String::new());
        said.rewind().unwrap();
        said.read_to_string(&mut text).unwrap();
        panic!("{command:?}: {text}");
    }
}

/// A port on which nobody listens.
fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The folder of PostgreSQL's programs, of the newest version that is installed.
fn postgres_programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut folders: Vec<PathBuf> = versions.map(|version| version.unwrap().path().join("bin")).collect();
    folders.retain(|folder| folder.join("initdb").exists());
    folders.sort();
    folders.pop()
}

/// What is missing for a server of the test's own.
fn missing(engine: Engine) -> Option<&'static str> {
    let has = |program: &str| Command::new(program).arg("--version").output().is_ok();
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0);
    if !is_root {
        return Some("they are started by root");
    }
    if Command::new("openssl").arg("version").output().is_err() {
        return Some("openssl makes their certificates");
    }
    match engine {
        Engine::Postgres if postgres_programs().is_none() => {
            Some("initdb and pg_ctl are in no /usr/lib/postgresql/*/bin")
        }
        Engine::Postgres if !has("setpriv") => Some("setpriv is not there"),
        Engine::MySql if mysqld().is_some() => (!has("mariadb-admin")).then_some("mariadb-admin is not there"),
        Engine::MySql
            if !["mariadbd", "mariadb-install-db", "mariadb-admin"]
                .iter()
                .all(|it| has(it)) =>
        {
            Some("mariadbd, mariadb-install-db and mariadb-admin are not all there")
        }
        _ => None,
    }
}

/// An authority, and a certificate for `localhost` that it signed.
fn make_certificates(folder: &Path) {
    let openssl = |args: &str| {
        let mut openssl = Command::new("openssl");
        done(openssl.args(args.split_whitespace()).current_dir(folder));
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(&format!(
        "req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=authority -days 30"
    ));
    openssl(&format!(
        "req {key} -keyout server.key -out server.csr -subj /CN=localhost"
    ));
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost").unwrap();
    openssl(
        "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 30 -extfile names -out server.pem",
    );
}
