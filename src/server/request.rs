//! Requests that are answered where a connection is looked at.

use httparse::{Header, Status};

use crate::api::PlainCheck;

/// How requests begin that machines send all the time.
const BEGINNINGS: [&[u8]; 4] =
    [b"GET /repo/", b"HEAD /repo/", b"POST /v1/check ", b"POST /v1/report "];
/// How long such a request is at most, head and body, in bytes.
const REQUEST_BYTES_MAX: usize = 32 << 10;
/// How many headers it has at most.
const HEADERS_MAX: usize = 32;
/// Headers of requests that do not end with their bodies, or whose bodies do not come by themselves.
const UNUSUAL: [&str; 3] = ["Transfer-Encoding", "Expect", "Upgrade"];

/// What has been received of a request.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Begun<'a> {
    /// All of it.
    Whole(Plain<'a>),
    /// The beginning of what may become one that is answered here.
    Part,
    /// What is not answered here.
    Other,
}

/// A request that is answered here. It has a body where its method has one, whose length is said ahead, and
/// no header twice that is looked at here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plain<'a> {
    /// How many bytes it has, head and body.
    pub(super) length: usize,
    /// The check that it is, where its head says nothing unusual.
    pub(super) check: Option<PlainCheck<'a>>,
}

/// With what `received` begins.
pub(super) fn begun(received: &[u8]) -> Begun<'_> {
    if !BEGINNINGS.iter().any(|beginning| received.starts_with(beginning)) {
        let may_become = BEGINNINGS.iter().any(|beginning| beginning.starts_with(received));
        return if may_become { Begun::Part } else { Begun::Other };
    }
    let mut headers = [httparse::EMPTY_HEADER; HEADERS_MAX];
    let mut request = httparse::Request::new(&mut headers);
    match request.parse(received) {
        Ok(Status::Complete(head_length)) => whole(received, head_length, &request),
        Ok(Status::Partial) if received.len() < REQUEST_BYTES_MAX => Begun::Part,
        Ok(Status::Partial) | Err(_) => Begun::Other,
    }
}

fn whole<'a>(
    received: &'a [u8],
    head_length: usize,
    request: &httparse::Request<'_, 'a>,
) -> Begun<'a> {
    let Some(head) = Head::of(request.headers) else { return Begun::Other };
    let body_length = match (request.method == Some("POST"), head.content_length) {
        (true, Some(length)) => number(length),
        (false, None) => Some(0),
        (true, None) | (false, Some(_)) => None,
    };
    let length = body_length.and_then(|body_length| head_length.checked_add(body_length));
    let Some(length) = length.filter(|length| *length <= REQUEST_BYTES_MAX) else {
        return Begun::Other;
    };
    let Some(body) = received.get(head_length..length) else { return Begun::Part };
    let is_check = request.path == Some("/v1/check") && request.version == Some(1);
    let check = is_check.then(|| head.check(body)).flatten();
    Begun::Whole(Plain { length, check })
}

/// The headers that are looked at here.
#[derive(Default)]
struct Head<'a> {
    host: Option<&'a [u8]>,
    connection: Option<&'a [u8]>,
    content_length: Option<&'a [u8]>,
    authorization: Option<&'a [u8]>,
    accept_encoding: Option<&'a [u8]>,
    user_agent: Option<&'a [u8]>,
}

