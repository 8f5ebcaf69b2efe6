//! Endpoints: where a server of objects is, as people write it. Pure.

use std::net::IpAddr;

/// What an endpoint must be, for messages.
pub const WANTED: &str = "http:// or https:// with a host and perhaps a port, such as https://s3.example:9000";

/// A server, and whether what is sent to it is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint<'a> {
    pub is_encrypted: bool,
    /// The host, and the port where there is one.
    pub at: &'a str,
}

impl<'a> Endpoint<'a> {
    /// None where the text is no endpoint: it must not be shown then, for it may have a password in it.
    pub fn parse(text: &'a str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let at = rest.strip_suffix('/').unwrap_or(rest);
        let is_of_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:[]".contains(&byte);
        let is_encrypted = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        (!at.is_empty() && at.bytes().all(is_of_host)).then_some(Self { is_encrypted, at })
    }

    fn host(&self) -> &'a str {
        match self.at.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or(rest),
            None => self.at.split(':').next().unwrap_or(self.at),
        }
    }

    /// Whether it is an address in numbers, or this machine: no name of a bucket can stand before it.
    pub fn is_number(&self) -> bool {
        self.host() == "localhost" || self.host().parse::<IpAddr>().is_ok()
    }

    /// Whether it is this machine, in a private network, or has a name that only such a network knows.
    pub fn is_inside(&self) -> bool {
        match self.host().parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => address.is_loopback() || address.is_private() || address.is_link_local(),
            Ok(IpAddr::V6(address)) => address.is_loopback() || address.is_unique_local(),
            Err(_) => {
                let (before, last) = self.host().rsplit_once('.').unwrap_or_default();
                before.is_empty() || last == "internal" || last == "local"
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_scheme_a_host_and_perhaps_a_port() {
        let endpoint = Endpoint::parse("https://s3.example:9000/").unwrap();
        assert!(endpoint.is_encrypted && endpoint.at == "s3.example:9000" && !endpoint.is_number());
        for wrong in [
            "s3.example",
            "ftp://s3.example",
            "https://",
            "https://id:pw@s3.example",
            "https://s3.example/path",
        ] {
            assert_eq!(Endpoint::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_is_inside_a_house_is_told_from_the_open_network() {
        for inside in [
            "127.0.0.1:9489",
            "10.0.0.7",
            "[::1]:9000",
            "minio:9000",
            "localhost",
            "s3.internal",
        ] {
            assert!(
                Endpoint::parse(&format!("http://{inside}")).unwrap().is_inside(),
                "{inside}"
            );
        }
        for outside in ["8.8.8.8", "cos.example.com", "[2001:db8::1]:80"] {
            assert!(
                !Endpoint::parse(&format!("http://{outside}")).unwrap().is_inside(),
                "{outside}"
            );
        }
    }
}
