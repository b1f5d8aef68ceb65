//! What becomes of a connection.
//!
//! While it asks for what machines ask all the time, and in the way they do ([`begun`]), requests are answered
//! from here: files go out by whatever sends them with the least work ([`Line`]), and a check whose answer
//! holds still is given that without anything else being made of it. From the first other request on the
//! connection is the HTTP service's, which reads that request as if nobody had before. Both have their answers
//! from one application, so that who may have what is decided, counted and written down in one place.

use std::{
    future::{Future, poll_fn, ready},
    io,
    net::{SocketAddr, TcpListener},
    pin::{Pin, pin},
    rc::Rc,
    time::Duration,
};

use actix_http::{
    HttpMessage as _, HttpService, Payload, Protocol, Request, Response, ServiceConfig,
    ServiceConfigBuilder,
    body::{BoxBody, MessageBody as _},
    error::DispatchError,
    h1::{Codec, Message, MessageType},
};
use actix_server::{GracefulShutdownSignal, ServerBuilder};
use actix_service::{
    IntoServiceFactory as _, Service as _, ServiceFactory as _,
    boxed::{self, RcService},
    fn_factory, fn_service,
};
use actix_web::{
    App,
    dev::{AppConfig, ServiceResponse},
    web,
};
use bytes::{Buf as _, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::{
    line::Line,
    request::{Begun, begun},
    rewound::Rewound,
};
use crate::{
    api::{self, SendsFiles},
    limits::Limits,
    service::{Service, sending::FilePart},
};

/// How HTTP/2 begins where nothing has named it (RFC 9113 §3.4): as much as tells it from HTTP/1.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2";
/// How much is read at once, in bytes.
const READ_BYTES: usize = 4 << 10;
/// How long the rest of a request is waited for, before the HTTP service waits for it.
const REST_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a connection may take to end once nothing more is sent on it.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// Has `builder` serve whoever connects to `listener`.
pub(super) fn listen<L: Line>(
    builder: ServerBuilder,
    listener: TcpListener,
    acceptor: L::Acceptor,
    service: web::Data<Service>,
) -> io::Result<ServerBuilder> {
    let shutdown = builder.graceful_shutdown_signal();
    builder.listen("connections", listener, move || {
        let (acceptor, service, shutdown) = (acceptor.clone(), service.clone(), shutdown.clone());
        fn_factory(move || {
            let started =
                Connections::<L>::start(acceptor.clone(), service.clone(), shutdown.clone());
            async move {
                let connections = Rc::new(started.await?);
                let attend = move |stream| Rc::clone(&connections).attend(stream);
                Ok::<_, ()>(fn_service::<_, _, TcpStream, (), io::Error, ()>(attend))
            }
        })
    })
}

/// A connection as the HTTP service takes it.
type Connection<L> = (Rewound<L>, Protocol, Option<SocketAddr>);

/// How far a connection was served.
enum Served {
    /// To its end.
    Whole,
    /// What follows is the HTTP service's.
    Begun,
}

/// The connections of one worker.
struct Connections<L: Line> {
    acceptor: L::Acceptor,
    service: web::Data<Service>,
    answers: RcService<Request, ServiceResponse, actix_web::Error>,
    http: RcService<Connection<L>, (), DispatchError>,
    config: ServiceConfig,
    limits: Limits,
    shutdown: GracefulShutdownSignal,
}

impl<L: Line> Connections<L> {
    async fn start(
        acceptor: L::Acceptor,
        service: web::Data<Service>,
        shutdown: GracefulShutdownSignal,
    ) -> Result<Self, ()> {
        let limits = *service.limits();
        let app = App::new().app_data(service.clone()).configure(api::configure);
        let answers = app.into_factory().new_service(AppConfig::default()).await?;
        let answers = boxed::rc_service(answers);
        let (of_http, signal) = (answers.clone(), shutdown.clone());
        let http = HttpService::<Rewound<L>, _, BoxBody>::build()
            .keep_alive(limits.keep_alive)
            .client_request_timeout(limits.request_head_timeout)
            .client_disconnect_timeout(END_TIMEOUT)
            .graceful_shutdown_signal(move || {
                let signal = signal.clone();
                async move { signal.notified().await }
            })
            .finish::<_, BoxBody>(fn_factory(move || ready(Ok::<_, ()>(of_http.clone()))));
        let http = boxed::rc_service(http.new_service(()).await?);
        let config = ServiceConfigBuilder::new().keep_alive(limits.keep_alive.into()).build();
        Ok(Self { acceptor, service, answers, http, config, limits, shutdown })
    }

    /// Serves a connection to its end.
    async fn attend(self: Rc<Self>, stream: TcpStream) -> io::Result<()> {
        let peer = stream.peer_addr().ok();
        stream.set_nodelay(true)?;
        let accepted = L::accept(&self.acceptor, stream);
        let (mut line, protocol) = timeout(self.limits.request_head_timeout, accepted).await??;
        let mut received = BytesMut::new();
        let is_http1 = !matches!(protocol, Protocol::Http2);
        if is_http1 && let Served::Whole = self.answer_all(&mut line, &mut received, peer).await? {
            return timeout(END_TIMEOUT, line.shutdown()).await?;
        }
        // As if nothing of it had been read.
        let is_http2 = received.starts_with(HTTP2_PREFACE);
        let protocol = if is_http2 { Protocol::Http2 } else { protocol };
        let whole = Rewound::new(received.freeze(), line);
        let served = self.http.call((whole, protocol, peer)).await;
        served.map_err(|error| io::Error::other(error.to_string()))
    }

    /// Answers for as long as nothing else is asked.
    async fn answer_all(
        &self,
        line: &mut L,
        received: &mut BytesMut,
        peer: Option<SocketAddr>,
    ) -> io::Result<Served> {
        let mut codec = Codec::new(self.config.clone());
        let mut patience = self.limits.request_head_timeout;
        let mut stopped = pin!(self.shutdown.notified());
        while !received.is_empty()
            || self.receive(line, received, patience, stopped.as_mut()).await?
        {
            let plain = match begun(received) {
                Begun::Whole(plain) => plain,
                Begun::Part => {
                    if self.receive_rest(line, received, stopped.as_mut()).await? {
                        continue;
                    }
                    return Ok(Served::Begun);
                }
                Begun::Other => return Ok(Served::Begun),
            };
            let length = plain.length;
            let again = plain.check.and_then(|check| {
                let address = peer.map(|peer| peer.ip());
                api::check_again(&self.service, check, &self.config, address)
            });
            if let Some(answer) = again {
                received.advance(length);
                line.write_all(&answer).await?;
                line.flush().await?;
            } else {
                let Some(mut request) =
                    decoded(&mut codec, received.get(..length).unwrap_or_default())
                else {
                    return Ok(Served::Begun);
                };
                received.advance(length);
                if received.is_empty() {
                    // It would hold the memory of the request for as long as the answer takes.
                    *received = BytesMut::new();
                }
                request.head_mut().peer_addr = peer;
                self.answer(&mut codec, line, request).await?;
                if !codec.keep_alive() {
                    break;
                }
            }
            patience = self.limits.keep_alive;
        }
        Ok(Served::Whole)
    }

    /// Whether anything more came: not if the other side has ended the connection or waits for too long, nor
    /// if the server stops.
    async fn receive(
        &self,
        line: &mut L,
        received: &mut BytesMut,
        patience: Duration,
        stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> io::Result<bool> {
        received.reserve(READ_BYTES);
        tokio::select! {
            read = timeout(patience, line.read_buf(received)) => match read {
                Ok(read) => Ok(read? > 0),
                Err(_) => Ok(false),
            },
            () = stopped => Ok(false),
        }
    }

    /// Whether the rest of what has begun came soon.
    async fn receive_rest(
        &self,
        line: &mut L,
        received: &mut BytesMut,
        mut stopped: Pin<&mut impl Future<Output = ()>>,
    ) -> io::Result<bool> {
        let rest = async {
            while self.receive(line, received, REST_TIMEOUT, stopped.as_mut()).await? {
                if !matches!(begun(received), Begun::Part) {
                    return Ok(true);
                }
            }
            Ok(false)
        };
        timeout(REST_TIMEOUT, rest).await.unwrap_or(Ok(false))
    }

    async fn answer(&self, codec: &mut Codec, line: &mut L, request: Request) -> io::Result<()> {
        request.extensions_mut().insert(SendsFiles);
        let mut response: Response<BoxBody> = match self.answers.call(request).await {
            Ok(answer) => answer.into(),
            Err(error) => error.into(),
        };
        let part = response.extensions_mut().remove::<FilePart>();
        let (response, body) = response.into_parts();
        let mut head = BytesMut::new();
        codec.encode(Message::Item((response, body.size())), &mut head)?;
        match part {
            None => send_body(codec, line, head, body).await,
            Some(part) => {
                drop(body);
                let sent = line.send(head, part).await;
                sent.inspect_err(|error| {
                    if error.kind() == io::ErrorKind::UnexpectedEof {
                        tracing::error!(%error, "a file is shorter than it was, and was not sent");
                    }
                })
            }
        }
    }
}

/// The request that `bytes` are, as the application takes it. Nothing where they are anything else to the HTTP
/// service.
fn decoded(codec: &mut Codec, bytes: &[u8]) -> Option<Request> {
    let mut rest = BytesMut::from(bytes);
    let Ok(Some(Message::Item(request))) = codec.decode(&mut rest) else { return None };
    if codec.message_type() == MessageType::None {
        return rest.is_empty().then_some(request);
    }
    let Ok(Some(Message::Chunk(Some(body)))) = codec.decode(&mut rest) else { return None };
    let Ok(Some(Message::Chunk(None))) = codec.decode(&mut rest) else { return None };
    let (request, _) = request.replace_payload(Payload::from(body));
    rest.is_empty().then_some(request)
}

async fn send_body<L: Line>(
    codec: &mut Codec,
    line: &mut L,
    mut begun: BytesMut,
    body: BoxBody,
) -> io::Result<()> {
    let mut body = pin!(body);
    while let Some(piece) = poll_fn(|context| body.as_mut().poll_next(context)).await {
        let piece = piece.map_err(|error| io::Error::other(error.to_string()))?;
        codec.encode(Message::Chunk(Some(piece)), &mut begun)?;
        line.write_all(&begun).await?;
        begun.clear();
    }
    codec.encode(Message::Chunk(None), &mut begun)?;
    line.write_all(&begun).await?;
    line.flush().await
}
