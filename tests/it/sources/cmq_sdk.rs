//! The test server of TDMQ for CMQ, held against the vendor's own client from PyPI. Left out, and said so, where that is not installed; the
//! CI installs it.

use std::path::Path;
use std::process::Command;

use super::cmq_server::{CmqServer, SECRET_ID, SECRET_KEY};
use crate::left_out::left_out;

const SCRIPT: &str = "tests/it/other_readers/cmq_sdk.py";

/// Whether the vendor's client is there. Where every test was asked for, it must.
fn is_installed() -> bool {
    let found = Command::new("python3")
        .args(["-c", "import cmq.account"])
        .current_dir("/")
        .output();
    let found = found.is_ok_and(|output| output.status.success());
    if !found {
        left_out("Tencent's client is not installed (pip install qcloud-cmq-sdk-py3)");
    }
    found
}

#[test]
fn the_vendors_client_takes_the_test_server_for_the_service() {
    if !is_installed() {
        return;
    }
    let server = CmqServer::start("usage", 1_793_534_400);
    // The client writes a log where it stands.
    let dir = tempfile::tempdir().unwrap();
    let output = Command::new("python3")
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(SCRIPT))
        .args([&server.endpoint(), "usage", SECRET_ID, SECRET_KEY])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    insta::assert_snapshot!(String::from_utf8(output.stdout).unwrap(), @r"
    POST sha1 one message: True 1 30
    POST sha1 again while hidden: 7000
    POST sha1 deleted: 0
    POST sha1 deleted again: 4430
    POST sha1 batch: ['message 0', 'message 1'] 16 16
    POST sha1 batch deleted: 0
    POST sha1 partly deleted before: 6010
    POST sha1 all deleted before: 6020
    POST sha1 none left: 7000
    POST sha256 one message: True 1 30
    POST sha256 again while hidden: 7000
    POST sha256 deleted: 0
    POST sha256 deleted again: 4430
    POST sha256 batch: ['message 0', 'message 1'] 16 16
    POST sha256 batch deleted: 0
    POST sha256 partly deleted before: 6010
    POST sha256 all deleted before: 6020
    POST sha256 none left: 7000
    GET sha1 one message: True 1 30
    GET sha1 again while hidden: 7000
    GET sha1 deleted: 0
    GET sha1 deleted again: 4430
    GET sha1 batch: ['message 0', 'message 1'] 16 16
    GET sha1 batch deleted: 0
    GET sha1 partly deleted before: 6010
    GET sha1 all deleted before: 6020
    GET sha1 none left: 7000
    GET sha256 one message: True 1 30
    GET sha256 again while hidden: 7000
    GET sha256 deleted: 0
    GET sha256 deleted again: 4430
    GET sha256 batch: ['message 0', 'message 1'] 16 16
    GET sha256 batch deleted: 0
    GET sha256 partly deleted before: 6010
    GET sha256 all deleted before: 6020
    GET sha256 none left: 7000
    too many at once: 4000
    wrong key: 4100
    no such queue: 4440
    ");
    assert!(server.left("usage").is_empty());
}
