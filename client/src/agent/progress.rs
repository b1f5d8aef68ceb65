use std::{io::IsTerminal as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};

use crate::client::Progress;

/// Shows on a terminal how far an update has come, and nothing elsewhere.
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar on standard error, where that is a terminal and nobody wants a document.
    pub(super) fn new(json: bool) -> Self {
        let is_seen = !json && std::io::stderr().is_terminal();
        Self(if is_seen { ProgressBar::no_length() } else { ProgressBar::hidden() })
    }

    pub(super) fn show(&self, progress: &Progress) {
        match progress {
            Progress::Downloading { received, length } => {
                if self.0.length() != Some(*length) {
                    self.0.set_length(*length);
                    self.0.set_style(style(
                        "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta}",
                    ));
                    self.0.set_message("Downloading");
                }
                self.0.set_position(*received);
            }
            Progress::Installing { version } => {
                self.0.set_style(style("{spinner} {msg}"));
                self.0.set_message(format!("Installing {version}"));
                self.0.enable_steady_tick(Duration::from_millis(100));
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}
