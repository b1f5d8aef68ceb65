use actix_web::{
    HttpMessage as _, HttpRequest, HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::{Method, StatusCode, header},
};
use mainstay_client::fetch::Coding;
use serde_json::json;

use super::{
    body::{Sent, SentKind},
    coding,
    openapi::Operation,
    problem::ApiError,
};
use crate::service::{Service, ServiceResult, repository::ServedFile, sending::Pieces};

/// What a request bears whose answer is written by somebody who sends files without reading them: where the
/// body is a file's, the answer bears a [`FilePart`](crate::service::sending::FilePart) in place of it.
#[derive(Clone, Copy, Debug)]
pub struct SendsFiles;

/// By what the nginx in front is told which file it is to send.
const X_ACCEL_REDIRECT: &str = "X-Accel-Redirect";

/// What part of a file is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Whole,
    Bytes { start: u64, end: u64 },
    Unsatisfiable,
}

/// A file, or a range of it.
pub(super) struct File;

impl SentKind for File {
    const CONTENT_TYPE: &str = "application/octet-stream";
    const DESCRIPTION: &str = "The file.";

    fn describe(operation: &mut Operation<'_>) {
        operation.header("Range", "One range of bytes; several are answered with the whole file.");
        operation.header("If-Range", "The entity tag of what the range is to be of.");
        operation.header("If-None-Match", "Entity tags of what is there already.");
        operation.header("Accept-Encoding", "Whether metadata may come compressed (`zstd`).");
        let content = json!({ Self::CONTENT_TYPE: {} });
        operation.answer(206, json!({ "description": "The range.", "content": content }));
        operation.answer(304, json!({ "description": "What is there already is this." }));
        operation.answer(416, json!({ "description": "There is nothing in the range." }));
    }
}

/// Sends a file: whole or a range (RFC 9110 §14), metadata compressed for whoever takes that.
pub(super) async fn send(
    service: &Service,
    request: &HttpRequest,
    file: ServedFile,
) -> Result<Sent<File>, ApiError> {
    let mut response = HttpResponse::Ok();
    response
        .insert_header((header::CACHE_CONTROL, "private, no-transform"))
        .content_type("application/octet-stream");
    if service.is_compressible(&file) {
        response.insert_header(coding::VARY);
        // A range is one of the bytes as they are.
        let headers = request.headers();
        if coding::takes_zstd(headers) && !headers.contains_key(header::RANGE) {
            return Ok(send_compressed(service, request, response, file).await?.into());
        }
    }
    Ok(send_stored(service, request, response, file).await?.into())
}

/// Sends the bytes as they are, with their digest as a strong entity tag (RFC 9110 §8.8).
async fn send_stored(
    service: &Service,
    request: &HttpRequest,
    mut response: HttpResponseBuilder,
    file: ServedFile,
) -> ServiceResult<HttpResponse> {
    let tag = format!("\"{}\"", file.sha256);
    response.insert_header((header::ETAG, tag.clone()));
    if is_known(request, &tag) {
        response.insert_header((header::ACCEPT_RANGES, "bytes"));
        return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
    }
    // Of a file that nginx sends it does not know the tag, and so not what `If-Range` asks.
    if !request.headers().contains_key(header::RANGE)
        && let Some(address) = service.accel_address(&file)
    {
        return Ok(response.insert_header((X_ACCEL_REDIRECT, address)).finish());
    }
    response.insert_header((header::ACCEPT_RANGES, "bytes"));
    let unchanged = text(request, &header::IF_RANGE).is_none_or(|known| known == tag);
    let part = match text(request, &header::RANGE).filter(|_| unchanged) {
        Some(range) => part(range, file.length),
        None => Part::Whole,
    };
    let (start, end) = match part {
        Part::Whole => (0, file.length),
        Part::Bytes { start, end } => {
            let range = format!("bytes {start}-{}/{}", end.saturating_sub(1), file.length);
            response.status(StatusCode::PARTIAL_CONTENT);
            response.insert_header((header::CONTENT_RANGE, range));
            (start, end)
        }
        Part::Unsatisfiable => {
            let range = format!("bytes */{}", file.length);
            response.status(StatusCode::RANGE_NOT_SATISFIABLE);
            return Ok(response.insert_header((header::CONTENT_RANGE, range)).finish());
        }
    };
    let mut with_body = |body| response.body(SizedStream::new(end - start, body));
    if request.method() == Method::HEAD || start == end {
        return Ok(with_body(empty()));
    }
    if request.extensions().contains::<SendsFiles>()
        && let Some(part) = service.open_file(&file, start..end).await?
    {
        let mut response = with_body(empty());
        response.extensions_mut().insert(part);
        return Ok(response);
    }
    Ok(with_body(service.read(&file, start..end).await?))
}

