//! The section `[keystone_authtoken]`, by the names that every OpenStack service uses.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use url::Url;

use crate::config::{Config, Declaration, Opt};

const GROUP: &str = "keystone_authtoken";

const WWW_AUTHENTICATE_URI: Opt<Option<String>> = Opt::uri(GROUP, "www_authenticate_uri")
    .deprecated(&[(GROUP, "auth_uri")])
    .help("The public identity endpoint, told to clients whose token was refused. Usually the same as auth_url.");
const AUTH_URL: Opt<Option<String>> =
    Opt::uri(GROUP, "auth_url").help("This site's Keystone, which validates tokens.");
const AUTH_TYPE: Opt<String> = Opt::string(GROUP, "auth_type")
    .default("password")
    .choices(&["password", "v3password"])
    .deprecated(&[(GROUP, "auth_plugin")])
    .help("How the service signs in to Keystone.");
const USERNAME: Opt<Option<String>> = Opt::string(GROUP, "username")
    .deprecated(&[(GROUP, "user_name"), (GROUP, "user-name")])
    .help("The service's user. It needs a role that may validate tokens: admin or service.");
const PASSWORD: Opt<Option<SecretString>> =
    Opt::secret(GROUP, "password").help("The password of the service's user.");
const PROJECT_NAME: Opt<Option<String>> = Opt::string(GROUP, "project_name")
    .deprecated(&[(GROUP, "tenant_name")])
    .help("The project that the service signs in to.");
const USER_DOMAIN_NAME: Opt<String> = Opt::string(GROUP, "user_domain_name")
    .default("Default")
    .help("The domain of the service's user.");
const PROJECT_DOMAIN_NAME: Opt<String> = Opt::string(GROUP, "project_domain_name")
    .default("Default")
    .help("The domain of the service's project.");
const REGION_NAME: Opt<Option<String>> =
    Opt::string(GROUP, "region_name").help("The region of this site, where one Keystone has several.");
const CAFILE: Opt<Option<String>> = Opt::string(GROUP, "cafile")
    .help("A PEM file with the authorities that Keystone's certificate is checked against.");
const INSECURE: Opt<bool> = Opt::boolean(GROUP, "insecure")
    .default("False")
    .help("Don't check Keystone's certificate. For experiments only.");
const TOKEN_CACHE_TIME: Opt<i64> = Opt::integer(GROUP, "token_cache_time")
    .default("300")
    .min(-1)
    .max(86400)
    .help("Seconds for which an answer about a token is kept, and so a revoked token may still work. -1: not kept.");
const MEMCACHED_SERVERS: Opt<Option<Vec<String>>> = Opt::list(GROUP, "memcached_servers")
    .deprecated(&[(GROUP, "memcache_servers")])
    .help("Read for compatibility: answers about tokens are cached in the process, so that no cache server can fail.");
const HTTP_CONNECT_TIMEOUT: Opt<i64> = Opt::integer(GROUP, "http_connect_timeout")
    .default("5")
    .min(1)
    .max(300)
    .help("Seconds to wait for a connection to Keystone.");
const HTTP_REQUEST_TIMEOUT: Opt<i64> = Opt::integer(GROUP, "http_request_timeout")
    .default("20")
    .min(1)
    .max(600)
    .help("Seconds to wait for an answer of Keystone.");

