//! The server's configuration: a TOML file, the environment, the command line, each above the one
//! before. Unknown fields are refused.

mod access_log;
mod deltas;
mod downloads;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use mainstay_client::format::Channel;
use serde::Deserialize;

use self::{access_log::AccessLogSection, deltas::DeltaSection, downloads::DownloadSection};

use crate::{
    access_log::AccessLogRules,
    outlet::{OutletConfig, mail::MailConfig, webhook::WebhookConfig},
    policy::{
        AloneLimits, Bridge, Fallback, PatchDays, Preset, RolloutRules, RolloutWish, Silence, Tier,
        Tiers, delivery,
        delta::DeltaRules,
        exposure::csaf::Publisher,
        rollout::{
            Approval, Canaries, CriticalSecurity, FailureThreshold, Pace, Schedule, Threshold,
            Waves,
        },
    },
    service::sending::AccelLocation,
};

/// Where the server listens unless told otherwise.
const LISTEN_DEFAULT: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8420);

/// The configuration that the server runs by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Where everything is kept.
    pub dir: PathBuf,
    /// Where to listen; port 0 lets the system pick one.
    pub listen: SocketAddr,
    /// The certificate and key for TLS; plain HTTP without.
    pub tls: Option<TlsConfig>,
    /// How many threads serve requests; one for each core where absent.
    pub workers: Option<usize>,
    /// What the tiers stand for.
    pub tiers: Tiers,
    /// After how long a machine that says nothing gives its seat up.
    pub silence: Silence,
    /// How notifications are sent.
    pub outlet: OutletConfig,
    /// How releases spread of which nobody says anything else.
    pub rollouts: RolloutRules,
    /// How many machines one person may act on without a second one.
    pub alone: AloneLimits,
    /// What deltas may cost.
    pub deltas: DeltaRules,
    /// Who publishes documents on advisories; without, none are made.
    pub publisher: Option<Publisher>,
    /// The location of the nginx in front that sends artifacts and deltas; without, the server does.
    pub accel: Option<AccelLocation>,
    /// Where requests are noted; nowhere without.
    pub access_log: Option<AccessLogRules>,
}

/// The certificate and key for TLS, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsConfig {
    /// The certificate chain, the server's own first.
    pub certificate: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// What the command line says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Where to listen.
    pub listen: Option<SocketAddr>,
    /// The configuration file; `mainstay.toml` in the server's directory where absent.
    pub file: Option<PathBuf>,
}

/// The configuration file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<SocketAddr>,
    tls: Option<TlsConfig>,
    workers: Option<usize>,
    #[serde(default)]
    tiers: BTreeMap<Tier, TierChange>,
    #[serde(default)]
    seats: SeatRules,
    #[serde(default)]
    webhooks: WebhookRules,
    mail: Option<MailConfig>,
    #[serde(default)]
    rollout: RolloutSection,
    #[serde(default)]
    support: SupportSection,
    #[serde(default)]
    deltas: DeltaSection,
    #[serde(default)]
    downloads: DownloadSection,
    #[serde(default)]
    access_log: AccessLogSection,
    publisher: Option<PublisherSection>,
}

/// What the file says of who publishes documents.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublisherSection {
    name: String,
    namespace: String,
}

/// What the file says of webhooks, and of when notifications are tried again.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WebhookRules {
    #[serde(default)]
    allow_networks: Vec<String>,
    timeout_seconds: Option<u32>,
    retry_seconds: Option<Vec<u32>>,
    authorities: Option<PathBuf>,
}

/// What the file says of rollouts.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RolloutSection {
    #[serde(default)]
    approval: Approval,
    #[serde(default)]
    critical_security: CriticalSecurity,
    #[serde(default)]
    pace: Pace,
    waves: Option<Waves>,
    canaries: Option<Canaries>,
    schedule: Option<Schedule>,
    failure: Option<FailureThreshold>,
    success: Option<Threshold>,
    #[serde(default)]
    channels: BTreeMap<Channel, RolloutWish>,
}

/// What the file says of technicians' actions over several machines.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SupportSection {
    #[serde(default)]
    alone: AloneLimits,
}

/// What the file says of seats.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeatRules {
    silent_days: Option<u32>,
}

/// What the file says of one tier. What it does not say stays as it is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct TierChange {
    channels: Option<BTreeSet<Channel>>,
    grace_days: Option<u32>,
    security_tail_days: Option<u32>,
    fallback: Option<Fallback>,
    bridge: Option<Bridge>,
    poll_seconds: Option<u32>,
    #[serde(default)]
    patch_days: PatchDaysChange,
}

