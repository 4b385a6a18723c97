//! Where the broker is, as operators write it: oslo.messaging's `transport_url`.
//!
//! What can't be read is described and never quoted: any part of it may be a piece of a password that was not
//! percent-encoded.

use std::fmt;

use percent_encoding::percent_decode_str;
use secrecy::{ExposeSecret, SecretString};

const DEFAULT_PORT: u16 = 5672;
/// RabbitMQ's own user, which oslo.messaging uses where none is named.
const GUEST: &str = "guest";

/// Why a `transport_url` can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("it is no URL; it looks like rabbit://user:password@host:5672/vhost")]
    NoUrl,
    #[error("only rabbit:// is spoken")]
    Scheme,
    #[error("TLS to the broker is not spoken by this release: use rabbit:// without ssl")]
    Tls,
    #[error("it names no host")]
    NoHost,
    #[error("host {0} of the list is no host name and no address")]
    Host(usize),
    #[error("the port of host {0} of the list is no number from 1 to 65535")]
    Port(usize),
    #[error("either every host of the list has a user and a password or none has")]
    Mixed,
    #[error(
        "an '@' stands behind the hosts: '/', '?', '#', '@', ':', ',' and '%' in a user, password or virtual host are written percent-encoded"
    )]
    Encoding,
    #[error("a user, password or virtual host is not UTF-8 when decoded")]
    Utf8,
}

/// One server of a broker. Displays as `host:port`.
#[derive(Debug, Clone)]
pub struct Host {
    pub name: String,
    pub port: u16,
    pub user: String,
    pub password: SecretString,
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.name.contains(':') {
            write!(out, "[{}]:{}", self.name, self.port)
        } else {
            write!(out, "{}:{}", self.name, self.port)
        }
    }
}

/// A broker: its servers, of which any will do, and the virtual host. Displays without user and password.
#[derive(Debug, Clone)]
pub struct Broker {
    /// Never empty.
    hosts: Vec<Host>,
    vhost: String,
}

impl fmt::Display for Broker {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, host) in self.hosts.iter().enumerate() {
            write!(out, "{}{host}", if index == 0 { "" } else { ", " })?;
        }
        write!(out, " (virtual host {})", self.vhost)
    }
}