/// For the schema of a service.
pub const OPTIONS: &[Declaration] = &[
    *WWW_AUTHENTICATE_URI.declaration(),
    *AUTH_URL.declaration(),
    *AUTH_TYPE.declaration(),
    *USERNAME.declaration(),
    *PASSWORD.declaration(),
    *PROJECT_NAME.declaration(),
    *USER_DOMAIN_NAME.declaration(),
    *PROJECT_DOMAIN_NAME.declaration(),
    *REGION_NAME.declaration(),
    *CAFILE.declaration(),
    *INSECURE.declaration(),
    *TOKEN_CACHE_TIME.declaration(),
    *MEMCACHED_SERVERS.declaration(),
    *HTTP_CONNECT_TIMEOUT.declaration(),
    *HTTP_REQUEST_TIMEOUT.declaration(),
];

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("[keystone_authtoken] {0} is not set; without it no token can be validated")]
    Missing(&'static str),
    #[error("[keystone_authtoken] auth_url must be an http or https URL")]
    AuthUrl,
    #[error("[keystone_authtoken] cafile {}: cannot be read", path.display())]
    CaFile { path: PathBuf, source: std::io::Error },
    #[error("[keystone_authtoken] cafile {}: holds no certificate in PEM form", path.display())]
    NoCertificate { path: PathBuf },
    #[error("the HTTP client for Keystone can't be made")]
    Client(#[source] reqwest::Error),
}

/// What a [`KeystoneValidator`](super::KeystoneValidator) needs to know.
#[derive(Debug, Clone)]
pub struct KeystoneSettings {
    /// Ends with `/v3`, however it was written.
    pub auth_url: Url,
    pub www_authenticate_uri: String,
    pub username: String,
    pub password: SecretString,
    pub user_domain_name: String,
    pub project_name: String,
    pub project_domain_name: String,
    pub region_name: Option<String>,
    pub cafile: Option<PathBuf>,
    pub insecure: bool,
    pub cache_time: Duration,
    pub connect_timeout: Duration,
    pub request_timeout: Duration,
    /// The service's own type: a valid token whose catalog lacks it is worth a line in the log.
    pub service_type: Option<String>,
}

impl KeystoneSettings {
    pub fn from_config(config: &Config) -> Result<Self, SettingsError> {
        let written = config.get(&AUTH_URL).ok_or(SettingsError::Missing("auth_url"))?;
        let www_authenticate_uri = config
            .get(&WWW_AUTHENTICATE_URI)
            .unwrap_or_else(|| written.clone());
        Ok(KeystoneSettings {
            auth_url: versioned(&written)?,
            www_authenticate_uri,
            username: config.get(&USERNAME).ok_or(SettingsError::Missing("username"))?,
            password: config.get(&PASSWORD).ok_or(SettingsError::Missing("password"))?,
            user_domain_name: config.get(&USER_DOMAIN_NAME),
            project_name: config
                .get(&PROJECT_NAME)
                .ok_or(SettingsError::Missing("project_name"))?,
            project_domain_name: config.get(&PROJECT_DOMAIN_NAME),
            region_name: config.get(&REGION_NAME),
            cafile: config.get(&CAFILE).map(PathBuf::from),
            insecure: config.get(&INSECURE),
            cache_time: seconds(config.get(&TOKEN_CACHE_TIME)),
            connect_timeout: seconds(config.get(&HTTP_CONNECT_TIMEOUT)),
            request_timeout: seconds(config.get(&HTTP_REQUEST_TIMEOUT)),
            service_type: None,
        })
    }

    pub fn service_type(mut self, service_type: impl Into<String>) -> Self {
        self.service_type = Some(service_type.into());
        self
    }
}

fn seconds(number: i64) -> Duration {
    Duration::from_secs(u64::try_from(number).unwrap_or(0))
}

/// `http://c:5000`, `.../`, `.../v3`, `http://c/identity` and `.../v2.0` all occur in the wild.
fn versioned(written: &str) -> Result<Url, SettingsError> {
    let mut url = Url::parse(written).map_err(|_| SettingsError::AuthUrl)?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(SettingsError::AuthUrl);
    }
    let path = url.path().trim_end_matches('/');
    let root = path
        .strip_suffix("/v3")
        .or_else(|| path.strip_suffix("/v2.0"))
        .unwrap_or(path);
    let path = format!("{root}/v3");
    url.set_path(&path);
    url.set_query(None);
    url.set_fragment(None);
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Schema, Sources};

    fn settings(variables: &[(&str, &str)]) -> Result<KeystoneSettings, SettingsError> {
        let sources = variables
            .iter()
            .fold(Sources::default(), |sources, (name, value)| {
                sources.variable(format!("OS_KEYSTONE_AUTHTOKEN__{name}"), *value)
            });
        KeystoneSettings::from_config(&Schema::new().with_all(OPTIONS).load(&sources).unwrap())
    }

    #[test]
    fn the_documented_section_is_enough() {
        let found = settings(&[
            ("AUTH_URL", "http://controller:5000"),
            ("USERNAME", "protector"),
            ("PASSWORD", "secret-word"),
            ("PROJECT_NAME", "service"),
        ])
        .unwrap();
        assert_eq!(found.auth_url.as_str(), "http://controller:5000/v3");
        assert_eq!(found.www_authenticate_uri, "http://controller:5000");
        assert_eq!(found.cache_time, Duration::from_secs(300));
        assert!(!format!("{found:?}").contains("secret-word"));
    }

    #[test]
    fn what_is_missing_is_named() {
        let error = settings(&[("AUTH_URL", "http://c:5000")])
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "[keystone_authtoken] username is not set; without it no token can be validated"
        );
        assert!(matches!(settings(&[]), Err(SettingsError::Missing("auth_url"))));
    }

    #[test]
    fn every_way_to_write_the_url_ends_at_v3() {
        for (written, meant) in [
            ("http://c:5000/", "http://c:5000/v3"),
            ("http://c:5000/v3", "http://c:5000/v3"),
            ("http://c:5000/v3/", "http://c:5000/v3"),
            ("https://c/identity", "https://c/identity/v3"),
            ("http://c:5000/v2.0", "http://c:5000/v3"),
        ] {
            assert_eq!(versioned(written).unwrap().as_str(), meant);
        }
        assert!(versioned("ldap://c").is_err());
    }
}
