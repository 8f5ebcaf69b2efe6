//! Raw and usage are readable by another engine: pyarrow counts what we wrote. Left out, and said so, where it is not
//! installed; the CI installs it.

use std::process::Command;

use crate::left_out::left_out;
use crate::world::{Place, line};

const SCRIPT: &str = "
import sys, glob, pyarrow.parquet as pq
raw = [pq.read_table(p) for p in sorted(glob.glob(sys.argv[1] + '/raw/day=*/*.parquet'))]
usage = [pq.read_table(p) for p in glob.glob(sys.argv[1] + '/usage/*.parquet')]
print(sum(t.num_rows for t in raw), sum(sum(t['duration_ms'].to_pylist()) for t in raw))
print(raw[0]['finished_at'][0].as_py(), raw[0]['parameters'][0].as_py())
print(sum(sum(t['billable'].to_pylist()) for t in usage), usage[0]['sku'][0].as_py())
";

#[test]
fn another_engine_reads_raw_and_usage() {
    let has_reader = Command::new("python3")
        .args(["-c", "import pyarrow.parquet"])
        .output()
        .is_ok_and(|o| o.status.success());
    if !has_reader {
        left_out("pyarrow is not installed (pip install pyarrow)");
        return;
    }
    let place = Place::new();
    place.drop(
        "a.ndjson",
        format!(
            "{}{}",
            line("a", 7, "2024-11-15T10:00:00+08:00", 60_000),
            line("b", 7, "2024-11-16T10:00:00+08:00", 30_000)
        ),
    );
    place.night("2024-11-20T00:00:00Z");
    let output = Command::new("python3")
        .args(["-c", SCRIPT])
        .arg(place.data())
        .output()
        .unwrap();
    insta::assert_snapshot!(String::from_utf8_lossy(&output.stdout), @r#"
    2 90000
    2024-11-15 02:00:00 {"codec":"H264","height":720,"type":"Standard","width":1280}
    90000 Standard.H264.HD
    "#);
}
