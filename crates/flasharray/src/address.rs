//! Where calls may go.
//!
//! An array's address is given by people, and the token goes where it points. So that it can't be made to point
//! at this machine or at a hypervisor's metadata service, addresses are checked where a connection is about to
//! be made: after name resolution, and for addresses that are written as such before it.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// Which addresses may be connected to. Link-local, multicast and unspecified addresses never.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct AddressPolicy {
    /// For a demo or a lab where everything is on one machine.
    pub allow_loopback: bool,
}

/// A name or address that the policy excludes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub host: String,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "'{}' is a loopback, link-local or otherwise excluded address",
            self.host
        )
    }
}

impl std::error::Error for Refused {}

impl AddressPolicy {
    pub fn allows(self, address: IpAddr) -> bool {
        match address {
            IpAddr::V4(v4) => {
                if v4.is_loopback() {
                    return self.allow_loopback;
                }
                !(v4.is_link_local()
                    || v4.is_unspecified()
                    || v4.is_multicast()
                    || v4.is_broadcast()
                    || v4.octets()[0] == 0)
            }
            IpAddr::V6(v6) => {
                if let Some(v4) = embedded_v4(v6) {
                    return self.allows(IpAddr::V4(v4));
                }
                if v6.is_loopback() {
                    return self.allow_loopback;
                }
                !(v6.is_unicast_link_local() || v6.is_unspecified() || v6.is_multicast())
            }
        }
    }

    /// Checks a URL whose host is written as an address; names are checked when they are resolved.
    pub(crate) fn check(self, url: &Url) -> Result<(), Refused> {
        let address = match url.host() {
            Some(Host::Ipv4(v4)) => IpAddr::V4(v4),
            Some(Host::Ipv6(v6)) => IpAddr::V6(v6),
            Some(Host::Domain(_)) => return Ok(()),
            None => return Err(Refused { host: String::new() }),
        };
        if self.allows(address) {
            Ok(())
        } else {
            Err(Refused {
                host: address.to_string(),
            })
        }
    }
}

/// `::ffff:a.b.c.d` and the obsolete `::a.b.c.d` reach the same machine as `a.b.c.d`.
fn embedded_v4(v6: Ipv6Addr) -> Option<std::net::Ipv4Addr> {
    if v6.is_loopback() || v6.is_unspecified() {
        None
    } else {
        v6.to_ipv4()
    }
}

/// The system's resolver, less what the policy excludes.
pub(crate) struct CheckedResolver {
    pub policy: AddressPolicy,
}

impl Resolve for CheckedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy;
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> = tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let allowed: Vec<SocketAddr> = found
                .iter()
                .copied()
                .filter(|found| policy.allows(found.ip()))
                .collect();
            if allowed.is_empty() && !found.is_empty() {
                return Err(Refused { host }.into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_machine_and_link_local_are_out_of_reach() {
        let strict = AddressPolicy::default();
        let lab = AddressPolicy { allow_loopback: true };
        for loopback in ["127.0.0.1", "127.9.9.9", "::1", "::ffff:127.0.0.1", "::127.0.0.1"] {
            let address = loopback.parse().unwrap();
            assert!(!strict.allows(address), "{loopback}");
            assert!(lab.allows(address), "{loopback}");
        }
        for never in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "ff02::1",
            "255.255.255.255",
        ] {
            let address = never.parse().unwrap();
            assert!(!strict.allows(address) && !lab.allows(address), "{never}");
        }
        for fine in ["10.0.0.5", "192.168.7.1", "8.8.8.8", "2001:db8::5", "fd00::1"] {
            assert!(strict.allows(fine.parse().unwrap()), "{fine}");
        }
    }

    #[test]
    fn odd_spellings_of_an_address_are_seen_through() {
        let strict = AddressPolicy::default();
        for url in [
            "http://2130706433/",
            "http://0x7f.1/",
            "http://127.1:5000/v3",
            "http://[::1]:5000/v3",
            "http://0251.0376.0251.0376/",
        ] {
            assert!(strict.check(&Url::parse(url).unwrap()).is_err(), "{url}");
        }
    }
}
