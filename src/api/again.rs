use std::{fmt::Write as _, net::IpAddr};

use actix_http::ServiceConfig;
use bytes::BytesMut;

use super::{auth::borne_token, body::headers_of_encoded, coding::prefers_zstd};
use crate::{
    access_log::{Access, shortened},
    clock::Stopwatch,
    measures::RouteClass,
    service::{
        Service,
        answer::{Encoded, Question, Text},
    },
};

/// How long a head is at most, about, in bytes.
const HEAD_BYTES: usize = 192;

/// A check that was read whole, in HTTP/1.1, whose head says nothing unusual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainCheck<'a> {
    /// The value of `Authorization`.
    pub authorization: &'a str,
    /// The value of `Accept-Encoding`.
    pub accept_encoding: Option<&'a str>,
    /// The value of `User-Agent`.
    pub user_agent: Option<&'a str>,
    /// The body.
    pub body: &'a [u8],
}

/// The answer in HTTP/1.1 to a check that is to be answered as the one before it. Nothing has happened where
/// there is none: the routes are to answer, whatever they say to it. It is noted as sent.
pub fn check_again(
    service: &Service,
    check: PlainCheck<'_>,
    config: &ServiceConfig,
    address: Option<IpAddr>,
) -> Option<BytesMut> {
    let (stopwatch, now) = (Stopwatch::start(), service.now());
    let last = service.last_answer(borne_token(check.authorization)?, now)?;
    let takes_zstd = prefers_zstd(check.accept_encoding.into_iter());
    let question = Question { body: check.body, takes_zstd };
    if !last.answers(question) {
        return None;
    }
    service.require_pace_again(&last, now).ok()?;
    let encoded = service.answer_again(&last, question, now)?;
    let answer = written(encoded, config);
    let took = stopwatch.elapsed();
    service.measures().answered(RouteClass::Check, 200, took);
    if let Some(log) = service.access_log() {
        log.note(&Access {
            at: now,
            address,
            who: Some(last.machine().as_str().into()),
            method: "POST".into(),
            path: "/v1/check".into(),
            status: 200,
            bytes: encoded.body.length() as u64,
            broken_off: false,
            took,
            user_agent: check.user_agent.map(shortened),
        });
    }
    Some(answer)
}

/// The same as [`ok_encoded`](super::body::ok_encoded) says it.
fn written(Encoded { body, is_zstd }: Encoded<&Text>, config: &ServiceConfig) -> BytesMut {
    let mut answer = BytesMut::with_capacity(HEAD_BYTES + body.length());
    answer.extend_from_slice(b"HTTP/1.1 200 OK\r\n");
    for (name, value) in headers_of_encoded(is_zstd) {
        for part in [name.as_str(), ": ", value, "\r\n"] {
            answer.extend_from_slice(part.as_bytes());
        }
    }
    // There is room for whatever is written.
    let _written = write!(answer, "content-length: {}\r\n", body.length());
    config.write_date_header(&mut answer, false);
    answer.extend_from_slice(b"\r\n");
    body.append_to(&mut answer);
    answer
}

#[cfg(test)]
mod tests {
    use std::{fs, net::Ipv4Addr, sync::Arc};

    use actix_http::ServiceConfigBuilder;
    use actix_web::{Responder as _, test::TestRequest};
    use mainstay_client::format::{
        Channel,
        wire::{CheckRequest, CheckResponse, KnownMetadata},
    };
    use prometheus_client::metrics::counter::Counter;
    use tokio::task::LocalSet;

    use super::*;
    use crate::{
        access_log::{AccessLog, AccessLogRules},
        api::body::ok_encoded,
        clock::Clock,
        policy::Tier,
        service::{
            answer::Answered,
            tests::world::{World, after_days, platform, product},
        },
    };

    const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[tokio::test]
    async fn an_answer_is_given_again_as_it_was_given_and_no_more_often_than_allowed() {
        let world = World::new().await;
        world.publish(0, Channel::Major, "1.0.0").await.unwrap();
        let key = world.customer("globex", Tier::Basic).await;
        let token = world.enroll(&key, 7).await.unwrap().token;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let rules = AccessLogRules { path: path.clone(), file_bytes: u64::MAX, files: 1 };
        let log = Arc::new(AccessLog::open(rules, Counter::default()).unwrap());
        let service = world.by(Clock::fixed(after_days(1))).with_access_log(Some(Arc::clone(&log)));
        let machine = service.authenticate_machine(&token).await.unwrap();
        let name = machine.name.to_string();
        let request = CheckRequest {
            product: product(),
            platform: platform(),
            running: None,
            known: KnownMetadata { root: 1, ..KnownMetadata::default() },
            agent: "test".to_owned(),
            facts: None,
            waits: None,
        };
        let Answered { response, holds } = service.answer_check(machine, &request).await.unwrap();
        let given = Encoded { body: response.plan.into(), is_zstd: true };
        let question = Question { body: b"a", takes_zstd: true };
        service.keep_answer(&token, question, &given, holds.unwrap());

        let authorization = format!("Bearer {token}");
        let check = PlainCheck {
            authorization: &authorization,
            accept_encoding: Some("zstd"),
            user_agent: Some("test/1"),
            body: question.body,
        };
        let others = [
            PlainCheck { authorization: &token, ..check },
            PlainCheck { authorization: "Bearer mmt_another", ..check },
            PlainCheck { accept_encoding: None, ..check },
            PlainCheck { body: b"b", ..check },
        ];
        let again = async {
            let config = ServiceConfigBuilder::new().build();
            let ask = |check| check_again(&service, check, &config, Some(ADDRESS));
            // What is not answered does not count.
            assert!(others.into_iter().cycle().take(2000).all(|other| ask(other).is_none()));
            std::iter::from_fn(|| ask(check)).collect::<Vec<_>>()
        };
        let again = LocalSet::new().run_until(again).await;
        assert_eq!(again.len(), service.limits().machine_requests_at_once as usize);

        let text = again[0].escape_ascii().to_string();
        let (head, body) = text.split_once("\\r\\n\\r\\n").unwrap();
        assert_eq!(body, given.body.escape_ascii().to_string());
        let by_route = ok_encoded::<CheckResponse>(given.clone());
        let by_route = by_route.respond_to(&TestRequest::default().to_http_request());
        let mut expected: Vec<_> = by_route.headers().iter().collect();
        expected.sort_by_key(|(name, _)| name.as_str());
        let length = given.body.len().to_string();
        let mut lines: Vec<_> =
            head.split("\\r\\n").filter_map(|line| line.split_once(": ")).collect();
        lines.retain(|(name, value)| {
            *name != "date" && (*name, *value) != ("content-length", &*length)
        });
        lines.sort_unstable();
        let expected: Vec<_> =
            expected.iter().map(|(name, value)| (name.as_str(), value.to_str().unwrap())).collect();
        assert_eq!(lines, expected);

        let mut told = String::new();
        service.measures().encode(&mut told).unwrap();
        let counted =
            format!("mainstay_requests_total{{route=\"check\",status=\"2xx\"}} {}\n", again.len());
        assert!(told.contains(&counted), "{told}");
        log.write();
        let line = format!(
            "{{\"at\":\"{}\",\"address\":\"{ADDRESS}\",\"who\":\"{name}\",\"method\":\"POST\",\
             \"path\":\"/v1/check\",\"status\":200,\"bytes\":{length},\"microseconds\":",
            after_days(1)
        );
        let written = fs::read_to_string(path).unwrap();
        assert_eq!(written.matches(&line).count(), again.len(), "{written}");
        assert_eq!(written.lines().count(), again.len());
    }
}
