//! The file of the access log, and the earlier ones.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::PathBuf,
};

use super::AccessLogRules;

/// Who asked is nobody else's affair.
const MODE: u32 = 0o600;

/// The file that lines are written to.
#[derive(Debug)]
pub(super) struct LogFile {
    rules: AccessLogRules,
    file: File,
    length: u64,
}

impl LogFile {
    /// Opens the file, which is made where there is none. A line that was cut off is ended.
    pub(super) fn open(rules: AccessLogRules) -> io::Result<Self> {
        let mut file =
            OpenOptions::new().read(true).append(true).create(true).mode(MODE).open(&rules.path)?;
        let mut length = file.metadata()?.len();
        if let Some(last) = length.checked_sub(1) {
            let mut byte = [0];
            file.read_exact_at(&mut byte, last)?;
            if byte != *b"\n" {
                file.write_all(b"\n")?;
                length += 1;
            }
        }
        Ok(Self { rules, file, length })
    }

    /// Writes `lines` behind those that are there: all of them, or none.
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self.was_moved()? {
            *self = Self::open(self.rules.clone())?;
        }
        let length = self.length.saturating_add(lines.len() as u64);
        if self.length > 0 && length > self.rules.file_bytes {
            self.begin_another()?;
        }
        if let Err(error) = self.file.write_all(lines) {
            // What was written of them is half a line at its end. Where this fails as well, opening it ends
            // the line.
            let _shortened = self.file.set_len(self.length);
            return Err(error);
        }
        self.length = self.length.saturating_add(lines.len() as u64);
        Ok(())
    }

    /// Whether somebody, such as `logrotate`, has moved or removed the file.
    fn was_moved(&self) -> io::Result<bool> {
        let named = match fs::metadata(&self.rules.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(true),
            other => other?,
        };
        let written = self.file.metadata()?;
        Ok((named.dev(), named.ino()) != (written.dev(), written.ino()))
    }

    /// Begins an empty file. The one before it gets a number, and the last of them goes.
    fn begin_another(&mut self) -> io::Result<()> {
        for number in (1..self.rules.files).rev() {
            match fs::rename(self.numbered(number - 1), self.numbered(number)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                other => other?,
            }
        }
        if self.rules.files == 1 {
            fs::remove_file(&self.rules.path)?;
        }
        *self = Self::open(self.rules.clone())?;
        Ok(())
    }

    /// The name of the file, or of an earlier one.
    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.rules.path.clone().into_os_string();
        if number > 0 {
            name.push(format!(".{number}"));
        }
        name.into()
    }
}