/// What the file says of the days within which machines of a tier are to have a fix.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PatchDaysChange {
    critical: Option<AgreedDays>,
    major: Option<AgreedDays>,
    minor: Option<AgreedDays>,
}

/// A number of days, or `"none"`.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "toml::Value")]
struct AgreedDays(Option<u32>);

impl TryFrom<toml::Value> for AgreedDays {
    type Error = String;

    fn try_from(value: toml::Value) -> Result<Self, String> {
        match &value {
            toml::Value::String(text) if text == "none" => Ok(Self(None)),
            toml::Value::Integer(days) if *days > 0 => u32::try_from(*days)
                .map(|days| Self(Some(days)))
                .map_err(|_| format!("{days} days are too many")),
            found => Err(format!(
                "{found}: expected a whole number of days from 1 on, or \"none\" where nothing is agreed"
            )),
        }
    }
}

impl PatchDaysChange {
    fn apply(self, days: PatchDays) -> PatchDays {
        let changed = |change: Option<AgreedDays>, days| change.map_or(days, |change| change.0);
        PatchDays {
            critical: changed(self.critical, days.critical),
            major: changed(self.major, days.major),
            minor: changed(self.minor, days.minor),
        }
    }
}

impl TierChange {
    fn apply(self, preset: Preset) -> Preset {
        Preset {
            channels: self.channels.unwrap_or(preset.channels),
            grace_days: self.grace_days.unwrap_or(preset.grace_days),
            security_tail_days: self.security_tail_days.unwrap_or(preset.security_tail_days),
            fallback: self.fallback.unwrap_or(preset.fallback),
            bridge: self.bridge.unwrap_or(preset.bridge),
            poll_seconds: self.poll_seconds.unwrap_or(preset.poll_seconds),
            patch_days: self.patch_days.apply(preset.patch_days),
        }
    }
}

/// A configuration that the server cannot run by.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file does not say what a configuration says.
    #[error("{}: {message}", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        message: String,
    },
    /// A number is out of its range.
    #[error("workers is {0}: expected 1 to 1024")]
    Workers(usize),
    /// A machine would give its seat up too early or never.
    #[error("seats.silent_days is {0}: expected 1 to 3650")]
    SilentDays(u32),
    /// What is said of webhooks cannot be.
    #[error("webhooks.{0}")]
    Webhooks(String),
    /// No delta could be made so.
    #[error("deltas.{0}")]
    Deltas(String),
    /// Nobody could send downloads so.
    #[error("downloads.{0}")]
    Downloads(String),
    /// Nothing could be logged so.
    #[error("access_log.{0}")]
    AccessLog(String),
    /// Rollouts would start by what makes no sense.
    #[error("{part}: {problem}")]
    Rollout {
        /// In which part of the section.
        part: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Nobody can publish so.
    #[error("publisher.{0}")]
    Publisher(String),
    /// A tier stands for what no contract can say.
    #[error("tiers.{tier}: {}", problems.join("; "))]
    Tier {
        /// Which.
        tier: Tier,
        /// Everything that is wrong with it.
        problems: Vec<String>,
    },
}

impl Config {
    /// The configuration for a server that keeps everything in `dir`.
    pub fn load(dir: &Path, overrides: &Overrides) -> Result<Self, ConfigError> {
        let path = overrides.file.clone().unwrap_or_else(|| dir.join("mainstay.toml"));
        let file = match fs::read_to_string(&path) {
            Ok(text) => toml::from_str::<File>(&text).map_err(|error| ConfigError::Parse {
                path: path.clone(),
                message: error.to_string(),
            })?,
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound && overrides.file.is_none() =>
            {
                File::default()
            }
            Err(source) => return Err(ConfigError::Read { path, source }),
        };
        let File {
            listen,
            tls,
            workers,
            tiers,
            seats,
            webhooks,
            mail,
            rollout,
            support,
            deltas,
            downloads,
            access_log,
            publisher,
        } = file;
        if let Some(workers) = workers.filter(|workers| !(1..=1024).contains(workers)) {
            return Err(ConfigError::Workers(workers));
        }
        let below = |file: PathBuf| path.parent().map_or(file.clone(), |folder| folder.join(&file));
        let tls =
            tls.map(|tls| TlsConfig { certificate: below(tls.certificate), key: below(tls.key) });
        Ok(Self {
            dir: dir.to_owned(),
            listen: overrides.listen.or(listen).unwrap_or(LISTEN_DEFAULT),
            tls,
            workers,
            tiers: changed_tiers(tiers)?,
            silence: seats.silence()?,
            outlet: OutletConfig {
                webhooks: webhooks.config(below)?,
                mail: mail.map(|mail| MailConfig {
                    password_file: mail.password_file.map(below),
                    authorities: mail.authorities.map(below),
                    ..mail
                }),
            },
            rollouts: rollout.rules()?,
            alone: support.alone,
            deltas: deltas.rules()?,
            publisher: publisher.map(PublisherSection::publisher).transpose()?,
            accel: downloads.accel()?,
            access_log: access_log.rules(dir)?,
        })
    }
}

