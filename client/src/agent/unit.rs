use std::path::{Path, PathBuf};

use crate::{client::Enrolment, error::Error};

/// A systemd unit that runs the agent of the installation in `dir`.
///
/// It may write to the installation and to the directories of data, and nowhere else. What a release
/// checks or does by its hooks is held to the same: an administrator adds to `ReadWritePaths` what
/// they need.
pub(super) fn text(dir: &Path, enrolment: &Enrolment) -> Result<String, Error> {
    let absolute =
        |path: &Path| std::path::absolute(path).map_err(|error| Error::disk(path, error));
    let dir = absolute(dir)?;
    let program = std::env::current_exe().map_err(|error| Error::local(error.to_string()))?;
    let data = enrolment.data.directories.iter().map(|directory| dir.join(directory));
    let writable: Vec<PathBuf> = [dir.clone()].into_iter().chain(data).collect();
    let words = |paths: &[PathBuf]| -> Result<String, Error> {
        let words: Result<Vec<_>, _> = paths.iter().map(|path| word(path)).collect();
        Ok(words?.join(" "))
    };
    Ok(format!(
        "[Unit]\n\
         Description=Updates of {product}\n\
         Wants=network-online.target\n\
         After=network-online.target\n\
         \n\
         [Service]\n\
         Type=exec\n\
         ExecStart={program} --dir {dir} run\n\
         ExecReload=/bin/kill -HUP $MAINPID\n\
         Restart=on-failure\n\
         RestartSec=30\n\
         # A usage error, or a machine that is not enrolled: no further try mends that.\n\
         RestartPreventExitStatus=2 30\n\
         # A release that is being switched to comes to its end.\n\
         KillMode=mixed\n\
         TimeoutStopSec=15min\n\
         ReadWritePaths={writable}\n\
         ProtectSystem=strict\n\
         ProtectHome=read-only\n\
         NoNewPrivileges=yes\n\
         PrivateTmp=yes\n\
         PrivateDevices=yes\n\
         ProtectClock=yes\n\
         ProtectControlGroups=yes\n\
         ProtectHostname=yes\n\
         ProtectKernelLogs=yes\n\
         ProtectKernelModules=yes\n\
         ProtectKernelTunables=yes\n\
         LockPersonality=yes\n\
         RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n\
         RestrictNamespaces=yes\n\
         RestrictRealtime=yes\n\
         RestrictSUIDSGID=yes\n\
         SystemCallArchitectures=native\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n",
        product = enrolment.product,
        program = word(&program)?,
        dir = word(&dir)?,
        writable = words(&writable)?,
    ))
}

/// A path as one word of a unit (`systemd.syntax(7)`).
fn word(path: &Path) -> Result<String, Error> {
    let refuse = || {
        let shown = path.display().to_string();
        Error::input(format!("`{}`: expected a path that a unit can name", shown.escape_debug()))
    };
    let text = path.to_str().filter(|text| !text.contains(|it: char| it.is_control() || it == '$'));
    let text = text.ok_or_else(refuse)?;
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%");
    let is_plain =
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-%".contains(&byte));
    Ok(if is_plain { escaped } else { format!("\"{escaped}\"") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_whatever_is_in_it() {
        let word = |text: &str| word(Path::new(text)).unwrap();
        assert_eq!(word("/opt/acme-db"), "/opt/acme-db");
        assert_eq!(word("/opt/100%"), "/opt/100%%");
        assert_eq!(word("/opt/acme db"), "\"/opt/acme db\"");
        assert_eq!(word("/opt/a\"b\\"), r#""/opt/a\"b\\""#);
        for bad in ["/opt/a\nExecStart=/bin/sh", "/opt/$HOME"] {
            assert!(super::word(Path::new(bad)).is_err(), "{bad}");
        }
    }
}
