//! The address of a server as a definition gives it: a scheme, a host, a port and a path. It is stored and shown, so it may hold no secret.

use std::net::IpAddr;

/// An address without user, password and options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub scheme: String,
    /// A name or a number; an IPv6 number without its brackets.
    pub host: String,
    pub port: Option<u16>,
    /// What follows the host, with the slash before it; empty where there is nothing.
    pub path: String,
}

impl Address {
    /// Reads the address that a key of a definition gives.
    ///
    /// # Errors
    /// A sentence that names the key and the cure. It repeats the address only where no part of it can be a password.
    pub fn read(key: &str, text: &str, schemes: &[&str]) -> Result<Self, String> {
        if text.contains('@') {
            return Err(format!(
                "`{key}` has a user or a password (a part before `@`); remove it: a password stands in a file or an environment \
                 variable, which another key names"
            ));
        }
        if text.contains(['?', '#']) {
            return Err(format!(
                "`{key}` has options (after `?` or `#`); write the address without them"
            ));
        }
        let expected = schemes.join("://, ");
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(format!(
                "`{key}` is {text:?}; an address that begins with {expected}:// is expected"
            ));
        };
        if !schemes.contains(&scheme) {
            return Err(format!("`{key}` begins with {scheme}://; {expected}:// is expected"));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = host_and_port(authority)
            .ok_or_else(|| format!("`{key}` is {text:?}, without a host and a port that are well formed"))?;
        Ok(Self {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            port,
            path: path.to_owned(),
        })
    }

    /// Whether it is this machine.
    pub fn is_loopback(&self) -> bool {
        self.host == "localhost" || self.host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The host, and the port where it is not the usual one: as an HTTP request names the server.
    pub fn authority(&self, usual_port: u16) -> String {
        let host = if self.host.contains(':') {
            format!("[{}]", self.host)
        } else {
            self.host.clone()
        };
        match self.port {
            Some(port) if port != usual_port => format!("{host}:{port}"),
            _ => host,
        }
    }
}

fn host_and_port(authority: &str) -> Option<(&str, Option<u16>)> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        let is_number = host.parse::<std::net::Ipv6Addr>().is_ok();
        (is_number.then_some(host)?, after)
    } else {
        let (host, port) = authority.split_at(authority.find(':').unwrap_or(authority.len()));
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
        (
            (!host.is_empty() && host.chars().all(is_of_name)).then_some(host)?,
            port,
        )
    };
    match port.strip_prefix(':') {
        None => port.is_empty().then_some((host, None)),
        Some(digits) => Some((host, Some(digits.parse().ok()?))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_scheme_a_host_a_port_and_a_path() {
        let read = |text| Address::read("url", text, &["amqp", "amqps"]);
        let address = read("amqps://broker.example:5671/billing").unwrap();
        assert_eq!(
            (&*address.host, address.port, &*address.path),
            ("broker.example", Some(5671), "/billing")
        );
        assert_eq!(address.authority(5671), "broker.example");
        assert_eq!(address.authority(80), "broker.example:5671");
        let six = read("amqp://[::1]:5672").unwrap();
        assert!(six.is_loopback() && six.authority(80) == "[::1]:5672");
        assert!(read("amqp://127.0.0.1").unwrap().is_loopback());
        for wrong in [
            "broker.example",
            "http://broker.example",
            "amqp://",
            "amqp://a:b",
            "amqp://a:70000",
            "amqp://[::1",
            "amqp://a b",
        ] {
            assert!(read(wrong).unwrap_err().starts_with("`url` "), "{wrong}");
        }
    }

    #[test]
    fn an_address_with_a_secret_is_refused_and_not_repeated() {
        for text in [
            "amqp://user:hunter2@broker",
            "amqp://hunter2@broker",
            "amqp://broker/?password=hunter2",
            "amqp://broker#hunter2",
        ] {
            let refused = Address::read("url", text, &["amqp"]).unwrap_err();
            assert!(refused.contains("`url`") && !refused.contains("hunter2"), "{refused}");
        }
    }
}
