use std::{io::IsTerminal as _, time::Duration};

use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};

use super::Document;
use crate::{
    client::{ExpectedWay, Progress},
    document::way_in_words,
};

/// What `--json` asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Json {
    /// One document, at the end.
    Document,
    /// One a line: how far it has come, and at the end what came of it.
    Stream,
}

/// Shows how far a command has come.
pub(super) enum Shown {
    /// To people, on a terminal.
    Bar(ProgressBar),
    /// To programs, as documents.
    Stream(Stream),
    /// To nobody.
    Nothing,
}

impl Shown {
    /// As the command line asks for. A bar is on standard error, where that is a terminal and nobody
    /// wants documents.
    pub(super) fn new(json: Option<Json>) -> Self {
        if json.is_none() && std::io::stderr().is_terminal() {
            return Self::Bar(ProgressBar::no_length());
        }
        Self::unattended(json)
    }

    /// Where nobody watches.
    pub(super) fn unattended(json: Option<Json>) -> Self {
        match json {
            Some(Json::Stream) => Self::Stream(Stream::default()),
            _ => Self::Nothing,
        }
    }

    pub(super) fn tell(&mut self, progress: &Progress) {
        match self {
            Self::Bar(bar) => draw(bar, progress),
            Self::Stream(stream) => {
                if let Some(document) = stream.next(progress) {
                    document.print_json();
                }
            }
            Self::Nothing => {}
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Self::Bar(bar) = self {
            bar.finish_and_clear();
        }
    }
}

/// What of it programs are told: of a download, and of what deltas make, each hundredth once, however
/// small its pieces are.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// How much, and whether it is made.
    percent: Option<(bool, u128)>,
}

impl Stream {
    fn next(&mut self, progress: &Progress) -> Option<Document> {
        let percent = match progress {
            Progress::Downloading { received, length } => {
                Some((false, u128::from(*received) * 100 / u128::from(*length).max(1)))
            }
            Progress::Making { made, length } => {
                Some((true, u128::from(*made) * 100 / u128::from(*length).max(1)))
            }
            Progress::Way(_) | Progress::Installing { .. } => None,
        };
        if percent.is_some() && percent == self.percent {
            return None;
        }
        self.percent = percent;
        Some(Document::of_progress(progress))
    }
}

fn draw(bar: &ProgressBar, progress: &Progress) {
    let count = |doing: &str, done: u64, length: u64| {
        if bar.length() != Some(length) || bar.message() != doing {
            bar.reset();
            bar.set_length(length);
            bar.set_style(style("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}"));
            bar.set_message(doing.to_owned());
        }
        bar.set_position(done);
    };
    match progress {
        Progress::Way(expected) => {
            let ExpectedWay { by, bytes, artifact_bytes } = *expected;
            bar.println(format!("It comes {}", way_in_words(by, bytes, artifact_bytes)));
        }
        Progress::Downloading { received, length } => count("Downloading", *received, *length),
        Progress::Making { made, length } => count("Applying the delta", *made, *length),
        Progress::Installing { version } => {
            bar.set_style(style("{spinner} {msg}"));
            bar.set_message(format!("Installing {version}"));
            bar.enable_steady_tick(Duration::from_millis(100));
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_download_is_told_in_hundredths_and_what_follows_at_once() {
        let mut stream = Stream::default();
        let steps = [0, 1, 999, 1000, 1001, 50_000, 50_500, 99_999, 100_000];
        let downloading = steps.map(|received| Progress::Downloading { received, length: 100_000 });
        let making = [0, 999, 100_000].map(|made| Progress::Making { made, length: 100_000 });
        let installing = Progress::Installing { version: "2.4.1".parse().unwrap() };
        let lines: Vec<_> = downloading
            .iter()
            .chain(&making)
            .chain([&installing])
            .filter_map(|progress| stream.next(progress))
            .map(|document| document.to_json())
            .collect();
        insta::assert_snapshot!(lines.join("\n"), @r#"
        {"outcome":"downloading","received":0,"length":100000}
        {"outcome":"downloading","received":1000,"length":100000}
        {"outcome":"downloading","received":50000,"length":100000}
        {"outcome":"downloading","received":99999,"length":100000}
        {"outcome":"downloading","received":100000,"length":100000}
        {"outcome":"making","received":0,"length":100000}
        {"outcome":"making","received":100000,"length":100000}
        {"outcome":"installing","version_to":"2.4.1"}
        "#);
    }

    #[test]
    fn what_has_no_length_is_told_too() {
        let nothing = Progress::Downloading { received: 0, length: 0 };
        assert!(Stream::default().next(&nothing).is_some());
    }
}
