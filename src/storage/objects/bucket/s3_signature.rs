//! Signatures of S3: AWS Signature Version 4, in headers. Pure.

use chrono::{DateTime, Utc};
use ring::hmac;

use super::super::Keys;
use super::Ask;
use crate::values::digest::{hex, sha256_hex};

/// What a signature holds for.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    pub region: &'a str,
    pub host: &'a str,
    pub now: DateTime<Utc>,
}

/// The headers that sign a request. `path` and `query` are as they are sent.
pub fn headers(keys: &Keys, scope: &Scope, ask: &Ask, path: &str, query: &str) -> Vec<(&'static str, String)> {
    let digest = sha256_hex(&ask.body);
    let time = scope.now.format("%Y%m%dT%H%M%SZ").to_string();
    let mut headers = vec![
        ("host", scope.host.to_owned()),
        ("x-amz-content-sha256", digest.clone()),
        ("x-amz-date", time.clone()),
    ];
    if let Some(token) = &keys.token {
        headers.push(("x-amz-security-token", token.clone()));
    }
    // S3 wants each header of its own to be signed. Those that the request has already are not sent twice.
    let own = headers.len();
    headers.extend(
        ask.headers
            .iter()
            .filter(|(name, _)| name.starts_with("x-amz-"))
            .cloned(),
    );
    let added: Vec<&str> = headers[own..].iter().map(|(name, _)| *name).collect();
    headers.sort_unstable_by_key(|(name, _)| *name);
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = headers
        .iter()
        .map(|(name, value)| format!("{name}:{}\n", value.trim()))
        .collect();
    let method = ask.method.name();
    let request = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{digest}");
    headers.retain(|(name, _)| !added.contains(name));
    let day = &time[..8];
    let place = format!("{day}/{}/s3/aws4_request", scope.region);
    let text = format!("AWS4-HMAC-SHA256\n{time}\n{place}\n{}", sha256_hex(request.as_bytes()));
    let signature = hex(&mac(&signing_key(&keys.secret, day, scope.region), text.as_bytes()));
    let id = &keys.id;
    headers.push((
        "authorization",
        format!("AWS4-HMAC-SHA256 Credential={id}/{place}, SignedHeaders={names}, Signature={signature}"),
    ));
    headers
}

fn signing_key(secret: &str, day: &str, region: &str) -> Vec<u8> {
    let first = format!("AWS4{secret}").into_bytes();
    [day, region, "s3", "aws4_request"]
        .iter()
        .fold(first, |key, part| mac(&key, part.as_bytes()))
}

fn mac(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, bytes).as_ref().to_vec()
}

#[cfg(test)]
mod tests {
    use super::super::http::Method;
    use super::*;

    /// The example that Amazon publishes for a listing.
    #[test]
    fn a_signature_is_the_one_of_the_example_that_amazon_publishes() {
        let keys = Keys {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".to_owned(),
            token: None,
        };
        let scope = Scope {
            region: "us-east-1",
            host: "examplebucket.s3.amazonaws.com",
            now: "2013-05-24T00:00:00Z".parse().unwrap(),
        };
        let ask = Ask {
            query: vec![("max-keys", "2".to_owned()), ("prefix", "J".to_owned())],
            ..Ask::get(None)
        };
        assert_eq!(ask.method, Method::Get);
        let signed = headers(&keys, &scope, &ask, "/", "max-keys=2&prefix=J");
        let (_, authorization) = signed.last().unwrap();
        assert_eq!(
            authorization,
            "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, \
             SignedHeaders=host;x-amz-content-sha256;x-amz-date, \
             Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        );
    }
}