impl PublisherSection {
    fn publisher(self) -> Result<Publisher, ConfigError> {
        let Self { name, namespace } = self;
        let publisher = Publisher { name, namespace };
        match publisher.problem() {
            None => Ok(publisher),
            Some(problem) => Err(ConfigError::Publisher(problem)),
        }
    }
}

impl SeatRules {
    fn silence(self) -> Result<Silence, ConfigError> {
        match self.silent_days {
            None => Ok(Silence::default()),
            Some(days) => Silence::days(days).ok_or(ConfigError::SilentDays(days)),
        }
    }
}

/// The longest time that a try to send a webhook may take, in seconds.
const TIMEOUT_SECONDS_MAX: u32 = 60;

impl WebhookRules {
    /// What is said, with files found by `below`.
    fn config(self, below: impl Fn(PathBuf) -> PathBuf) -> Result<WebhookConfig, ConfigError> {
        let Self { allow_networks, timeout_seconds, retry_seconds, authorities } = self;
        let default = WebhookConfig::default();
        let networks = allow_networks.iter().map(|text| text.parse());
        let allow_networks = networks.collect::<Result<Vec<_>, String>>();
        let timeout = match timeout_seconds {
            None => default.timeout,
            Some(seconds @ 1..=TIMEOUT_SECONDS_MAX) => Duration::from_secs(seconds.into()),
            Some(seconds) => {
                return Err(ConfigError::Webhooks(format!(
                    "timeout_seconds is {seconds}: expected 1 to {TIMEOUT_SECONDS_MAX}"
                )));
            }
        };
        let schedule = match retry_seconds {
            None => default.schedule,
            Some(seconds) => delivery::Schedule::of_seconds(&seconds)
                .map_err(|problem| ConfigError::Webhooks(format!("retry_seconds: {problem}")))?,
        };
        Ok(WebhookConfig {
            allow_networks: allow_networks
                .map_err(|problem| ConfigError::Webhooks(format!("allow_networks: {problem}")))?,
            timeout,
            schedule,
            authorities: authorities.map(below),
        })
    }
}

impl RolloutSection {
    fn rules(self) -> Result<RolloutRules, ConfigError> {
        let Self { approval, critical_security, channels, pace, waves, .. } = self;
        let Self { canaries, schedule, failure, success, .. } = self;
        let over = |part: String, wish: RolloutWish, terms| match wish.problem() {
            Some(problem) => Err(ConfigError::Rollout { part, problem }),
            None => Ok(wish.over(terms)),
        };
        let wish = RolloutWish { pace, waves, canaries, schedule, failure, success };
        let terms = over("rollout".to_owned(), wish, RolloutRules::default().terms)?;
        let of_channel = |(channel, wish): (Channel, RolloutWish)| {
            Ok((channel, over(format!("rollout.channels.{channel}"), wish, terms.clone())?))
        };
        let channels = channels.into_iter().map(of_channel).collect::<Result<_, ConfigError>>()?;
        Ok(RolloutRules { terms, channels, approval, critical_security })
    }
}