impl Broker {
    /// Reads `rabbit://user:password@host:port[,user:password@host:port...]/vhost`.
    pub fn parse(url: &SecretString) -> Result<Broker, AddressError> {
        let (scheme, rest) = url
            .expose_secret()
            .trim()
            .split_once("://")
            .ok_or(AddressError::NoUrl)?;
        match scheme {
            "rabbit" => {}
            "rabbit+ssl" | "amqps" => return Err(AddressError::Tls),
            _ => return Err(AddressError::Scheme),
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (list, behind) = rest.split_at(end);
        // A '/' in a password ends the hosts too early. What then looks like a host must not be dialled or logged.
        if behind.contains('@') {
            return Err(AddressError::Encoding);
        }
        let behind = behind.split('#').next().unwrap_or_default();
        let (path, query) = behind.split_once('?').unwrap_or((behind, ""));
        if query.split('&').any(asks_for_tls) {
            return Err(AddressError::Tls);
        }
        let mut hosts = Vec::new();
        for (index, part) in list.split(',').filter(|part| !part.is_empty()).enumerate() {
            hosts.push(host(part, index + 1)?);
        }
        if hosts.is_empty() {
            return Err(AddressError::NoHost);
        }
        let named = list.split(',').filter(|part| part.contains('@')).count();
        if named != 0 && named != hosts.len() {
            return Err(AddressError::Mixed);
        }
        let vhost = decoded(path.strip_prefix('/').unwrap_or_default())?;
        Ok(Broker {
            hosts,
            vhost: or_root(vhost),
        })
    }

    /// From the older options, one value each; nothing in them is percent-encoded.
    pub fn from_parts(
        name: &str,
        port: Option<u16>,
        user: Option<String>,
        password: Option<SecretString>,
        vhost: Option<String>,
    ) -> Result<Broker, AddressError> {
        let name = name.trim();
        if name.is_empty() {
            return Err(AddressError::NoHost);
        }
        let bare = name.strip_prefix('[').and_then(|it| it.strip_suffix(']'));
        let host = Host {
            name: checked(bare.unwrap_or(name), true, 1)?,
            port: port.unwrap_or(DEFAULT_PORT),
            user: user.unwrap_or_else(|| GUEST.to_owned()),
            password: password.unwrap_or_else(|| SecretString::from(GUEST)),
        };
        Ok(Broker {
            hosts: vec![host],
            vhost: or_root(vhost.unwrap_or_default()),
        })
    }

    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    pub fn vhost(&self) -> &str {
        &self.vhost
    }
}

fn or_root(vhost: String) -> String {
    if vhost.is_empty() { "/".to_owned() } else { vhost }
}

fn asks_for_tls(setting: &str) -> bool {
    let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
    let off = ["0", "false", "off", "no", "f", "n"];
    matches!(key, "ssl" | "rabbit_use_ssl") && !off.contains(&value.to_ascii_lowercase().as_str())
}

/// One entry of the list: `user:password@name:port`, all but the name may be missing.
fn host(part: &str, number: usize) -> Result<Host, AddressError> {
    let (login, place) = match part.rsplit_once('@') {
        Some((login, place)) => (Some(login), place),
        None => (None, part),
    };
    let (user, password) = match login {
        None => (GUEST.to_owned(), GUEST.to_owned()),
        Some(login) => {
            let (user, password) = login.split_once(':').unwrap_or((login, ""));
            (decoded(user)?, decoded(password)?)
        }
    };
    let (name, port, in_brackets) = match place.strip_prefix('[') {
        Some(rest) => {
            let (name, port) = rest.split_once(']').ok_or(AddressError::Host(number))?;
            let port = match port.strip_prefix(':') {
                Some(port) => port,
                None if port.is_empty() => "",
                None => return Err(AddressError::Host(number)),
            };
            (name, port, true)
        }
        None => {
            let (name, port) = place.split_once(':').unwrap_or((place, ""));
            (name, port, false)
        }
    };
    let port = match port {
        "" => DEFAULT_PORT,
        text => text
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or(AddressError::Port(number))?,
    };
    Ok(Host {
        name: checked(name, in_brackets, number)?,
        port,
        user,
        password: SecretString::from(password),
    })
}

/// A name that may be dialled and logged.
fn checked(name: &str, with_colons: bool, number: usize) -> Result<String, AddressError> {
    let fits =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') || (with_colons && c == ':');
    if !name.is_empty() && name.chars().all(fits) {
        Ok(name.to_owned())
    } else {
        Err(AddressError::Host(number))
    }
}

/// A '%' that begins no encoded byte stands for itself, as in Python's `unquote`.
fn decoded(text: &str) -> Result<String, AddressError> {
    percent_decode_str(text)
        .decode_utf8()
        .map(String::from)
        .map_err(|_| AddressError::Utf8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Broker, AddressError> {
        Broker::parse(&SecretString::from(url))
    }

    /// `user:password@host:port` of every server, and the virtual host.
    fn parts(url: &str) -> (Vec<String>, String) {
        let broker = parse(url).unwrap();
        let hosts = broker.hosts().iter();
        let hosts = hosts.map(|it| format!("{}:{}@{it}", it.user, it.password.expose_secret()));
        (hosts.collect(), broker.vhost().to_owned())
    }

    #[test]
    fn urls_are_read_as_operators_write_them() {
        let table: &[(&str, &[&str], &str)] = &[
            ("rabbit://u:p@h:5673/v", &["u:p@h:5673"], "v"),
            ("rabbit://u:p@h/v", &["u:p@h:5672"], "v"),
            ("rabbit://u:p@h:/v", &["u:p@h:5672"], "v"),
            ("rabbit://u:p@h", &["u:p@h:5672"], "/"),
            ("rabbit://u:p@h/", &["u:p@h:5672"], "/"),
            ("rabbit://u:p@h//", &["u:p@h:5672"], "/"),
            ("rabbit://u:p@h/%2F", &["u:p@h:5672"], "/"),
            ("rabbit://u:p@h/a%20b", &["u:p@h:5672"], "a b"),
            (
                "rabbit://h1,h2:1/v",
                &["guest:guest@h1:5672", "guest:guest@h2:1"],
                "v",
            ),
            (
                "rabbit://u:p@h1:5672,u2:p2@h2:5673/vhost",
                &["u:p@h1:5672", "u2:p2@h2:5673"],
                "vhost",
            ),
            ("rabbit://u:p%40%2F%3A%2C%23%25@h/v", &["u:p@/:,#%@h:5672"], "v"),
            ("rabbit://u:100%@h/v", &["u:100%@h:5672"], "v"),
            ("rabbit://u:a@b:c@h/v", &["u:a@b:c@h:5672"], "v"),
            ("rabbit://u:@h/v", &["u:@h:5672"], "v"),
            ("rabbit://u@h/v", &["u:@h:5672"], "v"),
            ("rabbit://u:p@[::1]:5673/v", &["u:p@[::1]:5673"], "v"),
            ("rabbit://u:p@[fd00::1]/v", &["u:p@[fd00::1]:5672"], "v"),
            ("rabbit://u:p@h/v?ssl=0&heartbeat=3", &["u:p@h:5672"], "v"),
            (" rabbit://u:p@h/v\n", &["u:p@h:5672"], "v"),
        ];
        for (url, hosts, vhost) in table {
            let (found, place) = parts(url);
            assert_eq!(found, *hosts, "{url}");
            assert_eq!(place, *vhost, "{url}");
        }
    }

    #[test]
    fn malformed_urls_are_refused_without_a_word_of_them() {
        let table = [
            ("geheim", AddressError::NoUrl),
            ("", AddressError::NoUrl),
            ("kafka://u:geheim@h/", AddressError::Scheme),
            ("rabbit+ssl://u:geheim@h/", AddressError::Tls),
            ("rabbit://u:geheim@h/v?ssl=1", AddressError::Tls),
            ("rabbit://u:geheim@h/v?a=b&ssl=True", AddressError::Tls),
            ("rabbit://", AddressError::NoHost),
            ("rabbit:///v", AddressError::NoHost),
            ("rabbit://u:geheim@/v", AddressError::Host(1)),
            ("rabbit://u:geheim@h ost/v", AddressError::Host(1)),
            ("rabbit://u:geheim@[::1/v", AddressError::Host(1)),
            ("rabbit://u:geheim@[::1]5672/v", AddressError::Host(1)),
            ("rabbit://u:geheim@h:0/v", AddressError::Port(1)),
            ("rabbit://u:geheim@h:65536/v", AddressError::Port(1)),
            ("rabbit://u:geheim@h1,u:geheim@h2:amqp/v", AddressError::Port(2)),
            ("rabbit://u:geheim@h1,h2/v", AddressError::Mixed),
            // Passwords with '/', '#', '?' and ',' in them.
            ("rabbit://u:12/geheim@h/v", AddressError::Encoding),
            ("rabbit://u:12#geheim@h/v", AddressError::Encoding),
            ("rabbit://u:12?geheim@h/v", AddressError::Encoding),
            ("rabbit://u:12,geheim@h/v", AddressError::Mixed),
            ("rabbit://u:geheim%ff@h/v", AddressError::Utf8),
        ];
        for (url, expected) in table {
            let error = parse(url).unwrap_err();
            assert_eq!(error, expected, "{url}");
            assert!(!format!("{error} {error:?}").contains("geheim"), "{url}");
        }
    }

    #[test]
    fn nothing_shows_a_password() {
        let broker = parse("rabbit://u:geheim@h1:5672,u:geheim@h2/v").unwrap();
        assert_eq!(broker.to_string(), "h1:5672, h2:5672 (virtual host v)");
        let shown = format!("{broker} {broker:?} {:?}", broker.hosts()[0]);
        assert!(!shown.contains("geheim"), "{shown}");
    }

    #[test]
    fn the_older_options_are_taken_as_they_stand() {
        let secret = Some(SecretString::from("a%40/b"));
        let broker = Broker::from_parts("::1", None, Some("u".into()), secret, Some("v".into())).unwrap();
        assert_eq!(broker.to_string(), "[::1]:5672 (virtual host v)");
        assert_eq!(broker.hosts()[0].password.expose_secret(), "a%40/b");
        let broker = Broker::from_parts("h", Some(1), None, None, None).unwrap();
        assert_eq!(broker.to_string(), "h:1 (virtual host /)");
        assert_eq!(broker.hosts()[0].user, "guest");
        assert_eq!(
            Broker::from_parts(" ", None, None, None, None).unwrap_err(),
            AddressError::NoHost
        );
    }
}
