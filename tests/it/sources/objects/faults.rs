//! What goes wrong between a bucket and the books: connections cut at any byte, servers that die, keys that expire or are replaced, listings
//! that change. Nothing is lost, and nothing is read twice into the books.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use tallybook::context::Books;
use tallybook::sources::fetch::{Content, Fetch as _, FetchError};
use tallybook::sources::objects::Objects;
use tallybook::sources::pull::{Pulled, State, pull as pull_books};
use tallybook::storage::ledger::query;
use tallybook::storage::objects::Cloud;

use super::buckets::{bytes, on, on_each};
use super::program::usage;
use super::proxy::Proxy;
use super::servers::TestBucket;
use super::weed::Weed;
use super::{NOW, drain, open};
use crate::world::{Place, at, run};

/// Reads all objects and remembers none.
async fn read_all(objects: &mut Objects) -> Result<Vec<(String, Vec<u8>)>, FetchError> {
    let mut read = Vec::new();
    while let Some(part) = objects.fetch().await? {
        if let Content::File { path, name, .. } = part.content {
            read.push((name, std::fs::read(&path).unwrap()));
            std::fs::remove_file(path).unwrap();
        }
        objects.acknowledge().await?;
    }
    Ok(read)
}

/// Connections that are cut at a time.
const AT_A_TIME: usize = 16;

#[test]
fn a_connection_that_is_cut_at_any_byte_brings_the_same_bytes() {
    on_each(async |bucket, place, books| {
        bucket.put("a.csv", bytes(200, 1)).await;
        bucket.put("b.csv", bytes(100, 2)).await;
        let proxies: Vec<Proxy> = (0..AT_A_TIME).map(|_| Proxy::to(&bucket.endpoint)).collect();
        let read = async |proxy: &Proxy| {
            let kind = bucket.through(&proxy.endpoint).kind(place.path());
            let mut objects = open(books, &kind).unwrap();
            match read_all(&mut objects).await {
                // The answer to a listing was cut.
                Err(FetchError::Unavailable(_)) => read_all(&mut objects.after(None)).await.unwrap(),
                read => read.unwrap(),
            }
        };
        let expected = read(&proxies[0]).await;
        assert_eq!(expected.len(), 2);
        let all = proxies[0].handed_on();
        let read = &read;
        join_all(proxies.iter().enumerate().map(|(number, proxy)| {
            let expected = &expected;
            async move {
                for cut in (1 + number..=all).step_by(AT_A_TIME) {
                    proxy.cut_after(cut, || {});
                    assert!(read(proxy).await == *expected, "cut after {cut} of {all} bytes");
                }
            }
        }))
        .await;
    });
}

/// Books whose settings have the bucket as a source.
fn place_of(bucket: &TestBucket) -> Place {
    let mut place = Place::new();
    let mut keys = bucket.definition(place.path());
    keys.insert("from".to_owned(), "2020-01-01T00:00:00Z".into());
    place.settings().sources.insert("mps".to_owned(), keys);
    place
}

async fn pull_into(books: &Books) -> Pulled {
    let pulled = pull_books(books, &[]).await.unwrap();
    let [pulled] = <[Pulled; 1]>::try_from(pulled).unwrap();
    pulled
}

/// Batches, records received and stored, and objects that are remembered.
async fn in_books(books: &Books) -> Vec<i64> {
    let mut numbers = Vec::new();
    for sql in [
        "SELECT COUNT(*) FROM batch",
        "SELECT COALESCE(SUM(received), 0) FROM batch",
        "SELECT COALESCE(SUM(stored_rows), 0) FROM batch",
        "SELECT COUNT(*) FROM source_object",
    ] {
        let row = query(sql).fetch_one(&books.ledger).await.unwrap();
        numbers.push(row.try_get(0).unwrap());
    }
    numbers
}

#[test]
fn keys_that_are_refused_in_the_middle_of_a_pull_lose_nothing() {
    for (status, code, state, said) in [
        (403, "InvalidAccessKeyId", State::NeedsPerson, "check the secret id"),
        (
            403,
            "SignatureDoesNotMatch",
            State::NeedsPerson,
            "does not belong to the key id",
        ),
        (403, "ExpiredToken", State::NeedsPerson, "put new keys"),
        (400, "ExpiredToken", State::NeedsPerson, "put new keys"),
        (400, "TokenRefreshRequired", State::NeedsPerson, "put new keys"),
        (403, "RequestIsExpired", State::NeedsPerson, "clock is wrong"),
        (403, "AccessDenied", State::NeedsPerson, "allow them to list"),
        (503, "SlowDown", State::Unavailable, "asks for patience"),
        (500, "InternalError", State::Unavailable, "asks for patience"),
    ] {
        on_each(async |bucket, _, _| {
            for name in ["a", "b", "c", "d", "e"] {
                bucket.put(&format!("{name}.ndjson"), usage(name, 2)).await;
            }
            let proxy = Proxy::to(&bucket.endpoint);
            let place = place_of(&bucket.through(&proxy.endpoint));
            let books = place.books(at("2024-12-01T00:00:00Z")).await;
            // The listing and two objects.
            proxy.refuse_after(3, &bucket.id, (status, code), || {});
            let pulled = pull_into(&books).await;
            let message = pulled.message.unwrap();
            assert_eq!(pulled.state, state, "{code}: {message}");
            assert!(message.contains(said), "{code}: {message}");
            assert!(
                !message.contains(&bucket.id) && !message.contains(&bucket.secret),
                "{message}"
            );
            assert_eq!(in_books(&books).await, [2, 4, 4, 2], "{code}");
            proxy.allow();
            assert_eq!(pull_into(&books).await.state, State::Done);
            assert_eq!(in_books(&books).await, [5, 10, 10, 5], "{code}");
            books.ledger.close().await;
        });
    }
}

