//! Connection strings as SQLAlchemy reads them, and how they are named in messages: never with the password.

use std::fmt;
use std::path::{Path, PathBuf};

use percent_encoding::percent_decode_str;
use sqlx::mysql::{MySqlConnectOptions, MySqlSslMode};

use crate::open::OpenError;

/// Where a database is, and how one gets in.
#[derive(Clone)]
pub struct Dsn(pub(crate) Place);

#[derive(Clone)]
pub(crate) enum Place {
    Sqlite(PathBuf),
    MariaDb {
        options: Box<MySqlConnectOptions>,
        name: String,
    },
}

/// The connection string of a database file.
pub fn sqlite_dsn(path: &Path) -> Dsn {
    Dsn(Place::Sqlite(path.to_owned()))
}

/// For messages: the file, or database and host.
impl fmt::Display for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Place::Sqlite(file) => write!(f, "{}", file.display()),
            Place::MariaDb { name, .. } => f.write_str(name),
        }
    }
}

impl fmt::Debug for Dsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dsn({self})")
    }
}

impl Dsn {
    /// SQLite: three slashes and a path relative to the working directory, or four and an absolute one. MariaDB:
    /// `mysql+pymysql://user:password@host:port/database?option=value`, the driver's name being Python's business.
    pub fn parse(text: &str) -> Result<Dsn, OpenError> {
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(OpenError::Dsn);
        };
        let (dialect, _) = scheme.split_once('+').unwrap_or((scheme, ""));
        match dialect {
            "sqlite" => match rest.strip_prefix('/') {
                Some(path) if !path.is_empty() && path != ":memory:" => Ok(sqlite_dsn(Path::new(path))),
                _ => Err(OpenError::Dsn),
            },
            "mysql" | "mariadb" => Login::split(rest).place().map(Dsn),
            _ => {
                let login = Login::split(rest);
                Err(login.refused(format!(
                    "this release speaks SQLite and MariaDB, not {}",
                    plain(scheme)
                )))
            }
        }
    }

    /// The database's file, if it is one.
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Place::Sqlite(file) => Some(file),
            Place::MariaDb { .. } => None,
        }
    }
}

/// A word that may be shown, whatever was written there.
fn plain(word: &str) -> String {
    word.chars()
        .filter(|c| c.is_ascii_alphanumeric() || "+._-".contains(*c))
        .take(60)
        .collect()
}

/// The parts of a connection string, as they were written.
struct Login<'a> {
    user: &'a str,
    host: &'a str,
    database: &'a str,
    options: &'a str,
}

