//! Whose an event is.

use std::collections::BTreeMap;

use serde_json::json;
use tallybook::catalog::source::events::{EventSource, Owner};

use super::{APPID, UIN, changed, records, refused, sample, source};

fn owned(owner: Owner) -> EventSource {
    EventSource { owner, ..source() }
}

#[test]
fn the_application_is_the_sources_then_the_topics_then_the_buckets() {
    let one = |appid| owned(Owner::One { uin: UIN, appid });
    assert_eq!(records(sample(1), &one(Some(7)))[0]["appid"], 7);
    assert_eq!(records(sample(1), &one(None))[0]["appid"], APPID);
    let pushed = sample(2).replacen("\"TopicOwner\":1250000001", "\"TopicOwner\":\"1250000009\"", 1);
    assert_eq!(records(&pushed, &one(None))[0]["appid"], 1_250_000_009_u64);
    // The input is no bucket of the service, and the output is one.
    assert_eq!(records(sample(4), &one(None))[0]["appid"], APPID);
    let refusal = refused(sample(5), &one(None));
    assert_eq!(refusal.code, "missing_field");
    assert!(refusal.sentence.contains("no APPID"), "{refusal}");
}

#[test]
fn a_table_names_the_account_of_each_application() {
    let table = owned(Owner::ByAppid(BTreeMap::from([(APPID, 42)])));
    let record = &records(sample(1), &table)[0];
    assert_eq!((&record["uin"], &record["appid"]), (&json!(42), &json!(APPID)));
    assert_eq!(records(sample(7), &table)[0]["uin"], 42);
    let other = changed(1, |event| {
        event["WorkflowTaskEvent"]["InputInfo"]["CosInputInfo"]["Bucket"] = "media-1250000002".into();
    });
    let refusal = refused(&other, &table);
    assert_eq!(refusal.code, "unknown_appid");
    assert_eq!(
        refusal.sentence,
        "APPID 1250000002 is not in `accounts` of the source mps; add it there with its UIN, then retry the event"
    );
}

#[test]
fn only_a_job_can_name_its_account_itself() {
    let by_data = owned(Owner::Record);
    assert_eq!(records(sample(7), &by_data)[0]["uin"], UIN);
    assert!(refused(sample(1), &by_data).sentence.contains("names no account"));
    for name in ["uin", "appid"] {
        let document = changed(7, |event| event["detail"]["userMetadata"][name] = json!(null));
        let refusal = refused(&document, &by_data);
        assert!(
            refusal
                .sentence
                .starts_with(&format!("`detail.userMetadata.{name}` is missing")),
            "{refusal}"
        );
    }
    let document = changed(7, |event| event["detail"]["userMetadata"]["uin"] = "1e5".into());
    assert_eq!(refused(&document, &by_data).code, "not_a_number");
}

#[test]
fn the_region_is_the_sources_then_that_of_the_input_then_of_the_output() {
    let fixed = EventSource {
        region: Some("eu-frankfurt".to_owned()),
        ..source()
    };
    for line in [1, 2, 4, 7] {
        assert_eq!(records(sample(line), &fixed)[0]["parameters"]["region"], "eu-frankfurt");
    }
    assert_eq!(records(sample(2), &source())[0]["parameters"]["region"], "ap-shanghai");
    let by_url = changed(2, |event| {
        event["WorkflowTaskEvent"]["InputInfo"] =
            json!({"Type": "URL", "UrlInputInfo": {"Url": "https://u:p@h/a?b#c"}});
    });
    let record = &records(&by_url, &source())[0];
    assert_eq!(record["parameters"]["region"], "ap-guangzhou");
    assert_eq!(record["input_url"], "https://h/a");
    let by_s3 = changed(2, |event| {
        event["WorkflowTaskEvent"]["InputInfo"] =
            json!({"Type": "AWS-S3", "S3InputInfo": {"S3Bucket": "b", "S3Object": "/o"}});
    });
    assert_eq!(records(&by_s3, &source())[0]["input_url"], "s3://b/o");
}
