//! The object stores of the tests: a real `SeaweedFS`, which speaks S3, and a stub of COS.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tallybook::catalog::source::kinds::Kind;
use tallybook::storage::objects::bucket::Bucket;
use tallybook::storage::objects::{BucketPlace, Cloud, Keys, ObjectStore};

use crate::left_out::tell;

/// One bucket of a server, of a test's own.
#[derive(Clone, Debug)]
pub struct TestBucket {
    pub cloud: Cloud,
    pub endpoint: String,
    pub bucket: String,
    pub region: &'static str,
    pub id: String,
    pub secret: String,
    pub token: Option<String>,
}

/// Where a server is, as the environment says; none where there is none, and then the test is left out by name.
pub fn server(cloud: Cloud) -> Option<String> {
    let variable = match cloud {
        Cloud::S3 => "TALLYBOOK_TEST_S3",
        Cloud::Cos => "TALLYBOOK_TEST_COS",
    };
    from_environment(variable)
}

/// A variable that `.ci/object-stores` sets.
pub fn from_environment(variable: &str) -> Option<String> {
    let value = std::env::var(variable).ok();
    if value.is_none() {
        // Not everything that needs one runs beside one: nothing fails here.
        tell(&format!(
            "left out: tests of object stores; `.ci/object-stores COMMAND` runs a command beside them and sets {variable}"
        ));
    }
    value
}

impl TestBucket {
    /// A name that no other test has. The bucket is made with its first object.
    pub fn at(cloud: Cloud, endpoint: &str) -> Self {
        static BUCKETS: AtomicU32 = AtomicU32::new(0);
        let number = BUCKETS.fetch_add(1, Ordering::Relaxed);
        let (region, id, secret) = match cloud {
            Cloud::S3 => ("us-east-1", "idOfTheTest", "secretOfTheTest"),
            Cloud::Cos => ("ap-guangzhou", "AKIDofTheStub", "secretOfTheStub"),
        };
        Self {
            cloud,
            endpoint: endpoint.to_owned(),
            bucket: format!("test-{}-{number}-1250000001", std::process::id()),
            region,
            id: id.to_owned(),
            secret: secret.to_owned(),
            token: None,
        }
    }

    pub fn store(&self) -> ObjectStore {
        let (place, keys) = self.reached();
        ObjectStore::bucket(place, keys).unwrap()
    }

    /// The same, to be written.
    pub fn writable(&self) -> Bucket {
        let (place, keys) = self.reached();
        Bucket::new(place, keys).unwrap()
    }

    /// The keys of all its objects.
    pub async fn keys(&self) -> Vec<String> {
        let (mut listing, mut keys) = (self.store().list(""), Vec::new());
        while let Some(page) = listing.next().await.unwrap() {
            keys.extend(page.objects.into_iter().map(|object| object.key));
        }
        keys
    }

    fn reached(&self) -> (BucketPlace, Keys) {
        let place = BucketPlace {
            cloud: self.cloud,
            bucket: self.bucket.clone(),
            region: self.region.to_owned(),
            endpoint: Some(self.endpoint.clone()),
            path_style: self.cloud == Cloud::S3,
        };
        let keys = Keys {
            id: self.id.clone(),
            secret: self.secret.clone(),
            token: self.token.clone(),
        };
        (place, keys)
    }

    /// Makes the bucket: to put an object without a key is to make the bucket.
    pub async fn make(&self) {
        self.store().put("", Vec::new()).await.unwrap();
    }

    pub async fn put(&self, key: &str, bytes: impl AsRef<[u8]>) {
        self.store().put(key, bytes.as_ref().to_vec()).await.unwrap();
    }

    /// The same through another address.
    pub fn through(&self, endpoint: &str) -> Self {
        Self {
            endpoint: endpoint.to_owned(),
            ..self.clone()
        }
    }

    pub fn with_keys(&self, id: &str, secret: &str) -> Self {
        Self {
            id: id.to_owned(),
            secret: secret.to_owned(),
            ..self.clone()
        }
    }

    /// Its definition. The keys are in files in a folder.
    pub fn kind(&self, folder: &Path) -> Kind {
        let mut keys = self.definition(folder);
        keys.remove("kind");
        Kind::read(self.kind_name(), keys).unwrap()
    }

    fn kind_name(&self) -> &'static str {
        match self.cloud {
            Cloud::S3 => "s3",
            Cloud::Cos => "cos",
        }
    }

    /// The same as a table of settings.
    pub fn definition(&self, folder: &Path) -> toml::Table {
        let mut keys = toml::Table::new();
        let mut add = |name: &str, value: &str| keys.insert(name.to_owned(), value.into());
        add("kind", self.kind_name());
        add("bucket", &self.bucket);
        add("bucket_region", self.region);
        add("endpoint", &self.endpoint);
        add("secret_id_file", &secret_file(folder, "id", &self.id));
        add("secret_key_file", &secret_file(folder, "key", &self.secret));
        if let Some(token) = &self.token {
            add("token_file", &secret_file(folder, "token", token));
        }
        keys
    }

    /// Tells the stub of COS what goes wrong with this bucket from now on: see `cos_stub.py`.
    pub fn goes_wrong(&self, method: &str, fault: &str, times: u32, key: &str) {
        let mut stub = std::net::TcpStream::connect(self.endpoint.strip_prefix("http://").unwrap()).unwrap();
        let request = format!(
            "PUT /{method}/{fault}/{times}/{key} HTTP/1.1\r\nHost: {}.fault\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            self.bucket
        );
        stub.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        std::io::Read::read_to_string(&mut stub, &mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    /// An object's name as people see it.
    pub fn name_of(&self, key: &str) -> String {
        format!("{}://{}/{key}", self.cloud.scheme(), self.bucket)
    }
}

fn secret_file(folder: &Path, name: &str, secret: &str) -> String {
    let path: PathBuf = folder.join(format!("secret.{name}"));
    std::fs::write(&path, secret).unwrap();
    path.display().to_string()
}
