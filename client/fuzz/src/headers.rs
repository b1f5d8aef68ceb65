use mainstay_client::fetch::{content_range_start, retry_after};

use super::Seeds;

/// What a header's value says is what stands there in digits, or it says nothing.
pub(crate) fn run(bytes: &[u8]) {
    let Ok(value) = str::from_utf8(bytes) else { return };
    if let Some(start) = content_range_start(value) {
        let said = value.strip_prefix("bytes ").unwrap().split_once('-').unwrap().0;
        assert_eq!(digits(said), start.to_string());
    }
    if let Some(wait) = retry_after(value) {
        assert_eq!(wait.subsec_nanos(), 0);
        assert_eq!(digits(value), wait.as_secs().to_string());
    }
}

/// The number in `text` without what does not change it.
fn digits(text: &str) -> &str {
    let digits = text.trim().trim_start_matches('0');
    if digits.is_empty() { "0" } else { digits }
}

pub(crate) fn seeds() -> Seeds {
    let values = [
        ("range", "bytes 5-9/10"),
        ("unsatisfied", "bytes */10"),
        ("seconds", "120"),
        ("date", "Fri, 31 Dec 1999 23:59:59 GMT"),
        ("too-many", "18446744073709551616"),
    ];
    values.map(|(name, value)| (name, value.as_bytes().to_vec())).into()
}
