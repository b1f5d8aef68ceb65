use std::{
    error::Error,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    HttpMessage as _, HttpRequest,
    body::{BodySize, BoxBody, MessageBody},
    dev::ServiceResponse,
    http::{Method, header},
};
use bytes::Bytes;
use jiff::Timestamp;

use crate::{
    access_log::{Access, AccessLog, Answering, shortened},
    clock::Stopwatch,
    service::sending::FilePart,
};

/// Who asks, once that is known: a machine's name, or a token's identifier and label.
pub(super) struct Asks(pub(super) String);

/// The same answer, with which `answering` ends.
pub(super) fn followed(
    mut answer: ServiceResponse<BoxBody>,
    mut answering: Option<Answering>,
) -> ServiceResponse<Followed> {
    if let Some(part) = answer.response_mut().extensions_mut().get_mut::<FilePart>() {
        part.follow(answering.take());
    }
    answer.map_body(|_, body| Followed { body, answering })
}

/// A request that came at `at` and now has its answer, for `log` to note.
pub(super) fn answering_of(
    log: &Arc<AccessLog>,
    answer: &ServiceResponse<BoxBody>,
    at: Timestamp,
    stopwatch: Stopwatch,
) -> Answering {
    let request = answer.request();
    let asks = request.extensions().get::<Asks>().map(|Asks(who)| who.clone());
    let path = request.uri().path_and_query().map_or("", |path| path.as_str());
    let length = match answer.response().body().size() {
        _ if request.method() == Method::HEAD => Some(0),
        BodySize::None => Some(0),
        BodySize::Sized(length) => Some(length),
        BodySize::Stream => None,
    };
    let access = Access {
        at,
        address: request.peer_addr().map(|address| address.ip()),
        who: asks.map(Into::into),
        method: request.method().as_str().into(),
        path: shortened(path),
        status: answer.status().as_u16(),
        bytes: 0,
        broken_off: false,
        took: Duration::ZERO,
        user_agent: user_agent(request).map(shortened),
    };
    log.follow(access, stopwatch, length)
}

fn user_agent(request: &HttpRequest) -> Option<&str> {
    request.headers().get(header::USER_AGENT)?.to_str().ok()
}

/// The body of an answer that is followed to its end.
pub(super) struct Followed {
    body: BoxBody,
    answering: Option<Answering>,
}

impl MessageBody for Followed {
    type Error = Box<dyn Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Self::Error>>> {
        let Self { body, answering } = self.get_mut();
        let next = Pin::new(body).poll_next(context);
        if let (Poll::Ready(piece), Some(answering)) = (&next, answering) {
            match piece {
                Some(Ok(piece)) => answering.note_sent(piece.len() as u64),
                Some(Err(_)) => {}
                None => answering.note_end(),
            }
        }
        next
    }

    /// What is there already has gone as soon as the connection has taken it.
    fn try_into_bytes(self) -> Result<Bytes, Self> {
        let Self { body, mut answering } = self;
        match body.try_into_bytes() {
            Ok(bytes) => {
                if let Some(answering) = &mut answering {
                    answering.note_sent(bytes.len() as u64);
                }
                Ok(bytes)
            }
            Err(body) => Err(Self { body, answering }),
        }
    }
}