impl<'a> Login<'a> {
    /// Passwords may hold slashes, question marks and at-signs: the host begins after the last one.
    fn split(rest: &'a str) -> Login<'a> {
        let (user, place) = rest.rsplit_once('@').unwrap_or(("", rest));
        let (place, options) = place.split_once('?').unwrap_or((place, ""));
        let (host, database) = place.split_once('/').unwrap_or((place, ""));
        Login {
            user,
            host,
            database,
            options,
        }
    }

    fn name(&self) -> String {
        format!("'{}' on host '{}'", self.database, self.host)
    }

    fn refused(&self, reason: impl Into<String>) -> OpenError {
        OpenError::Refused {
            database: self.name(),
            reason: reason.into(),
        }
    }

    fn decoded(&self, what: &str, text: &str) -> Result<String, OpenError> {
        let decoded = percent_decode_str(text).decode_utf8();
        decoded
            .map(|text| text.into_owned())
            .map_err(|_| self.refused(format!("its {what} is not UTF-8 when percent signs are decoded")))
    }

    fn place(&self) -> Result<Place, OpenError> {
        let mut options = MySqlConnectOptions::new()
            .charset("utf8mb4")
            .collation("utf8mb4_bin")
            .database(&self.decoded("database's name", self.database)?);
        if self.database.is_empty() {
            return Err(self.refused("no database is named: the path must be its name"));
        }
        let (user, password) = match self.user.split_once(':') {
            Some((user, password)) => (user, Some(password)),
            None => (self.user, None),
        };
        if !user.is_empty() {
            options = options.username(&self.decoded("user", user)?);
        }
        if let Some(password) = password {
            options = options.password(&self.decoded("password", password)?);
        }
        let (host, port) = self.host_and_port()?;
        if !host.is_empty() {
            options = options.host(host);
        }
        if let Some(port) = port {
            options = options.port(port);
        }
        for option in self.options.split('&').filter(|option| !option.is_empty()) {
            options = self.option(options, option)?;
        }
        Ok(Place::MariaDb {
            options: Box::new(options),
            name: self.name(),
        })
    }

    fn host_and_port(&self) -> Result<(&'a str, Option<u16>), OpenError> {
        let bracketed = self.host.strip_prefix('[').and_then(|host| host.split_once(']'));
        let (host, port) = match bracketed {
            Some((host, port)) => (host, port.strip_prefix(':')),
            None => match self.host.split_once(':') {
                Some((host, port)) => (host, Some(port)),
                None => (self.host, None),
            },
        };
        let port = port.map(str::parse).transpose();
        Ok((
            host,
            port.map_err(|_| self.refused("its port is not a number below 65536"))?,
        ))
    }

    fn option(&self, options: MySqlConnectOptions, text: &str) -> Result<MySqlConnectOptions, OpenError> {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let value = self.decoded(&format!("option {}", plain(key)), value)?;
        Ok(match key {
            // All text is four-byte UTF-8 here, whatever is asked for.
            "charset" => options,
            "unix_socket" => options.socket(value),
            "ssl_ca" => options.ssl_mode(MySqlSslMode::VerifyIdentity).ssl_ca(value),
            "ssl_cert" => options.ssl_client_cert(value),
            "ssl_key" => options.ssl_client_key(value),
            _ => {
                let known = "known are charset, unix_socket, ssl_ca, ssl_cert and ssl_key";
                return Err(self.refused(format!("its option '{}' is not known; {known}", plain(key))));
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(text: &str) -> MySqlConnectOptions {
        match Dsn::parse(text).unwrap().0 {
            Place::MariaDb { options, .. } => *options,
            Place::Sqlite(file) => panic!("{}", file.display()),
        }
    }

    #[test]
    fn sqlite_is_read_as_sqlalchemy_reads_it() {
        let file = |text: &str| Dsn::parse(text).unwrap().file().unwrap().to_owned();
        assert_eq!(file("sqlite:////var/lib/p.db"), PathBuf::from("/var/lib/p.db"));
        assert_eq!(file("sqlite:///p.db"), PathBuf::from("p.db"));
        assert!(Dsn::parse("sqlite://").is_err() && Dsn::parse("sqlite:///:memory:").is_err());
        assert!(Dsn::parse("protector.db").is_err());
    }

    #[test]
    fn mariadb_is_read_as_openstack_writes_it() {
        for scheme in ["mysql+pymysql", "mysql", "mariadb+pymysql", "mariadb"] {
            let read = options(&format!(
                "{scheme}://protector:s%40f%2fe@db.example:3307/protector_dr?charset=utf8mb4"
            ));
            assert_eq!(read.get_username(), "protector");
            assert_eq!((read.get_host(), read.get_port()), ("db.example", 3307));
            assert_eq!(read.get_database(), Some("protector_dr"));
            assert!(
                format!("{read:?}").contains("\"s@f/e\""),
                "the password is decoded"
            );
        }
        assert_eq!(options("mysql://u:p@[::1]:3307/p").get_host(), "::1");
        assert_eq!(options("mysql://u:p@db/p").get_port(), 3306);
        let local = options("mysql://root@/p?unix_socket=/run/db.sock");
        assert_eq!(local.get_socket(), Some(&PathBuf::from("/run/db.sock")));
        let checked = options("mysql://u:p@db/p?ssl_ca=/etc/ca.pem&ssl_cert=/etc/c.pem&ssl_key=/etc/k.pem");
        assert!(matches!(checked.get_ssl_mode(), MySqlSslMode::VerifyIdentity));
    }

    #[test]
    fn what_is_refused_names_its_place_and_never_the_password() {
        for (dsn, reason) in [
            (
                "postgresql://u:s3/cr@t?!@db.example:3306/protector",
                "not postgresql",
            ),
            ("mysql+pymysql://u:s3/cr@t?!@db.example:port/protector", "port"),
            (
                "mysql+pymysql://u:s3/cr@t?!@db.example/protector?read_timeout=5",
                "'read_timeout'",
            ),
            ("mysql+pymysql://u:s3/cr%ff@t?!@db.example/protector", "password"),
            ("mysql+pymysql://u:s3/cr@t?!@db.example", "no database"),
        ] {
            let error = Dsn::parse(dsn).unwrap_err().to_string();
            assert!(error.contains(reason) && error.contains("db.example"), "{error}");
            assert!(!error.contains("s3") && !error.contains("cr@t"), "{error}");
        }
        let open = Dsn::parse("mysql+pymysql://u:s3/cr@t?!@db.example/protector").unwrap();
        assert_eq!(format!("{open} {open:?}").matches("s3").count(), 0);
        assert_eq!(open.to_string(), "'protector' on host 'db.example'");
    }
}
