//! Buckets: every case on a real `SeaweedFS` and on a stub of COS.

use std::io::Write as _;
use std::net::TcpStream;

use tallybook::context::Books;
use tallybook::sources::fetch::{Fetch as _, FetchError};
use tallybook::storage::objects::Cloud;

use super::proxy::Proxy;
use super::servers::{TestBucket, from_environment, server};
use super::{Brought, NOW, drain, open, pull};
use crate::world::{Place, at, run};

/// A case with a bucket and books of its own, on each server that is there.
#[expect(clippy::needless_pass_by_value, reason = "a case is written where it is run")]
pub fn on_each(case: impl AsyncFn(&TestBucket, &Place, &Books)) {
    on(Cloud::S3, &case);
    on(Cloud::Cos, &case);
}

#[expect(clippy::needless_pass_by_value, reason = "a case is written where it is run")]
pub fn on(cloud: Cloud, case: impl AsyncFn(&TestBucket, &Place, &Books)) {
    let Some(endpoint) = server(cloud) else { return };
    let place = Place::new();
    let bucket = TestBucket::at(cloud, &endpoint);
    run(async {
        bucket.make().await;
        let books = place.books(at(NOW)).await;
        case(&bucket, &place, &books).await;
        books.ledger.close().await;
    });
}

/// Bytes that differ from place to place.
pub fn bytes(count: usize, salt: u8) -> Vec<u8> {
    let numbers = (0..=u8::MAX).cycle().zip((0..251).cycle());
    numbers
        .map(|(one, other): (u8, u8)| one ^ other ^ salt)
        .take(count)
        .collect()
}

#[test]
fn objects_of_a_bucket_are_handed_over_once_and_a_changed_one_is_told() {
    on_each(async |bucket, place, books| {
        bucket.put("a.csv", "first").await;
        bucket.put("b/c.ndjson.gz", "second").await;
        let kind = bucket.kind(place.path());
        let first = pull(books, &kind).await.unwrap();
        let named = |key: &str, bytes: &str| (bucket.name_of(key), bytes.as_bytes().to_vec());
        assert_eq!(
            first.objects,
            [named("a.csv", "first"), named("b/c.ndjson.gz", "second")]
        );
        assert_eq!(first.warnings, Vec::<String>::new());
        assert_eq!(pull(books, &kind).await.unwrap(), Brought::default());

        bucket.put("a.csv", "other").await;
        let again = pull(books, &kind).await.unwrap();
        assert_eq!(again.objects, [named("a.csv", "other")]);
        assert!(again.warnings[0].contains("is another object now"), "{again:?}");
        // The state that was read first is known as well.
        bucket.put("a.csv", "first").await;
        assert_eq!(pull(books, &kind).await.unwrap(), Brought::default());
    });
}

#[test]
fn a_listing_of_more_than_a_thousand_objects_brings_each_once() {
    on_each(async |bucket, place, books| {
        let store = bucket.store();
        let mut wanted = Vec::new();
        for number in 0..2003 {
            let key = format!("usage {}/{number:04}+x.csv", number % 7);
            store.put(&key, number.to_string().into_bytes()).await.unwrap();
            wanted.push((bucket.name_of(&key), number.to_string().into_bytes()));
        }
        wanted.sort();
        let brought = pull(books, &bucket.kind(place.path())).await.unwrap();
        assert_eq!(brought.objects.len(), wanted.len());
        assert!(brought.objects == wanted);
        assert_eq!(
            pull(books, &bucket.kind(place.path())).await.unwrap(),
            Brought::default()
        );
    });
}

