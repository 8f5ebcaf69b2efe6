//! Buckets and folders as sources: what a definition says of them.

use std::path::PathBuf;
use std::time::Duration;

use super::batch_size::within;
use crate::catalog::source::secret::SecretPlace;
use crate::storage::objects::endpoint::{self, Endpoint};
use crate::storage::objects::{BucketPlace, Cloud};

/// Seconds between two listings of a bucket that is followed, unless a definition says otherwise: a listing asks a request for each
/// thousand objects, and each request has a price.
const BUCKET_POLL_S: u32 = 60;

/// The same of a folder, whose listing costs nothing.
const FOLDER_POLL_S: u32 = 5;

/// The most that a definition may ask for: a day.
const POLL_S_MAX: u32 = 86_400;

/// A bucket of S3 or COS. It is only listed and read.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bucket {
    /// Of COS with the APPID at its end, such as `usage-1250000001`.
    pub bucket: String,
    /// Where it lies, such as `ap-guangzhou`. (`region` is the parameter of usage records.)
    pub bucket_region: String,
    /// A server that is not the cloud's own: `http://` or `https://`, a host and perhaps a port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// Whether the bucket stands in the path of a request; none: where S3 has an endpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path_style: Option<bool>,
    /// Only objects whose keys begin so are looked at.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Seconds between two listings of a bucket that is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    poll_s: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_id_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_id_env: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_key_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secret_key_env: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_file: Option<PathBuf>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_env: Option<String>,
}

/// Where the keys of a bucket are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyPlaces {
    pub id: SecretPlace,
    pub key: SecretPlace,
    pub token: Option<SecretPlace>,
}

impl Bucket {
    /// Checks what the keys say together.
    ///
    /// # Errors
    /// A sentence that names the key, the value and the cure.
    pub fn check(&self, cloud: Cloud) -> Result<(), String> {
        check_name(cloud, &self.bucket)?;
        if self.bucket_region.is_empty() || !self.bucket_region.bytes().all(is_of_name) {
            return Err(format!(
                "`bucket_region` {:?} is no region, such as \"ap-guangzhou\" or \"us-east-1\"",
                self.bucket_region
            ));
        }
        check_prefix(&self.prefix, "keys do not")?;
        if let Some(endpoint) = &self.endpoint {
            check_endpoint(endpoint)?;
        }
        if cloud == Cloud::Cos && self.path_style == Some(true) {
            return Err("`path_style` is refused by COS; remove it".to_owned());
        }
        check_poll(self.poll_s)?;
        self.key_places().map(drop)
    }

    /// How long a bucket that is followed rests between two listings.
    pub fn poll(&self) -> Duration {
        Duration::from_secs(self.poll_s.unwrap_or(BUCKET_POLL_S).into())
    }

    /// Where the bucket is.
    pub fn place(&self, cloud: Cloud) -> BucketPlace {
        BucketPlace {
            cloud,
            bucket: self.bucket.clone(),
            region: self.bucket_region.clone(),
            endpoint: self.endpoint.clone(),
            path_style: self.path_style.unwrap_or(cloud == Cloud::S3 && self.endpoint.is_some()),
        }
    }

    /// Where its keys are.
    ///
    /// # Errors
    /// A sentence where a place is missing or given twice.
    pub fn key_places(&self) -> Result<KeyPlaces, String> {
        let id = SecretPlace::of("secret_id", self.secret_id_file.as_ref(), self.secret_id_env.as_ref())?;
        let key = SecretPlace::of(
            "secret_key",
            self.secret_key_file.as_ref(),
            self.secret_key_env.as_ref(),
        )?;
        let token = SecretPlace::of("token", self.token_file.as_ref(), self.token_env.as_ref())?;
        let missing = |name: &str| {
            format!(
                "`{name}_file` or `{name}_env` is missing: it says where the secret is, which never stands here itself"
            )
        };
        Ok(KeyPlaces {
            id: id.ok_or_else(|| missing("secret_id"))?,
            key: key.ok_or_else(|| missing("secret_key"))?,
            token,
        })
    }
}

