use std::{fmt, str::FromStr};

use super::{ParseError, text_serde};

/// Defines a newtype over text of one lexical form.
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal, $expected:literal, $accepts:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(String);

        impl $name {
            /// The text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = ParseError;

            fn from_str(text: &str) -> Result<Self, ParseError> {
                let accepts: fn(&str) -> bool = $accepts;
                if accepts(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(ParseError::new($what, text, $expected))
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.pad(&self.0)
            }
        }

        text_serde!($name, $expected);
    };
}

fn is_name(text: &str) -> bool {
    let edge = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    (1..=63).contains(&text.len())
        && text.bytes().all(|byte| edge(byte) || byte == b'-')
        && text.bytes().next().is_some_and(edge)
        && text.bytes().next_back().is_some_and(edge)
}

fn is_opaque(text: &str) -> bool {
    text.len() == PrivateChannelName::LENGTH
        && text.bytes().all(|byte| PrivateChannelName::DIGITS.contains(&byte))
}

identifier!(
    /// The name of a product; also the name of its TUF repository.
    ProductName,
    "product name",
    "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit",
    is_name
);

identifier!(
    /// The short name of a customer.
    CustomerName,
    "customer name",
    "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit",
    is_name
);

identifier!(
    /// The short name of an organisation that supports customers, unique on a server.
    OrganisationName,
    "organisation name",
    "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit",
    is_name
);

identifier!(
    /// The short name of a contract, unique on a server.
    ContractName,
    "contract name",
    "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit",
    is_name
);

identifier!(
    /// The name that the server gave a machine when it enrolled.
    MachineName,
    "machine name",
    "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit",
    is_name
);

identifier!(
    /// The name of a targets role that lists releases: one of the four channels, the opaque name of a
    /// private channel, or the archive.
    ChannelName,
    "channel name",
    "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit",
    is_name
);

identifier!(
    /// The opaque name of a private channel, which lists one customer's custom builds. Everybody who
    /// reads the product's top-level targets sees it, so it is made of random bytes and says nothing.
    PrivateChannelName,
    "private channel name",
    "26 of a-z and 2-7, as `mainstay channel create` makes them",
    is_opaque
);

identifier!(
    /// The name of a program on a machine that releases of a product may depend on.
    ComponentName,
    "component name",
    "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit",
    is_name
);

identifier!(
    /// The name of a distribution of an operating system: the `ID` of `os-release(5)`.
    DistributionName,
    "distribution name",
    "1 to 63 of a-z, 0-9, ., _ and -, as in the ID of /etc/os-release",
    |text| {
        let allowed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"._-".contains(&b);
        (1..=63).contains(&text.len()) && text.bytes().all(allowed)
    }
);

identifier!(
    /// The version of a distribution: the `VERSION_ID` of `os-release(5)`, where that is numbers.
    DistributionVersion,
    "distribution version",
    "1 to 4 numbers of at most 9 digits, separated by dots, for example 22.04",
    |text| {
        let is_number =
            |it: &str| (1..=9).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_digit());
        text.split('.').count() <= 4 && text.split('.').all(is_number)
    }
);

identifier!(
    /// An add-on or audience tag of a contract, or a tag of a customer.
    Tag,
    "tag",
    "1 to 63 of a-z, 0-9 and -, beginning and ending with a letter or digit",
    is_name
);

identifier!(
    /// What an artifact runs on: `os-architecture`, for example `linux-x86_64`.
    Platform,
    "platform",
    "os-architecture in a-z, 0-9, _ and -, for example linux-x86_64",
    |text| {
        let part = |part: &str| {
            !part.is_empty()
                && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
        };
        text.len() <= 63 && text.contains('-') && text.split('-').all(part)
    }
);

identifier!(
    /// A published advisory that a release fixes, for example `CVE-2026-1234`.
    AdvisoryId,
    "advisory",
    "1 to 64 of A-Z, a-z, 0-9, - and ., for example CVE-2026-1234",
    |text| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
            && text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric())
    }
);

impl Platform {
    /// The platform that this program was built for.
    #[expect(clippy::missing_panics_doc, reason = "the compiler's names have the right form")]
    #[expect(clippy::expect_used, reason = "the compiler's names have the right form")]
    pub fn of_this_program() -> Self {
        format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH)
            .parse()
            .expect("os and architecture names are lower case")
    }
}

impl ChannelName {
    /// The name of the targets role that lists retired releases.
    pub const ARCHIVE: &str = "archive";

    /// [`ChannelName::ARCHIVE`].
    pub fn archive() -> Self {
        Self(Self::ARCHIVE.to_owned())
    }

    /// Whether it is [`ChannelName::ARCHIVE`].
    pub fn is_archive(&self) -> bool {
        self.0 == Self::ARCHIVE
    }
}

impl ChannelName {
    /// The private channel of this name, where it is one's.
    pub fn private(&self) -> Option<PrivateChannelName> {
        is_opaque(&self.0).then(|| PrivateChannelName(self.0.clone()))
    }
}

impl PrivateChannelName {
    /// How many characters a name has: 130 bits, which nobody guesses.
    pub const LENGTH: usize = 26;
    /// The digits of base 32 (RFC 4648 §6), in lower case.
    const DIGITS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

    /// The name that random bytes stand for, of which the lowest five bits each count.
    pub fn of_random(bytes: [u8; Self::LENGTH]) -> Self {
        let digit = |byte: u8| Self::DIGITS.get(usize::from(byte % 32)).copied();
        Self(bytes.into_iter().filter_map(digit).map(char::from).collect())
    }
}

impl From<PrivateChannelName> for ChannelName {
    fn from(name: PrivateChannelName) -> Self {
        Self(name.0)
    }
}

impl From<super::Channel> for ChannelName {
    fn from(channel: super::Channel) -> Self {
        Self(channel.as_str().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_lexical_form() {
        for good in ["a", "acme-db", "0x", &"a".repeat(63)] {
            assert!(good.parse::<ProductName>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a.b", "a/b", "..", "a b", "ä", &"a".repeat(64)] {
            assert!(bad.parse::<ProductName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_private_channel_is_told_by_its_name_from_all_others() {
        let name = PrivateChannelName::of_random(std::array::from_fn(|index| {
            u8::try_from(index).unwrap() * 9
        }));
        assert_eq!(name.as_str().parse(), Ok(name.clone()));
        assert_eq!(ChannelName::from(name.clone()).private(), Some(name));
        let others = super::super::Channel::ALL.map(ChannelName::from);
        for other in others.iter().chain([&ChannelName::archive()]) {
            assert_eq!(other.private(), None);
        }
        for bad in ["a".repeat(25), "a".repeat(27), "1".repeat(26), "A".repeat(26)] {
            assert!(bad.parse::<PrivateChannelName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_refusal_shows_what_was_found_without_control_characters() {
        let error = "a\u{1b}[31m".parse::<ProductName>().unwrap_err().to_string();
        assert!(error.contains(r"a\u{1b}[31m"), "{error}");
        assert!(error.contains("expected 1 to 63 of a-z"), "{error}");
    }

    #[test]
    fn this_program_has_a_platform() {
        assert!(Platform::of_this_program().as_str().contains('-'));
    }
}