/// Keys that the clouds allow and that clients of theirs stumble over. `SeaweedFS` keeps keys as paths of files, so that it has no `..`
/// and no `//`: these are for COS.
#[test]
fn odd_keys_are_read_as_they_are() {
    let keys = |cloud| {
        let mut keys = vec![
            "a b.csv",
            "a+b.csv",
            "a%20b.csv",
            "a&b=c#d?.csv",
            "用量/é.csv",
            "a'(b)*!~$@,;:.csv",
        ];
        if cloud == Cloud::Cos {
            keys.extend([
                "x/../y.csv",
                "x//y.csv",
                "x/./y.csv",
                "x/../../z.csv",
                "tab\there.csv",
                "<&>\".csv",
            ]);
        }
        keys.sort_unstable();
        keys
    };
    on_each(async |bucket, place, books| {
        let keys = keys(bucket.cloud);
        for key in &keys {
            bucket.put(key, key).await;
        }
        let brought = pull(books, &bucket.kind(place.path())).await.unwrap();
        let wanted: Vec<_> = keys
            .iter()
            .map(|key| (bucket.name_of(key), key.as_bytes().to_vec()))
            .collect();
        assert_eq!(brought.objects, wanted);
        assert_eq!(brought.warnings, Vec::<String>::new());
    });
}

#[test]
fn a_connection_that_is_cut_in_the_middle_of_an_object_goes_on_where_it_ended() {
    on_each(async |bucket, place, books| {
        let whole = bytes(3_000_000, 1);
        bucket.put("a.csv", &whole).await;
        let proxy = Proxy::to(&bucket.endpoint);
        proxy.cut_after(1_000_000, || {});
        let brought = pull(books, &bucket.through(&proxy.endpoint).kind(place.path()))
            .await
            .unwrap();
        assert!(brought.objects == [(bucket.name_of("a.csv"), whole)]);
        let resumed = proxy.requests();
        let resumed = resumed.last().unwrap().to_ascii_lowercase();
        assert!(
            resumed.contains("range: bytes=") && resumed.contains("if-match: \""),
            "{resumed}"
        );
    });
}

#[test]
fn an_object_that_is_replaced_while_it_is_read_is_read_from_its_beginning() {
    on_each(async |bucket, place, books| {
        let (before, after) = (bytes(3_000_000, 1), bytes(3_000_000, 2));
        bucket.put("a.csv", &before).await;
        let proxy = Proxy::to(&bucket.endpoint);
        let (writer, replaced) = (bucket.clone(), after.clone());
        proxy.cut_after(1_000_000, move || run(writer.put("a.csv", replaced)));
        let kind = bucket.through(&proxy.endpoint).kind(place.path());
        let brought = pull(books, &kind).await.unwrap();
        assert!(
            brought.objects == [(bucket.name_of("a.csv"), after)],
            "two states were joined"
        );
        // What was read is remembered, and not what was listed.
        assert_eq!(pull(books, &kind).await.unwrap(), Brought::default());
    });
}

#[test]
fn an_object_that_is_replaced_between_listing_and_reading_is_read_as_it_is_now() {
    on_each(async |bucket, place, books| {
        bucket.put("a.csv", "first").await;
        bucket.put("b.csv", "before").await;
        bucket.put("c.csv", "gone").await;
        let mut objects = open(books, &bucket.kind(place.path())).unwrap();
        objects.fetch().await.unwrap().unwrap();
        bucket.put("b.csv", "after it").await;
        let brought = drain(books, &mut objects).await.unwrap();
        assert_eq!(brought.objects[0], (bucket.name_of("b.csv"), b"after it".to_vec()));
    });
}

#[test]
fn a_store_that_is_away_is_unavailable_and_read_on_when_it_is_back() {
    on_each(async |bucket, place, books| {
        for key in ["a.csv", "b.csv", "c.csv"] {
            bucket.put(key, bytes(200_000, 3)).await;
        }
        let proxy = Proxy::to(&bucket.endpoint);
        let kind = bucket.through(&proxy.endpoint).kind(place.path());
        let mut objects = open(books, &kind).unwrap();
        assert!(objects.fetch().await.unwrap().is_some());
        proxy.set_down(true);
        proxy.cut_after(100_000, || {});
        let away = objects.fetch().await.unwrap_err();
        assert!(matches!(away, FetchError::Unavailable(_)), "{away}");
        proxy.set_down(false);
        let brought = drain(books, &mut objects).await.unwrap();
        assert_eq!(brought.names(), [bucket.name_of("b.csv"), bucket.name_of("c.csv")]);
        proxy.set_down(true);
        let away = open(books, &kind).unwrap().fetch().await.unwrap_err();
        assert!(matches!(away, FetchError::Unavailable(_)), "{away}");
    });
}