fn check_prefix(prefix: &str, what_does_not: &str) -> Result<(), String> {
    if prefix.starts_with('/') {
        return Err(format!(
            "`prefix` {prefix:?} begins with a slash, and {what_does_not}: remove the slash"
        ));
    }
    Ok(())
}

fn check_poll(poll_s: Option<u32>) -> Result<(), String> {
    poll_s.map_or(Ok(()), |poll_s| within("poll_s", poll_s, 1, POLL_S_MAX))
}

fn is_of_name(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-'
}

fn check_name(cloud: Cloud, bucket: &str) -> Result<(), String> {
    let is_name = (3..=63).contains(&bucket.len()) && bucket.bytes().all(|byte| is_of_name(byte) || byte == b'.');
    if !is_name {
        return Err(format!(
            "`bucket` {bucket:?} is no name of a bucket: 3 to 63 small letters, digits, `-` and `.`, without the host and the prefix"
        ));
    }
    let appid = bucket.rsplit_once('-').map(|(_, appid)| appid);
    let has_appid = appid.is_some_and(|appid| !appid.is_empty() && appid.bytes().all(|byte| byte.is_ascii_digit()));
    if cloud == Cloud::Cos && !has_appid {
        return Err(format!(
            "`bucket` {bucket:?} does not end in the APPID of its owner, as names of COS do: such as \"usage-1250000001\""
        ));
    }
    Ok(())
}

/// What is sent without encryption can be read and changed on its way, so it must not leave the house.
fn check_endpoint(text: &str) -> Result<(), String> {
    let Some(endpoint) = Endpoint::parse(text) else {
        return Err(format!("`endpoint` is not {}", endpoint::WANTED));
    };
    if endpoint.is_encrypted || endpoint.is_inside() {
        return Ok(());
    }
    Err(format!(
        "`endpoint` \"http://{}\" would send usage through the open network without encryption: use https://, which only an address \
         of this machine or of a private network may do without",
        endpoint.at
    ))
}

/// A folder whose files stay where they are.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalFolder {
    /// Absolute.
    pub path: PathBuf,
    /// Only files whose paths below the folder begin so are looked at.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub prefix: String,
    /// Seconds between two listings of a folder that is followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    poll_s: Option<u32>,
}

impl LocalFolder {
    /// Checks what the keys say together.
    ///
    /// # Errors
    /// A sentence that names the key, the value and the cure.
    pub fn check(&self) -> Result<(), String> {
        if !self.path.is_absolute() {
            return Err(format!(
                "`path` {:?} is relative, and every night may begin in another folder: write it from / on",
                self.path.display().to_string()
            ));
        }
        check_poll(self.poll_s)
    }

