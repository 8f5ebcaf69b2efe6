"""Tables of PostgreSQL and of MySQL or MariaDB: how they are filled. What reads them is the server's own client."""
import json
import os
import subprocess
import urllib.parse

DATABASE = "tallybook_bench"
TABLE = "task_usage"
PARAMETERS = ("type", "codec", "width", "height", "fps", "images", "region")
# Each second has a hundred rows.
ROWS_A_SECOND = 100
SELECT = f"SELECT * FROM {TABLE} ORDER BY seen, id"


class Table:
    is_used_up = False

    def __init__(self, options, records):
        self.records, self.rows = records, options.work / f"{self.kind}.tsv"
        self.url = urllib.parse.urlsplit(options.variable(self.variable))
        password = self.url.password
        self.login = {"password_file": options.secret(f"{self.kind}-password", password)} if password else {}

    def fill(self):
        with open(self.records, encoding="utf-8") as records, open(self.rows, "w", encoding="utf-8") as rows:
            rows.writelines(row(number, json.loads(line)) for number, line in enumerate(records))
        self.remove()
        self.ask(f"CREATE DATABASE {DATABASE}", self.url.path.strip("/"))
        self.load()
        self.rows.unlink()

    def ask(self, *statements):
        quietly = os.environ | {"PGOPTIONS": "--client-min-messages=warning"}
        subprocess.run(self.client(*statements), check=True, stdout=subprocess.DEVNULL, env=quietly)

    def remove(self):
        self.ask(f"DROP DATABASE IF EXISTS {DATABASE}", self.url.path.strip("/"))

    def reader(self):
        return ["sh", "-c", 'exec "$@" >/dev/null', "sh", *self.client(self.read_all)]

    def definition(self):
        place = self.url.netloc.rsplit("@", 1)[-1]
        columns = {"id": "id", "uin": "uin", "appid": "appid", "task_type": "task_type", "duration_ms": "duration_ms", "status": "status"}
        columns |= {"finished_at": "finished_at"} | {f"parameters.{name}": name for name in PARAMETERS}
        return {
            "kind": self.kind,
            "url": f"{self.url.scheme}://{self.url.username}@{place}/{DATABASE}",
            **self.login,
            "table": TABLE,
            "from": "2026-10-01T00:00:00Z",
            "cursor": "seen",
            "key": "id",
            "overlap": "10m",
            "columns": columns,
        }


def row(number, record):
    """A row as both servers load it: tabs between the columns, `\\N` for NULL."""
    seconds = number // ROWS_A_SECOND
    seen = f"2026-10-{1 + seconds // 86400:02} {seconds // 3600 % 24:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    parameters = record["parameters"]
    values = [record["id"], seen, record["uin"], record["appid"], record["task_type"], record["duration_ms"], record["status"]]
    values += [record["finished_at"].replace("T", " ").removesuffix("Z")]
    values += [parameters.get(name) for name in PARAMETERS]
    return "\t".join("\\N" if value is None else str(value) for value in values) + "\n"


class Postgres(Table):
    kind, variable = "postgres", "TALLYBOOK_TEST_POSTGRES"
    read_all = f"COPY ({SELECT}) TO STDOUT"

    def client(self, sql, database=DATABASE):
        url = self.url
        target = [f"--host={url.hostname}", f"--port={url.port or 5432}", f"--username={url.username}", f"--dbname={database}"]
        return ["psql", *target, "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", f"--command={sql}"]

    def load(self):
        self.ask(
            f"CREATE TABLE {TABLE} (id text NOT NULL, seen timestamptz NOT NULL, uin bigint NOT NULL, appid bigint NOT NULL,"
            " task_type text NOT NULL, duration_ms bigint NOT NULL, status text NOT NULL, finished_at timestamptz NOT NULL,"
            " type text, codec text, width int, height int, fps int, images int, region text);"
            f" ALTER DATABASE {DATABASE} SET timezone TO 'UTC'"
        )
        self.ask(f"\\copy {TABLE} FROM '{self.rows}'")
        self.ask(f"CREATE INDEX ON {TABLE} (seen, id); ANALYZE {TABLE}")


class Mysql(Table):
    kind, variable = "mysql", "TALLYBOOK_TEST_MYSQL"
    read_all = SELECT

    def client(self, sql, database=DATABASE):
        url = self.url
        target = [f"--host={url.hostname}", f"--port={url.port or 3306}", f"--user={url.username}", f"--database={database}"]
        return ["mariadb", *target, "--local-infile=1", "--quick", "--batch", "--raw", "--skip-column-names", f"--execute={sql}"]

    def load(self):
        self.ask(
            f"CREATE TABLE {TABLE} (id varchar(64) NOT NULL, seen timestamp NOT NULL DEFAULT '2000-01-01 00:00:00',"
            " uin bigint NOT NULL, appid bigint NOT NULL, task_type varchar(32) NOT NULL, duration_ms bigint NOT NULL,"
            " status varchar(8) NOT NULL, finished_at timestamp(3) NOT NULL DEFAULT '2000-01-01 00:00:00', type varchar(32),"
            " codec varchar(16), width int, height int, fps int, images int, region varchar(32));"
            f" SET time_zone = '+00:00'; LOAD DATA LOCAL INFILE '{self.rows}' INTO TABLE {TABLE};"
            f" CREATE INDEX seen ON {TABLE} (seen, id); ANALYZE TABLE {TABLE}"
        )