/// What a refusal says; it needs a person.
async fn refused(books: &Books, bucket: &TestBucket, place: &Place) -> String {
    match pull(books, &bucket.kind(place.path())).await.unwrap_err() {
        FetchError::NeedsPerson(sentence) => sentence,
        other => panic!("{other:?}"),
    }
}

#[test]
fn wrong_keys_and_a_missing_bucket_need_a_person_and_no_key_is_told() {
    on_each(async |bucket, place, books| {
        bucket.put("a.csv", "x").await;
        let (nothing_id, nothing_secret) = match bucket.cloud {
            Cloud::S3 => ("idThatMayNothing", "secretThatMayNothing"),
            Cloud::Cos => ("AKIDthatMayNothing", "secretThatMayNothing"),
        };
        let missing = TestBucket {
            bucket: "missing-1250000001".to_owned(),
            ..bucket.clone()
        };
        for (wrong, cure) in [
            (bucket.with_keys("idOfNobody", &bucket.secret), "check the secret id"),
            (
                bucket.with_keys(&bucket.id, "wrongSecret"),
                "does not belong to the key id",
            ),
            (bucket.with_keys(nothing_id, nothing_secret), "allow them to list"),
            (missing, "check `bucket` and `bucket_region`"),
        ] {
            let refused = refused(books, &wrong, place).await;
            assert!(refused.contains(cure), "{refused}");
            assert!(
                refused.contains(&format!("{}://{}", wrong.cloud.scheme(), wrong.bucket)),
                "{refused}"
            );
            assert!(
                !refused.contains(&wrong.id) && !refused.contains(&wrong.secret),
                "{refused}"
            );
        }
    });
}

#[test]
fn keys_that_hold_for_hours_need_their_token() {
    let with_token = |bucket: &TestBucket, token: &str| TestBucket {
        token: Some(token.to_owned()),
        ..bucket.with_keys("AKIDofHours", "secretOfHours")
    };
    on(Cloud::Cos, async |bucket, place, books| {
        bucket.put("a.csv", "x").await;
        let expired = refused(books, &with_token(bucket, "tokenOfYesterday"), place).await;
        assert!(
            expired.contains("put new keys") && !expired.contains("tokenOfYesterday"),
            "{expired}"
        );
        let kind = with_token(bucket, "tokenOfHours").kind(place.path());
        assert_eq!(pull(books, &kind).await.unwrap().objects.len(), 1);
    });
}

#[test]
fn an_archived_object_is_told_and_left_and_the_others_are_read() {
    on(Cloud::Cos, async |bucket, place, books| {
        for key in ["a.csv", "b.csv", "c.csv"] {
            bucket.put(key, key).await;
        }
        set_class(bucket, "b.csv", "ARCHIVE");
        let kind = bucket.kind(place.path());
        let brought = pull(books, &kind).await.unwrap();
        assert_eq!(brought.names(), [bucket.name_of("a.csv"), bucket.name_of("c.csv")]);
        assert!(
            brought.warnings[0].starts_with("1 object left, because it is archived"),
            "{brought:?}"
        );
        set_class(bucket, "b.csv", "STANDARD");
        assert_eq!(pull(books, &kind).await.unwrap().names(), [bucket.name_of("b.csv")]);
    });
}

/// Puts an object of the stub into another storage class.
fn set_class(bucket: &TestBucket, key: &str, class: &str) {
    let at = bucket.endpoint.strip_prefix("http://").unwrap();
    let mut stream = TcpStream::connect(at).unwrap();
    write!(
        stream,
        "PUT /{class}/{key} HTTP/1.1\r\nHost: {}.class\r\nConnection: close\r\n\r\n",
        bucket.bucket
    )
    .unwrap();
    let answer = std::io::read_to_string(stream).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[test]
fn the_stub_answers_the_vendors_own_client_as_it_expects_of_cos() {
    let (Some(endpoint), Some(python)) = (server(Cloud::Cos), from_environment("TALLYBOOK_TEST_COS_SDK")) else {
        return;
    };
    let (host, port) = endpoint.strip_prefix("http://").unwrap().split_once(':').unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/sources/cos_sdk.py");
    let checked = std::process::Command::new(python)
        .args([script, host, port])
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
