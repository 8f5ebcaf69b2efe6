//! What the client's errors mean: whether the topic is read again later or needs a person, and what to do.

use rdkafka::error::RDKafkaErrorCode as Code;

use super::context::Heard;
use crate::sources::fetch::FetchError;

/// What an error asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meaning {
    User,
    Right,
    Topic,
    Certificate,
    Offset,
    Later,
    /// The end of what a client says of a failed connection: what came before it says more.
    AllAway,
}

fn meaning(code: Code, reason: &str) -> Meaning {
    match code {
        Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::UnsupportedSASLMechanism
        | Code::IllegalSASLState => Meaning::User,
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => Meaning::Right,
        Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition | Code::InvalidTopic => {
            Meaning::Topic
        }
        // A connection that ends within the handshake fails as well, and that passes.
        Code::SSL if reason.to_ascii_lowercase().contains("certificate") => Meaning::Certificate,
        Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::LogTruncation => Meaning::Offset,
        Code::AllBrokersDown => Meaning::AllAway,
        _ => Meaning::Later,
    }
}

/// How much an error says, where several are told: what a person must do is never hidden by a connection that ends for it.
pub fn weight(heard: &Heard) -> u8 {
    match meaning(heard.code, &heard.reason) {
        Meaning::AllAway => 0,
        Meaning::Later => 1,
        _ => 2,
    }
}

/// Whether waiting would not help.
pub fn is_for_a_person(heard: &Heard) -> bool {
    !matches!(meaning(heard.code, &heard.reason), Meaning::Later | Meaning::AllAway)
}

/// What an error means for the topic.
pub fn fault_of(heard: &Heard) -> FetchError {
    let Heard { code, reason } = heard;
    let needs_person = |cure: &str| FetchError::NeedsPerson(format!("{reason}: {cure}"));
    match meaning(*code, reason) {
        Meaning::User => {
            needs_person("check `user`, `mechanism`, and the password where `password_file` or `password_env` has it")
        }
        Meaning::Right => needs_person("let the user describe and read the topic"),
        Meaning::Topic => needs_person("create the topic, or correct `topic`; a pull never makes one"),
        Meaning::Certificate => {
            needs_person("check the names in `brokers`, and name the certificates that they come from with `ca_file`")
        }
        Meaning::Offset => needs_person(
            "the topic dropped messages, or was made anew, while it was read; pull again, which says the offsets and what to do",
        ),
        Meaning::Later | Meaning::AllAway => FetchError::Unavailable(format!(
            "{reason}: it is tried again later; check that the brokers are running, and that `brokers` and `tls` are right"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(code: Code, reason: &str) -> FetchError {
        fault_of(&Heard {
            code,
            reason: reason.to_owned(),
        })
    }

    #[test]
    fn what_a_person_must_do_is_told_from_what_passes() {
        for (code, reason, cure) in [
            (Code::Authentication, "no", "`mechanism`"),
            (Code::TopicAuthorizationFailed, "no", "read the topic"),
            (Code::UnknownTopicOrPartition, "no", "correct `topic`"),
            (Code::SSL, "certificate verify failed", "`ca_file`"),
            (Code::AutoOffsetReset, "offset not available", "pull again"),
        ] {
            let fault = fault(code, reason);
            assert!(
                matches!(&fault, FetchError::NeedsPerson(said) if said.contains(cure)),
                "{fault:?}"
            );
        }
        for (code, reason) in [
            (Code::SSL, "handshake failed: disconnected"),
            (Code::BrokerTransportFailure, "connection refused"),
            (Code::AllBrokersDown, "1/1 brokers are down"),
            (Code::NotLeaderForPartition, "no"),
        ] {
            let fault = fault(code, reason);
            assert!(matches!(fault, FetchError::Unavailable(_)), "{fault:?}");
        }
    }

    #[test]
    fn of_several_errors_the_one_that_needs_a_person_says_most() {
        let weight = |code| {
            weight(&Heard {
                code,
                reason: String::new(),
            })
        };
        assert!(weight(Code::AllBrokersDown) < weight(Code::BrokerTransportFailure));
        assert!(weight(Code::BrokerTransportFailure) < weight(Code::Authentication));
    }
}
