use actix_web::http::header::{self, HeaderMap};
use mainstay_client::fetch::Coding;

/// What a resource varies by where it comes compressed to some.
pub(super) const VARY: (header::HeaderName, &str) = (header::VARY, "Accept-Encoding");

/// Whether whoever asks would rather have zstd than the bytes as they are.
pub(super) fn takes_zstd(headers: &HeaderMap) -> bool {
    prefers_zstd(headers.get_all(header::ACCEPT_ENCODING).filter_map(|value| value.to_str().ok()))
}

/// Whether these lines of `Accept-Encoding` say so (RFC 9110 §12.5.3). Who takes anything at all (`*`) may
/// not know zstd, which is younger than most programs.
pub(super) fn prefers_zstd<'a>(lines: impl Iterator<Item = &'a str>) -> bool {
    let (mut zstd, mut identity) = (0.0, 0.0);
    for (name, weight) in lines.flat_map(|line| line.split(',')).map(weighted) {
        if name.eq_ignore_ascii_case(Coding::ZSTD) {
            zstd = weight;
        } else if name.eq_ignore_ascii_case("identity") {
            identity = weight;
        }
    }
    zstd > 0.0 && zstd >= identity
}

/// A coding, and how much it is wished for.
fn weighted(element: &str) -> (&str, f32) {
    let (name, parameter) = element.split_once(';').unwrap_or((element, "q=1"));
    let weight =
        parameter.trim().strip_prefix(['q', 'Q']).and_then(|it| it.trim().strip_prefix('='));
    (name.trim(), weight.and_then(|weight| weight.trim().parse().ok()).unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_names_zstd_gets_it() {
        for (accepted, expected) in [
            ("zstd", true),
            ("ZSTD", true),
            ("gzip, deflate, br, zstd", true),
            ("gzip;q=1.0, zstd ; q=0.5", true),
            ("zstd;q=0.5, identity;q=0.5", true),
            ("", false),
            ("*", false),
            ("gzip", false),
            ("zstd;q=0", false),
            ("zstd;q=0.000, *", false),
            ("zstd;q=0.5, identity", false),
            ("zstd;q=often", false),
            ("zstandard", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCEPT_ENCODING, accepted.parse().unwrap());
            assert_eq!(takes_zstd(&headers), expected, "{accepted}");
        }
        let mut headers = HeaderMap::new();
        assert!(!takes_zstd(&headers));
        for line in ["gzip", "zstd"] {
            headers.append(header::ACCEPT_ENCODING, line.parse().unwrap());
        }
        assert!(takes_zstd(&headers));
    }
}
