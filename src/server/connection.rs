//! What becomes of a connection.
//!
//! While it asks for files of repositories, requests are answered from here, and files go out by whatever
//! sends them with the least work ([`Line`]). From the first other request on the connection is the HTTP
//! service's, which reads that request as if nobody had before. Both have their answers from one application,
//! so that who may have what is decided, counted and written down in one place.

use std::{
    future::{poll_fn, ready},
    io,
    net::{SocketAddr, TcpListener},
    pin::pin,
    rc::Rc,
    time::Duration,
};

use actix_http::{
    HttpMessage as _, HttpService, Protocol, Request, Response, ServiceConfig,
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
    http::header,
    web,
};
use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_util::codec::{Decoder as _, Encoder as _};

use super::{line::Line, rewound::Rewound};
use crate::{
    api::{self, SendsFiles},
    limits::Limits,
    service::{Service, sending::FilePart},
};

/// How HTTP/2 begins where nothing has named it (RFC 9113 §3.4): as much as tells it from HTTP/1.
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2";
/// How requests for files of repositories begin.
const FILE_REQUESTS: [&[u8]; 2] = [b"GET /repo/", b"HEAD /repo/"];
/// How much of a request is read before it is known what it is for, in bytes.
const LOOK_BYTES: usize = 4 << 10;
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

/// The connections of one worker.
struct Connections<L: Line> {
    acceptor: L::Acceptor,
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
        let app = App::new().app_data(service).configure(api::configure);
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
        Ok(Self { acceptor, answers, http, config, limits, shutdown })
    }

    /// Serves a connection to its end.
    async fn attend(self: Rc<Self>, stream: TcpStream) -> io::Result<()> {
        let peer = stream.peer_addr().ok();
        stream.set_nodelay(true)?;
        let accepted = L::accept(&self.acceptor, stream);
        let (line, protocol) = timeout(self.limits.request_head_timeout, accepted).await??;
        match protocol {
            Protocol::Http2 => self.hand_over(BytesMut::new(), line, protocol, peer).await,
            _ => self.send_files(line, peer).await,
        }
    }

    /// Answers for as long as files are asked for.
    async fn send_files(&self, mut line: L, peer: Option<SocketAddr>) -> io::Result<()> {
        let mut codec = Codec::new(self.config.clone());
        let mut received = BytesMut::new();
        let mut patience = self.limits.request_head_timeout;
        while !received.is_empty() || self.receive(&mut line, &mut received, patience).await? {
            let Some(mut request) = file_request(&mut codec, &mut received) else {
                let is_http2 = received.starts_with(HTTP2_PREFACE);
                let protocol = if is_http2 { Protocol::Http2 } else { Protocol::Http1 };
                return self.hand_over(received, line, protocol, peer).await;
            };
            request.head_mut().peer_addr = peer;
            self.answer(&mut codec, &mut line, request).await?;
            if !codec.keep_alive() {
                break;
            }
            patience = self.limits.keep_alive;
        }
        timeout(END_TIMEOUT, line.shutdown()).await?
    }

    /// Whether anything more came: not if the other side has ended the connection or waits for too long, nor
    /// if the server stops.
    async fn receive(
        &self,
        line: &mut L,
        received: &mut BytesMut,
        patience: Duration,
    ) -> io::Result<bool> {
        received.reserve(LOOK_BYTES);
        tokio::select! {
            read = timeout(patience, line.read_buf(received)) => match read {
                Ok(read) => Ok(read? > 0),
                Err(_) => Ok(false),
            },
            () = self.shutdown.notified() => Ok(false),
        }
    }

    /// Leaves a connection to the HTTP service, as if nothing of it had been read.
    async fn hand_over(
        &self,
        received: BytesMut,
        line: L,
        protocol: Protocol,
        peer: Option<SocketAddr>,
    ) -> io::Result<()> {
        let whole = Rewound::new(received.freeze(), line);
        let served = self.http.call((whole, protocol, peer)).await;
        served.map_err(|error| io::Error::other(error.to_string()))
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

/// The request for a file with which `received` begins, which is taken out of it. Nothing where it begins
/// with anything else, with a request that has not arrived whole, or with one that brings or expects more.
fn file_request(codec: &mut Codec, received: &mut BytesMut) -> Option<Request> {
    if !FILE_REQUESTS.iter().any(|begin| received.starts_with(begin)) {
        return None;
    }
    // What is not taken is to be as it came.
    let mut rest = received.clone();
    let Ok(Some(Message::Item(request))) = codec.decode(&mut rest) else { return None };
    if codec.message_type() != MessageType::None || request.headers().contains_key(header::EXPECT) {
        return None;
    }
    // An empty rest would hold the memory of the request for as long as the answer takes.
    *received = if rest.is_empty() { BytesMut::new() } else { rest };
    Some(request)
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
