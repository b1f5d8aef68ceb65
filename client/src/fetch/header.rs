//! What the headers of an answer say, for whoever writes a [`Transport`](super::Transport).

use std::time::Duration;

/// The first byte that `Content-Range: bytes <first>-<last>/<length>` names.
pub fn content_range_start(value: &str) -> Option<u64> {
    number(value.strip_prefix("bytes ")?.split_once('-')?.0)
}

/// For how many seconds `Retry-After` asks not to be asked again. Its other form, a date, would be
/// told by a clock that need not be this machine's.
pub fn retry_after(value: &str) -> Option<Duration> {
    number(value).map(Duration::from_secs)
}

/// A number as HTTP writes it: digits alone.
fn number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_says_where_it_starts() {
        assert_eq!(content_range_start("bytes 5-9/10"), Some(5));
        for wrong in ["bytes */10", "lines 5-9/10", "bytes +5-9/10", "bytes -9/10", ""] {
            assert_eq!(content_range_start(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn only_seconds_are_waited_for() {
        assert_eq!(retry_after(" 120 "), Some(Duration::from_mins(2)));
        for other in ["", "-1", "+1", "1.5", "Fri, 31 Dec 1999 23:59:59 GMT"] {
            assert_eq!(retry_after(other), None, "{other}");
        }
    }
}