#[test]
fn keys_that_are_replaced_in_the_middle_of_a_pull_are_read_anew_and_it_goes_on() {
    on(Cloud::Cos, async |bucket, _, _| {
        for name in ["a", "b", "c"] {
            bucket.put(&format!("{name}.ndjson"), usage(name, 2)).await;
        }
        let proxy = Proxy::to(&bucket.endpoint);
        let through = TestBucket {
            // It says nothing beside keys that need none.
            token: Some("tokenOfYesterday".to_owned()),
            ..bucket.through(&proxy.endpoint)
        };
        let place = place_of(&through);
        let books = place.books(at("2024-12-01T00:00:00Z")).await;
        let replaced = TestBucket {
            token: Some("tokenOfHours".to_owned()),
            ..through.with_keys("AKIDofHours", "secretOfHours")
        };
        let folder = place.path().to_owned();
        proxy.refuse_after(2, &bucket.id, (403, "InvalidAccessKeyId"), move || {
            replaced.definition(&folder);
        });
        let pulled = pull_into(&books).await;
        assert_eq!((pulled.state, pulled.stored), (State::Done, 6), "{pulled:?}");
        assert_eq!(in_books(&books).await, [3, 6, 6, 3]);
        books.ledger.close().await;
    });
}

#[test]
fn a_server_that_is_killed_in_the_middle_of_an_object_is_read_on_when_it_is_back() {
    let Some(weed) = Weed::start() else { return };
    let bucket = TestBucket::at(Cloud::S3, &weed.endpoint());
    let proxy = Proxy::to(&bucket.endpoint);
    let weed = Arc::new(Mutex::new(weed));
    run(async {
        bucket.make().await;
        for name in ["a", "b", "c"] {
            bucket.put(&format!("{name}.ndjson"), usage(name, 4000)).await;
        }
        let place = place_of(&bucket.through(&proxy.endpoint));
        let books = place.books(at("2024-12-01T00:00:00Z")).await;
        let killed = Arc::clone(&weed);
        let down = proxy.switch();
        // In the middle of the second.
        let bytes = usage("a", 4000).len() * 3 / 2;
        proxy.cut_after(bytes, move || {
            killed.lock().unwrap().kill();
            down(true);
        });
        let pulled = pull_into(&books).await;
        assert_eq!(pulled.state, State::Unavailable, "{pulled:?}");
        assert_eq!(in_books(&books).await, [1, 4000, 4000, 1]);
        let again = Arc::clone(&weed);
        // It asks by itself whether it is up.
        std::thread::spawn(move || again.lock().unwrap().start_again())
            .join()
            .unwrap();
        proxy.set_down(false);
        let pulled = pull_into(&books).await;
        assert_eq!((pulled.state, pulled.stored), (State::Done, 8000), "{pulled:?}");
        assert_eq!(in_books(&books).await, [3, 12_000, 12_000, 3]);
        assert_eq!(pull_into(&books).await.parts, 0);
        books.ledger.close().await;
    });
}

#[test]
fn a_bucket_that_changes_between_two_pages_of_its_listing_is_read_whole_by_the_next() {
    on_each(async |bucket, place, books| {
        let store = bucket.store();
        let key = |number: usize| format!("{number:04}.csv");
        for number in 0..1100 {
            store.put(&key(number), number.to_string().into_bytes()).await.unwrap();
        }
        let mut objects = open(books, &bucket.kind(place.path())).unwrap();
        // The first page is listed.
        let part = objects.fetch().await.unwrap().unwrap();
        assert!(part.name.ends_with(&key(0)));
        for (key, text) in [
            ("!first.csv", "new"),
            ("1050.csv", "changed"),
            ("1050a.csv", "new"),
            ("zz.csv", "new"),
        ] {
            bucket.put(key, text).await;
        }
        // The one that was handed over was not committed.
        let first = drain(books, &mut objects).await.unwrap();
        let second = drain(books, &mut objects.after(None)).await.unwrap();
        let mut read: Vec<&str> = first.names();
        read.extend(second.names());
        let all: BTreeSet<&str> = read.iter().copied().collect();
        assert_eq!((read.len(), all.len()), (1103, 1103), "each once");
        let changed = first
            .objects
            .iter()
            .find(|(name, _)| name.ends_with("1050.csv"))
            .unwrap();
        assert_eq!(changed.1, b"changed");
        assert!(second.names().contains(&bucket.name_of("!first.csv").as_str()));
        assert!(second.names().contains(&bucket.name_of(&key(0)).as_str()));
    });
}

#[test]
fn a_bucket_that_is_away_from_the_beginning_is_unavailable_and_nothing_is_noted_as_gone() {
    on_each(async |bucket, _, _| {
        bucket.put("a.ndjson", usage("a", 1)).await;
        let proxy = Proxy::to(&bucket.endpoint);
        let place = place_of(&bucket.through(&proxy.endpoint));
        let books = place.books(at(NOW)).await;
        assert_eq!(pull_into(&books).await.state, State::Done);
        proxy.set_down(true);
        assert_eq!(pull_into(&books).await.state, State::Unavailable);
        let gone = query("SELECT COUNT(*) FROM source_object WHERE gone_at IS NOT NULL");
        let row = gone.fetch_one(&books.ledger).await.unwrap();
        assert_eq!(row.try_get::<i64>(0).unwrap(), 0);
        books.ledger.close().await;
    });
}
