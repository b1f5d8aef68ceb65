//! Which addresses the server may connect to of its own accord.
//!
//! Whoever may add a webhook names an address, and the server connects to it from inside its own
//! network. So only addresses of the public internet are connected to, unless the configuration allows
//! more.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A range of addresses, for example `10.0.0.0/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl FromStr for Network {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parse = || {
            let (address, prefix) = text.split_once('/')?;
            let (address, prefix) = (address.parse().ok()?, prefix.parse().ok()?);
            let network = Self { address, prefix };
            let bits = if address.is_ipv4() { 32 } else { 128 };
            (prefix <= bits && network.mask(address) == Some(network.bits())).then_some(network)
        };
        parse().ok_or_else(|| {
            format!(
                "network `{}` is not valid: expected its first address and the length of its prefix, \
                 for example 10.0.0.0/8 or fd00::/8",
                text.escape_debug()
            )
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.address, self.prefix)
    }
}

impl Network {
    const fn v4(octets: [u8; 4], prefix: u8) -> Self {
        let [a, b, c, d] = octets;
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    const fn v6(first: [u16; 4], prefix: u8) -> Self {
        let [a, b, c, d] = first;
        Self { address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0)), prefix }
    }

    /// Whether it has the address.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.mask(address.to_canonical()) == Some(self.bits())
    }

    fn bits(&self) -> u128 {
        match self.address {
            IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
            IpAddr::V6(address) => address.to_bits(),
        }
    }

    /// The bits of an address of the same kind that the prefix covers.
    fn mask(&self, address: IpAddr) -> Option<u128> {
        let bits = match (self.address, address) {
            (IpAddr::V4(_), IpAddr::V4(address)) => u128::from(address.to_bits()) << 96,
            (IpAddr::V6(_), IpAddr::V6(address)) => address.to_bits(),
            _ => return None,
        };
        let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
        Some(bits & mask)
    }
}

/// What is not of the public internet (the IANA's registries of special-purpose addresses).
const SPECIAL_V4: [Network; 15] = [
    Network::v4([0, 0, 0, 0], 8),
    Network::v4([10, 0, 0, 0], 8),
    Network::v4([100, 64, 0, 0], 10),
    Network::v4([127, 0, 0, 0], 8),
    // Also where clouds tell machines their own credentials.
    Network::v4([169, 254, 0, 0], 16),
    Network::v4([172, 16, 0, 0], 12),
    Network::v4([192, 0, 0, 0], 24),
    Network::v4([192, 0, 2, 0], 24),
    Network::v4([192, 88, 99, 0], 24),
    Network::v4([192, 168, 0, 0], 16),
    Network::v4([198, 18, 0, 0], 15),
    Network::v4([198, 51, 100, 0], 24),
    Network::v4([203, 0, 113, 0], 24),
    Network::v4([224, 0, 0, 0], 4),
    Network::v4([240, 0, 0, 0], 4),
];

/// What addresses of the public internet are among, as far as they are assigned.
const GLOBAL_V6: Network = Network::v6([0x2000, 0, 0, 0], 3);
/// What is in that and is not of the public internet: protocols, documentation, 6to4.
const SPECIAL_V6: [Network; 4] = [
    Network::v6([0x2001, 0, 0, 0], 23),
    Network::v6([0x2001, 0xdb8, 0, 0], 32),
    Network::v6([0x2002, 0, 0, 0], 16),
    Network::v6([0x3fff, 0, 0, 0], 20),
];
/// Where a network without IPv4 reaches it (RFC 6052): the last 32 bits are an address of that.
const TRANSLATED: Network = Network::v6([0x64, 0xff9b, 0, 0], 96);

/// Whether an address is one of the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        address @ IpAddr::V4(_) => !SPECIAL_V4.iter().any(|network| network.contains(address)),
        IpAddr::V6(six) if TRANSLATED.contains(address) => {
            let [.., a, b, c, d] = six.octets();
            is_public(Ipv4Addr::new(a, b, c, d).into())
        }
        address @ IpAddr::V6(_) => {
            GLOBAL_V6.contains(address)
                && !SPECIAL_V6.iter().any(|network| network.contains(address))
        }
    }
}