    /// Checks what is asked of definitions that are imported now.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_new(&self) -> Result<(), String> {
        check_prefix(&self.prefix, "paths below the folder do not")
    }

    /// How long a folder that is followed rests between two listings.
    pub fn poll(&self) -> Duration {
        Duration::from_secs(self.poll_s.unwrap_or(FOLDER_POLL_S).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(more: &str) -> Result<Bucket, String> {
        let text = format!(
            "bucket = \"usage-1250000001\"\nbucket_region = \"ap-guangzhou\"\nsecret_id_env = \"A\"\nsecret_key_file = \"/k\"\n{more}"
        );
        // Of a key that comes twice, the later stands.
        let mut table = toml::Table::new();
        for line in text.lines() {
            table.extend(line.parse::<toml::Table>().unwrap());
        }
        let read = table.try_into::<Bucket>();
        read.map_err(|error| error.message().to_owned())
    }

    fn refused(cloud: Cloud, more: &str) -> String {
        bucket(more).and_then(|bucket| bucket.check(cloud)).unwrap_err()
    }

    #[test]
    fn a_bucket_needs_a_name_a_region_and_where_its_keys_are() {
        let good = bucket("prefix = \"mps/usage/\"\ntoken_env = \"T\"").unwrap();
        good.check(Cloud::Cos).unwrap();
        let places = good.key_places().unwrap();
        assert_eq!(places.id, SecretPlace::Env("A".to_owned()));
        assert_eq!(places.key, SecretPlace::File("/k".into()));
        assert_eq!(places.token, Some(SecretPlace::Env("T".to_owned())));
        assert!(!good.place(Cloud::Cos).path_style);
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_cure() {
        for (more, cure) in [
            ("bucket = \"usage\"", "APPID"),
            ("bucket = \"https://usage-1\"", "without the host"),
            ("bucket_region = \"Guangzhou!\"", "ap-guangzhou"),
            ("prefix = \"/mps\"", "remove the slash"),
            ("path_style = true", "refused by COS"),
            ("secret_id_file = \"/i\"", "`secret_id_file` and `secret_id_env`"),
            ("endpoint = \"cos.example\"", "http:// or https://"),
            ("endpoint = \"http://cos.example.com\"", "use https://"),
            ("endpoint = \"https://id:pw@cos.example.com\"", "http:// or https://"),
        ] {
            let refused = refused(Cloud::Cos, more);
            assert!(refused.contains(cure), "{refused}");
        }
        assert!(refused(Cloud::S3, "bucket = \"Usage\"").contains("small letters"));
    }

    #[test]
    fn a_secret_that_stands_in_the_definition_is_no_key_of_it_and_is_not_shown() {
        let refused = bucket("secret_key = \"hunter2\"").unwrap_err();
        assert!(
            refused.contains("secret_key") && !refused.contains("hunter2"),
            "{refused}"
        );
    }

    #[test]
    fn an_endpoint_may_do_without_encryption_inside_a_house_alone() {
        for inside in [
            "127.0.0.1:9489",
            "10.0.0.7",
            "[::1]:9000",
            "minio:9000",
            "localhost",
            "s3.internal",
        ] {
            let bucket = bucket(&format!("endpoint = \"http://{inside}\"")).unwrap();
            bucket.check(Cloud::S3).unwrap();
            assert!(bucket.place(Cloud::S3).path_style && !bucket.place(Cloud::Cos).path_style);
        }
        assert!(refused(Cloud::S3, "endpoint = \"http://8.8.8.8\"").contains("use https://"));
    }

    #[test]
    fn a_bucket_is_listed_once_a_minute_unless_its_definition_says_otherwise() {
        assert_eq!(bucket("").unwrap().poll(), Duration::from_mins(1));
        let seldom = bucket("poll_s = 86400").unwrap();
        seldom.check(Cloud::S3).unwrap();
        assert_eq!(seldom.poll(), Duration::from_hours(24));
        assert!(refused(Cloud::S3, "poll_s = 0").contains("from 1 to 86400"));
        assert!(refused(Cloud::S3, "poll_s = 86401").contains("from 1 to 86400"));
        let folder: LocalFolder = toml::from_str("path = \"/srv/usage\"").unwrap();
        assert_eq!(folder.poll(), Duration::from_secs(5));
        let folder: LocalFolder = toml::from_str("path = \"/srv/usage\"\npoll_s = 0").unwrap();
        assert!(folder.check().unwrap_err().contains("from 1 to 86400"));
    }

    #[test]
    fn a_folder_is_named_from_the_root_on() {
        let folder = |path: &str| LocalFolder {
            path: path.into(),
            prefix: String::new(),
            poll_s: None,
        };
        assert!(folder("usage").check().unwrap_err().contains("relative"));
        folder("/srv/usage").check().unwrap();
        let prefixed = LocalFolder {
            prefix: "/2026".to_owned(),
            ..folder("/srv/usage")
        };
        assert!(prefixed.check_new().unwrap_err().contains("remove the slash"));
    }
}