fn changed_tiers(changes: BTreeMap<Tier, TierChange>) -> Result<Tiers, ConfigError> {
    changes.into_iter().try_fold(Tiers::default(), |tiers, (tier, change)| {
        let preset = change.apply(tiers.preset(tier));
        match preset.problems() {
            problems if problems.is_empty() => Ok(tiers.with(tier, preset)),
            problems => Err(ConfigError::Tier { tier, problems }),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn load(text: &str) -> Result<Config, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("mainstay.toml"), text).unwrap();
        Config::load(dir.path(), &Overrides::default())
    }

    #[test]
    fn nothing_needs_to_be_said() {
        let config = load("").unwrap();
        assert_eq!(config.listen.to_string(), "127.0.0.1:8420");
        assert_eq!(config.tls, None);
        assert_eq!(Some(config.silence), Silence::days(90));
    }

    #[test]
    fn a_tier_is_changed_where_the_file_says_so() {
        let tiers =
            load("[tiers.basic]\ngrace_days = 14\nchannels = [\"security\"]").unwrap().tiers;
        let expected =
            Preset { grace_days: 14, channels: [Channel::Security].into(), ..Tier::Basic.preset() };
        assert_eq!(tiers.preset(Tier::Basic), expected);
        assert_eq!(tiers.preset(Tier::Standard), Tier::Standard.preset());
    }

    #[test]
    fn the_days_until_a_fix_are_what_the_file_says() {
        let text = "[tiers.basic.patch_days]\ncritical = 10\nmajor = \"none\"";
        let tiers = load(text).unwrap().tiers;
        let expected = PatchDays { critical: Some(10), major: None, minor: None };
        assert_eq!(tiers.patch_days(None), expected);
        assert_eq!(tiers.patch_days(Some(Tier::Premium)), Tier::Premium.preset().patch_days);
        for (wrong, expected) in [
            ("critical = 0", "expected a whole number of days from 1 on, or \"none\""),
            ("critical = -3", "expected a whole number of days from 1 on, or \"none\""),
            ("critical = 1.5", "expected a whole number of days from 1 on, or \"none\""),
            ("critical = \"never\"", "expected a whole number of days from 1 on, or \"none\""),
            ("critical = 99999999999", "too many"),
            ("critical = 40000", "patch_days.critical is 40000: expected 1 to"),
            ("blocker = 1", "unknown field `blocker`"),
        ] {
            let error =
                load(&format!("[tiers.basic.patch_days]\n{wrong}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{wrong}: {error}");
        }
    }

    #[test]
    fn a_publisher_has_a_name_and_an_address() {
        assert_eq!(load("").unwrap().publisher, None);
        let text = "[publisher]\nname = \"Acme\"\nnamespace = \"https://acme.example\"";
        assert_eq!(load(text).unwrap().publisher.unwrap().name, "Acme");
        for (wrong, expected) in [
            ("name = \"Acme\"", "missing field `namespace`"),
            ("name = \"Acme\"\nnamespace = \"acme\"", "publisher.namespace is `acme`"),
            ("name = \"\"\nnamespace = \"https://acme.example\"", "publisher.name is not valid"),
        ] {
            let error = load(&format!("[publisher]\n{wrong}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{wrong}: {error}");
        }
    }

    #[test]
    fn the_days_of_silence_are_what_the_file_says() {
        for days in [1, 3650] {
            let config = load(&format!("[seats]\nsilent_days = {days}")).unwrap();
            assert_eq!(Some(config.silence), Silence::days(days));
        }
    }

    #[test]
    fn how_many_machines_one_person_may_act_on_is_what_the_file_says() {
        assert_eq!(load("").unwrap().alone, AloneLimits::default());
        let alone = load("[support.alone]\nsupport = 0").unwrap().alone;
        assert_eq!(alone, AloneLimits { support: 0, ..AloneLimits::default() });
        let error = load("[support.alone]\nviewer = 1").unwrap_err().to_string();
        assert!(error.contains("unknown field `viewer`"), "{error}");
    }

    #[test]
    fn rollouts_go_by_what_the_file_says_and_channels_by_what_it_says_of_them() {
        assert_eq!(load("").unwrap().rollouts, RolloutRules::default());
        let text = r#"
            [rollout]
            approval = "second_person"
            waves = "early:1h,100%:1d"
            schedule = { zone = "Europe/Berlin", open = "mon-thu, fri 00:00-16:00" }
            failure = { share = "2.5%", tried_min = 50 }
            [rollout.channels.security]
            waves = "100%"
            [rollout.channels.bugfix]
            pace = "at_once"
        "#;
        let rules = load(text).unwrap().rollouts;
        assert_eq!(rules.approval, Approval::SecondPerson);
        assert_eq!(rules.terms.waves.to_string(), "early:1h,100%:1d,last:1d");
        let failure = rules.terms.thresholds.failure.unwrap();
        assert_eq!((failure.share.to_string(), failure.tried_min.get()), ("2.5%".to_owned(), 50));
        let security = &rules.channels[&Channel::Security];
        assert_eq!(security.waves.to_string(), "100%:0s,last:1d");
        assert_eq!(security.schedule, rules.terms.schedule);
        assert!(security.schedule.is_some());
        let bugfix = &rules.channels[&Channel::Bugfix];
        assert_eq!((&bugfix.waves, &bugfix.schedule), (&Waves::at_once(), &None));
        assert_eq!(bugfix.thresholds, rules.terms.thresholds);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        let error = load("listne = \"127.0.0.1:1\"").unwrap_err().to_string();
        assert!(error.contains("unknown field `listne`"), "{error}");
        let error = load("listen = \"here\"").unwrap_err().to_string();
        assert!(error.contains("socket address"), "{error}");
        let error = load("[tiers.gold]").unwrap_err().to_string();
        assert!(error.contains("gold"), "{error}");
        let wrong = "[tiers.basic]\nchannels = []\npoll_seconds = 1\ngrace_days = 40000";
        let error = load(wrong).unwrap_err().to_string();
        for expected in ["tiers.basic", "channels is empty", "poll_seconds is 1", "grace_days is"] {
            assert!(error.contains(expected), "{error}");
        }
        for days in [0, 3651] {
            let error = load(&format!("seats.silent_days = {days}")).unwrap_err().to_string();
            let expected = format!("seats.silent_days is {days}: expected 1 to 3650");
            assert_eq!(error, expected);
        }
        let error = load("[seats]\nsilence = 3").unwrap_err().to_string();
        assert!(error.contains("unknown field `silence`"), "{error}");
        for (wrong, expected) in [
            (
                "failure = { share = \"0%\", tried_min = 20 }",
                "share `0%` is not valid: expected more than 0%",
            ),
            (
                "success = { share = \"101%\", tried_min = 20 }",
                "share `101%` is not valid: expected more than 0% and at most 100%",
            ),
            ("waves = \"10%:1h,1%:1h\"", "further than the one before, which is 10%"),
            ("schedule = { zone = \"UTC\", open = \"fri evening\" }", "expected days and hours"),
            ("schedule = { zone = \"Berlin\", open = \"fri\" }", "expected an IANA name"),
            ("approval = \"third_person\"", "second_person"),
            ("wave = \"1%\"", "unknown field `wave`"),
            ("pace = \"at_once\"\nwaves = \"1%\"", "rollout: at once, and yet with waves"),
            (
                "[rollout.channels.bugfix]\npace = \"at_once\"\nwaves = \"1%\"",
                "rollout.channels.bugfix: at once",
            ),
        ] {
            let error = load(&format!("[rollout]\n{wrong}")).unwrap_err().to_string();
            assert!(error.contains(expected), "{wrong}: {error}");
        }
        let error = load("workers = 0").unwrap_err().to_string();
        assert!(error.contains("expected 1 to 1024"), "{error}");
    }

    #[test]
    fn notifications_are_sent_as_the_file_says() {
        assert_eq!(load("").unwrap().outlet, OutletConfig::default());
        let config = load(
            "[webhooks]\nallow_networks = [\"10.0.0.0/8\"]\nretry_seconds = [5]\n\
             timeout_seconds = 3\nauthorities = \"ca.pem\"\n\
             [mail]\nserver = \"mail\"\nfrom = \"a@b.c\"\nuser = \"u\"\npassword_file = \"p\"",
        );
        let OutletConfig { webhooks, mail } = config.unwrap().outlet;
        assert_eq!(webhooks.allow_networks, ["10.0.0.0/8".parse().unwrap()]);
        assert_eq!(webhooks.schedule, delivery::Schedule::of_seconds(&[5]).unwrap());
        assert_eq!(webhooks.timeout, Duration::from_secs(3));
        assert!(webhooks.authorities.unwrap().is_absolute());
        assert!(mail.unwrap().password_file.unwrap().is_absolute());
        for (wrong, expected) in [
            ("[webhooks]\nallow_networks = [\"10.0.0.1/8\"]", "webhooks.allow_networks: network"),
            (
                "[webhooks]\ntimeout_seconds = 61",
                "webhooks.timeout_seconds is 61: expected 1 to 60",
            ),
            ("[webhooks]\nretry_seconds = [0]", "webhooks.retry_seconds: a wait of 0 s"),
            ("[mail]\nserver = \"mail\"", "missing field `from`"),
            ("[mail]\nencryption = \"ssl\"", "unknown variant `ssl`"),
        ] {
            let error = load(wrong).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn certificates_are_found_beside_the_file() {
        let config = load("[tls]\ncertificate = \"c.pem\"\nkey = \"/k.pem\"").unwrap();
        let tls = config.tls.unwrap();
        assert!(tls.certificate.is_absolute() && tls.certificate.ends_with("c.pem"));
        assert_eq!(tls.key, Path::new("/k.pem"));
    }
}