/// Whether a connection is encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// By TLS.
    Tls,
    /// Not at all.
    None,
}

/// What the server may connect to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    networks: Vec<Network>,
}

impl From<Vec<Network>> for Allowed {
    fn from(networks: Vec<Network>) -> Self {
        Self { networks }
    }
}

impl Allowed {
    /// Lets an address pass, or says why not. What is not encrypted goes to networks alone that were
    /// allowed by name.
    pub fn check(&self, address: IpAddr, encryption: Encryption) -> Result<(), String> {
        if self.networks.iter().any(|network| network.contains(address)) {
            return Ok(());
        }
        if !is_public(address) {
            return Err(format!(
                "{address} is not an address of the public internet: expected one, or its network in \
                 webhooks.allow_networks of the server's configuration"
            ));
        }
        if encryption == Encryption::None {
            return Err(format!(
                "without TLS, {address} is not sent to: expected https://, or its network in \
                 webhooks.allow_networks of the server's configuration"
            ));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_inside_is_not_public_however_it_is_written() {
        for inside in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.255",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.168.1.1",
            "198.19.0.1",
            "224.0.0.1",
            "239.255.255.255",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(address(inside)), "{inside}");
            let refused = Allowed::default().check(address(inside), Encryption::Tls).unwrap_err();
            assert!(refused.contains("allow_networks"), "{refused}");
        }
    }

    #[test]
    fn what_is_outside_is_public() {
        for outside in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "198.17.255.255",
            "198.20.0.0",
            "223.255.255.255",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "64:ff9b::1.1.1.1",
            "::ffff:1.1.1.1",
        ] {
            assert!(is_public(address(outside)), "{outside}");
            assert_eq!(Allowed::default().check(address(outside), Encryption::Tls), Ok(()));
            assert!(Allowed::default().check(address(outside), Encryption::None).is_err());
        }
    }

    #[test]
    fn what_is_allowed_is_reached_and_nothing_beside_it() {
        let networks = ["10.20.0.0/16", "fd12::/16"].map(|text| text.parse().unwrap());
        let allowed = Allowed::from(networks.to_vec());
        for inside in ["10.20.0.0", "10.20.255.255", "::ffff:10.20.1.1", "fd12::1"] {
            for encryption in [Encryption::Tls, Encryption::None] {
                assert_eq!(allowed.check(address(inside), encryption), Ok(()), "{inside}");
            }
        }
        for beside in ["10.19.255.255", "10.21.0.0", "127.0.0.1", "fd13::1", "::1"] {
            assert!(allowed.check(address(beside), Encryption::Tls).is_err(), "{beside}");
        }
    }

    #[test]
    fn a_network_is_read_without_mistakes() {
        for good in ["0.0.0.0/0", "10.0.0.0/8", "127.0.0.1/32", "::/0", "fd00::/8", "::1/128"] {
            let network: Network = good.parse().unwrap();
            assert_eq!(network.to_string(), good);
        }
        for wrong in ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "::/129", "fd00::1/8", "x/8"] {
            let refused = wrong.parse::<Network>().unwrap_err();
            assert!(refused.contains("for example 10.0.0.0/8"), "{refused}");
        }
        let everything: Network = "0.0.0.0/0".parse().unwrap();
        assert!(everything.contains(address("1.2.3.4")) && !everything.contains(address("::1")));
    }

    proptest! {
        #[test]
        fn an_address_of_version_4_is_the_same_in_every_clothing(bits: u32) {
            let four = Ipv4Addr::from_bits(bits);
            let public = is_public(four.into());
            prop_assert_eq!(is_public(four.to_ipv6_mapped().into()), public);
            let [a, b, c, d] = four.octets();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let translated = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low);
            prop_assert_eq!(is_public(translated.into()), public);
        }
    }
}
