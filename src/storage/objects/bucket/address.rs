//! Where a bucket is on the network, and how keys and parameters are written into a request. Pure.

use super::super::endpoint::{self, Endpoint};
use super::super::error::StoreError;
use super::super::{BucketPlace, Cloud};

/// Where requests go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    is_encrypted: bool,
    /// What is connected to: a host and perhaps a port.
    connect: String,
    /// What the request says of the host.
    host: String,
    /// The bucket in the path, with a slash at its beginning; or nothing.
    base: String,
}

impl Address {
    /// The address of a bucket: in the host's name, as the clouds want it, or in the path.
    ///
    /// An endpoint that is a number or this machine says where to connect, and is no name that a bucket could stand in.
    ///
    /// # Errors
    /// An endpoint that is none.
    pub fn of(place: &BucketPlace) -> Result<Self, StoreError> {
        let bucket = &place.bucket;
        let own = match place.cloud {
            Cloud::S3 => format!("s3.{}.amazonaws.com", place.region),
            Cloud::Cos => format!("cos.{}.myqcloud.com", place.region),
        };
        let to = match &place.endpoint {
            None => Endpoint {
                is_encrypted: true,
                at: &own,
            },
            Some(endpoint) => Endpoint::parse(endpoint)
                .ok_or_else(|| StoreError::NeedsPerson(format!("`endpoint` is not {}", endpoint::WANTED)))?,
        };
        let at = to.at;
        let (connect, host, base) = if place.path_style {
            (at.to_owned(), at.to_owned(), format!("/{bucket}"))
        } else if to.is_number() {
            (at.to_owned(), format!("{bucket}.{own}"), String::new())
        } else {
            (format!("{bucket}.{at}"), format!("{bucket}.{at}"), String::new())
        };
        Ok(Self {
            is_encrypted: to.is_encrypted,
            connect,
            host,
            base,
        })
    }

    pub fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path of an object, or of the bucket itself.
    pub fn path(&self, key: Option<&str>) -> String {
        match key {
            Some(key) => format!("{}/{}", self.base, encoded(key, b"/")),
            None => format!("{}/", self.base),
        }
    }

    pub fn uri(&self, path: &str, query: &str) -> String {
        let scheme = if self.is_encrypted { "https" } else { "http" };
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{scheme}://{}{path}{mark}{query}", self.connect)
    }
}

/// Parameters as they are sent, by name.
pub fn query(parameters: &[(&'static str, String)]) -> String {
    let mut pairs: Vec<String> = parameters
        .iter()
        .map(|(name, value)| format!("{}={}", encoded(name, b""), encoded(value, b"")))
        .collect();
    pairs.sort_unstable();
    pairs.join("&")
}

/// Percent-encoded, but for letters, digits, `-._~` and what may also stand.
pub fn encoded(text: &str, also: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut out = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) || also.contains(&byte) {
            out.push(byte as char);
        } else {
            out.push('%');
            out.push(DIGITS[usize::from(byte >> 4)] as char);
            out.push(DIGITS[usize::from(byte & 15)] as char);
        }
    }
    out
}

/// The text of what is percent-encoded; none where that is no UTF-8. `plus_is_blank`: as forms have it.
pub fn decoded(text: &str, plus_is_blank: bool) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [byte, after @ ..] = rest {
        let digits = after.get(..2).filter(|_| *byte == b'%');
        let digits = digits.and_then(|digits| std::str::from_utf8(digits).ok());
        let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match decoded {
            Some(byte) => out.push(byte),
            None if *byte == b'+' && plus_is_blank => out.push(b' '),
            None => out.push(*byte),
        }
        rest = if decoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(cloud: Cloud, endpoint: Option<&str>, path_style: bool) -> Result<Address, StoreError> {
        Address::of(&BucketPlace {
            cloud,
            bucket: "usage-1250000001".to_owned(),
            region: "ap-guangzhou".to_owned(),
            endpoint: endpoint.map(ToOwned::to_owned),
            path_style,
        })
    }

    fn uri(cloud: Cloud, endpoint: Option<&str>, path_style: bool) -> (String, String) {
        let address = address(cloud, endpoint, path_style).unwrap();
        let uri = address.uri(&address.path(Some("a/b c")), "");
        (uri, address.host().to_owned())
    }

    #[test]
    fn a_bucket_stands_in_the_name_of_the_host() {
        let of_cos = "usage-1250000001.cos.ap-guangzhou.myqcloud.com";
        assert_eq!(
            uri(Cloud::Cos, None, false),
            (format!("https://{of_cos}/a/b%20c"), of_cos.to_owned())
        );
        let (uri, _) = uri(Cloud::S3, None, false);
        assert_eq!(uri, "https://usage-1250000001.s3.ap-guangzhou.amazonaws.com/a/b%20c");
    }

    #[test]
    fn a_server_of_ones_own_has_the_bucket_in_the_path() {
        assert_eq!(
            uri(Cloud::S3, Some("http://127.0.0.1:9489/"), true),
            (
                "http://127.0.0.1:9489/usage-1250000001/a/b%20c".to_owned(),
                "127.0.0.1:9489".to_owned()
            )
        );
    }

    #[test]
    fn an_endpoint_in_numbers_says_where_to_connect_and_the_host_keeps_its_name() {
        assert_eq!(
            uri(Cloud::Cos, Some("http://127.0.0.1:9489"), false),
            (
                "http://127.0.0.1:9489/a/b%20c".to_owned(),
                "usage-1250000001.cos.ap-guangzhou.myqcloud.com".to_owned()
            )
        );
        let (uri, host) = uri(Cloud::Cos, Some("https://cos.accelerate.example"), false);
        assert_eq!(uri, "https://usage-1250000001.cos.accelerate.example/a/b%20c");
        assert_eq!(host, "usage-1250000001.cos.accelerate.example");
    }

    #[test]
    fn what_is_no_endpoint_is_refused_without_being_shown() {
        let refused = address(Cloud::S3, Some("https://id:pw@s3.example"), true)
            .unwrap_err()
            .to_string();
        assert!(refused.contains("`endpoint`") && !refused.contains("pw"), "{refused}");
    }

    #[test]
    fn keys_are_sent_byte_by_byte_and_come_back() {
        for key in ["a b", "a+b", "a%2Fb", "../x//y/", "用量/é.csv", "&=?#\u{1}"] {
            let sent = encoded(key, b"/");
            assert!(sent.is_ascii() && !sent.contains([' ', '+', '?', '#']), "{sent}");
            assert_eq!(decoded(&sent, true).as_deref(), Some(key));
            assert_eq!(decoded(&sent, false).as_deref(), Some(key));
        }
        assert_eq!(encoded("../x//y/", b"/"), "../x//y/");
        assert_eq!(
            (decoded("a+b", true).unwrap(), decoded("a+b", false).unwrap()),
            ("a b".to_owned(), "a+b".to_owned())
        );
        assert_eq!(decoded("%FF", true), None);
        assert_eq!(decoded("100%", true).as_deref(), Some("100%"));
    }

    #[test]
    fn parameters_stand_in_the_order_of_their_names() {
        let parameters = [("prefix", "a/ b".to_owned()), ("list-type", "2".to_owned())];
        assert_eq!(query(&parameters), "list-type=2&prefix=a%2F%20b");
    }
}