/// Sends the file compressed. Its entity tag is a weak one: it says of what this is a form, and
/// another zstd may make other bytes of the same (RFC 9110 §8.8.1, §8.8.3.3).
async fn send_compressed(
    service: &Service,
    request: &HttpRequest,
    mut response: HttpResponseBuilder,
    file: ServedFile,
) -> ServiceResult<HttpResponse> {
    let tag = format!("\"{}\"", file.sha256);
    response.insert_header((header::ETAG, format!("W/{tag}")));
    if is_known(request, &tag) {
        return Ok(response.status(StatusCode::NOT_MODIFIED).finish());
    }
    let bytes = service.compressed(&file).await?;
    response.insert_header((header::CONTENT_ENCODING, Coding::ZSTD));
    if request.method() == Method::HEAD {
        return Ok(response.body(SizedStream::new(bytes.len() as u64, empty())));
    }
    service.measures().sent().inc_by(bytes.len() as u64);
    Ok(response.body(bytes))
}

/// Whether whoever asks has what bears the strong entity tag `tag`, or a form of it. Compared weakly,
/// as RFC 9110 §13.1.2 has it.
fn is_known(request: &HttpRequest, tag: &str) -> bool {
    let is_this = |known: &str| {
        let known = known.trim();
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    };
    text(request, &header::IF_NONE_MATCH).is_some_and(|tags| tags.split(',').any(is_this))
}

fn text<'a>(request: &'a HttpRequest, name: &header::HeaderName) -> Option<&'a str> {
    request.headers().get(name).and_then(|value| value.to_str().ok())
}

fn empty() -> Pieces {
    Box::pin(futures_util::stream::empty())
}

/// Understands one range; several are answered with the whole file, which RFC 9110 §14.2 allows.
fn part(range: &str, length: u64) -> Part {
    let Some((first, last)) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    let part = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(first), Ok(last)) if first <= last => Some((first, last.saturating_add(1).min(length))),
        (Ok(first), Err(_)) if last.trim().is_empty() => Some((first, length)),
        (Err(_), Ok(suffix)) if first.trim().is_empty() => {
            Some((length.saturating_sub(suffix), length))
        }
        _ => None,
    };
    match part {
        None => Part::Whole,
        Some((start, end)) if start < end => Part::Bytes { start, end },
        Some(_) => Part::Unsatisfiable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_understood() {
        for (range, expected) in [
            ("bytes=0-0", Part::Bytes { start: 0, end: 1 }),
            ("bytes=5-", Part::Bytes { start: 5, end: 10 }),
            ("bytes=5-999", Part::Bytes { start: 5, end: 10 }),
            ("bytes=-3", Part::Bytes { start: 7, end: 10 }),
            ("bytes=-99", Part::Bytes { start: 0, end: 10 }),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=4-3", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("lines=0-1", Part::Whole),
            ("bytes=a-b", Part::Whole),
        ] {
            assert_eq!(part(range, 10), expected, "{range}");
        }
    }
}