impl<'a> Head<'a> {
    /// Nothing where one of them is there twice, or another is unusual.
    fn of(headers: &[Header<'a>]) -> Option<Self> {
        let mut head = Self::default();
        for header in headers {
            let is = |name: &str| header.name.eq_ignore_ascii_case(name);
            let place = if is("Host") {
                &mut head.host
            } else if is("Connection") {
                &mut head.connection
            } else if is("Content-Length") {
                &mut head.content_length
            } else if is("Authorization") {
                &mut head.authorization
            } else if is("Accept-Encoding") {
                &mut head.accept_encoding
            } else if is("User-Agent") {
                &mut head.user_agent
            } else if UNUSUAL.into_iter().any(is) {
                return None;
            } else {
                continue;
            };
            if place.replace(header.value).is_some() {
                return None;
            }
        }
        Some(head)
    }

    fn check(&self, body: &'a [u8]) -> Option<PlainCheck<'a>> {
        self.host?;
        let is_kept = self.connection.is_none_or(|it| it.eq_ignore_ascii_case(b"keep-alive"));
        let authorization = text(self.authorization?).filter(|_| is_kept)?;
        Some(PlainCheck {
            authorization,
            accept_encoding: self.accept_encoding.and_then(text),
            user_agent: self.user_agent.and_then(text),
            body,
        })
    }
}

fn text(value: &[u8]) -> Option<&str> {
    std::str::from_utf8(value).ok().filter(|text| text.is_ascii())
}

/// A number without a sign.
fn number(value: &[u8]) -> Option<usize> {
    text(value).filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BODY: &str = "{\"known\":1}";

    fn check(headers: &str) -> String {
        let length = BODY.len();
        format!(
            "POST /v1/check HTTP/1.1\r\nHost: test\r\nAuthorization: Bearer a\r\n{headers}\
             Content-Length: {length}\r\n\r\n{BODY}"
        )
    }

    #[test]
    fn a_request_is_known_once_it_is_whole() {
        let text = check("Accept-Encoding: zstd\r\nUser-Agent: test/1\r\n");
        for length in 1..text.len() {
            assert_eq!(begun(&text.as_bytes()[..length]), Begun::Part, "{length} bytes");
        }
        let plain = PlainCheck {
            authorization: "Bearer a",
            accept_encoding: Some("zstd"),
            user_agent: Some("test/1"),
            body: BODY.as_bytes(),
        };
        for behind in ["", "P", "GET / HTTP/1.1\r\n\r\n"] {
            let received = text.clone() + behind;
            let whole = Begun::Whole(Plain { length: text.len(), check: Some(plain) });
            assert_eq!(begun(received.as_bytes()), whole);
        }
    }

    #[test]
    fn what_is_unusual_is_not_answered_here() {
        let post = |headers: &str| {
            check("").replace(&format!("Content-Length: {}\r\n", BODY.len()), headers)
        };
        for text in [
            check("Transfer-Encoding: chunked\r\n"),
            check("expect: 100-continue\r\n"),
            check("Upgrade: websocket\r\n"),
            check("Content-Length: 1\r\n"),
            check("Authorization: Bearer b\r\n"),
            check("Host: other\r\n"),
            check("User-Agent: a\r\nuser-agent: b\r\n"),
            check("Accept-Encoding: gzip\r\nAccept-Encoding: zstd\r\n"),
            check(&"A: b\r\n".repeat(HEADERS_MAX)),
            check("a b: c\r\n"),
            post(""),
            post("Content-Length: +13\r\n"),
            post("Content-Length: -1\r\n"),
            post("Content-Length: \r\n"),
            post("Content-Length: 18446744073709551615\r\n"),
            post("Content-Length: 99999999999999999999999\r\n"),
            post("Content-Length: 33000\r\n"),
            check(&format!("A: {}\r\n", "b".repeat(REQUEST_BYTES_MAX))),
            check("").replace("/v1/check", "/v1/checks"),
            check("").replace("POST", "GET"),
            "GET /repo/a HTTP/1.1\r\nContent-Length: 1\r\n\r\na".to_owned(),
            "PUT /repo/a HTTP/1.1\r\n".to_owned(),
            "PRI * HTTP/2.0\r\n\r\n".to_owned(),
            "\r\n".to_owned() + &check(""),
        ] {
            assert_eq!(begun(text.as_bytes()), Begun::Other, "{text}");
        }
    }

    #[test]
    fn what_has_no_plain_head_is_no_plain_check() {
        for text in [
            check("Connection: close\r\n"),
            check("").replace("HTTP/1.1", "HTTP/1.0"),
            check("").replace("/v1/check", "/v1/report"),
            check("").replace("Host: test\r\n", ""),
            check("").replace("Authorization", "Authorisation"),
            check("").replace("Bearer a", "Bearer ä"),
        ] {
            let Begun::Whole(plain) = begun(text.as_bytes()) else { panic!("{text}") };
            assert_eq!((plain.length, plain.check), (text.len(), None), "{text}");
        }
        for text in [check("Connection: Keep-Alive\r\n"), check("Accept-Encoding: ä\r\n")] {
            let Begun::Whole(plain) = begun(text.as_bytes()) else { panic!("{text}") };
            assert!(plain.check.is_some_and(|check| check.accept_encoding.is_none()), "{text}");
        }
        let file = b"HEAD /repo/a HTTP/1.0\r\n\r\nGET";
        assert_eq!(begun(file), Begun::Whole(Plain { length: file.len() - 3, check: None }));
    }
}
