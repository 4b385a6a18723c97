//! The adapters behind the ports, made from the configuration.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use protector_arrays::DriverConfig;
use protector_bus::{AddressError, Broker};
use protector_openstack::{AddressPolicy, ClientConfig, OpenStackClient};
use protector_oslo::config::Config;
use protector_oslo::token::KeystoneSettings;
use protector_ports::cloud::Credentials;
use protector_ports::secrets::{PeerKeys, SealError, Sealer};
use protector_ports::{Array, Cloud, Directory, Store, SystemClock};
use protector_secrets::{KeyRing, SiteKeys, seal_for, verify};
use protector_store::{Dsn, SqlStore, sqlite_dsn};
use protector_workflows::{ImportAs, Options, Workflows};
use secrecy::{ExposeSecret, SecretString};

use crate::options as opt;

/// The store's sealer is the key repository.
struct Ring(KeyRing);

impl Sealer for Ring {
    fn seal(&self, plain: &SecretString, aad: &str) -> Result<String, SealError> {
        self.0
            .seal(plain, aad)
            .map_err(|error| SealError(error.to_string()))
    }

    fn open(&self, sealed: &str, aad: &str) -> Result<SecretString, SealError> {
        self.0
            .open(sealed, aad)
            .map_err(|error| SealError(error.to_string()))
    }
}

/// The site's own pair of keys signs what it says, and opens what is sealed for it.
struct Pair(SiteKeys);

impl PeerKeys for Pair {
    fn sign(&self, words: &str) -> String {
        self.0.sign(words)
    }

    fn verify(&self, public_key: &str, words: &str, signature: &str) -> Result<(), SealError> {
        verify(public_key, words, signature).map_err(|error| SealError(error.to_string()))
    }

    fn seal_for(&self, public_key: &str, plain: &SecretString, context: &str) -> Result<String, SealError> {
        seal_for(public_key, plain, context).map_err(|error| SealError(error.to_string()))
    }

    fn open(&self, sealed: &str, context: &str) -> Result<SecretString, SealError> {
        self.0
            .open(sealed, context)
            .map_err(|error| SealError(error.to_string()))
    }
}

pub(crate) fn key_repository(config: &Config) -> PathBuf {
    PathBuf::from(config.get(&opt::KEY_REPOSITORY))
}

/// The private half of the site's identity, beside the key ring.
pub(crate) fn site_key(config: &Config) -> PathBuf {
    key_repository(config).join("site.key")
}

/// The site's pair of keys. Another site's would open nothing that is sealed for this one, and nobody would notice
/// before the day of the disaster: so it is compared with the public key that this site shows.
pub(crate) fn peers(config: &Config, public_key: Option<&str>) -> Result<Arc<dyn PeerKeys>> {
    Ok(Arc::new(own_pair(&site_key(config), public_key)?))
}

fn own_pair(path: &Path, public_key: Option<&str>) -> Result<Pair> {
    let keys = SiteKeys::load(path).context("[secrets] key_repository")?;
    if public_key.is_some_and(|shown| shown != keys.public_key_base64()) {
        anyhow::bail!(
            "[secrets] key_repository: {} is not the key of the site that the database belongs to: restore it from a backup, \
             or name the right directory",
            path.display()
        );
    }
    Ok(Pair(keys))
}

/// This site's own database.
pub(crate) fn dsn(config: &Config) -> Result<Dsn> {
    let Some(connection) = config.get(&opt::CONNECTION) else {
        return Ok(sqlite_dsn(
            &Path::new(&config.get(&opt::STATE_PATH)).join("protector.db"),
        ));
    };
    Dsn::parse(connection.expose_secret()).context("[database] connection")
}

pub(crate) async fn store(config: &Config) -> Result<Arc<SqlStore>> {
    let ring = KeyRing::load(&key_repository(config)).context("[secrets] key_repository")?;
    let store = SqlStore::connect(&dsn(config)?, Arc::new(Ring(ring)))
        .await
        .context("[database] connection")?;
    Ok(Arc::new(store))
}

/// Whether clouds and arrays may be on this machine: refused unless the configuration names loopback.
fn allows_loopback(config: &Config) -> Result<bool> {
    let mut allowed = false;
    for network in config.get(&opt::ALLOWED_NETWORKS) {
        let place =
            || format!("[security] allowed_networks: '{network}' is not a network such as 127.0.0.0/8");
        let address = first_address(&network).with_context(place)?;
        if address.is_loopback() {
            allowed = true;
        } else {
            tracing::info!(
                "[security] allowed_networks: {network} is allowed anyway; only loopback has to be named"
            );
        }
    }
    Ok(allowed)
}

/// Of a network in CIDR notation, or of a single address.
fn first_address(network: &str) -> Option<IpAddr> {
    let (address, prefix) = network
        .split_once('/')
        .map_or((network, None), |(address, prefix)| (address, Some(prefix)));
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    match prefix {
        None => Some(address),
        Some(prefix) => prefix
            .parse::<u8>()
            .ok()
            .filter(|bits| *bits <= longest)
            .map(|_| address),
    }
}

/// The sections `[site:<name>]`, by those names.
fn site_sections(config: &Config) -> impl Iterator<Item = (&str, &str)> {
    let groups = config.groups("site:*").into_iter();
    groups.map(|group| (group, group.trim_start_matches("site:")))
}

pub(crate) fn cloud(config: &Config) -> Result<Arc<dyn Cloud>> {
    let site_cafiles = site_sections(config).filter_map(|(group, name)| {
        let cafile = config.get_in(group, &opt::SITE_CAFILE)?;
        Some((name.to_owned(), PathBuf::from(cafile)))
    });
    let client = OpenStackClient::new(ClientConfig {
        cafile: config.get(&opt::CAFILE).map(PathBuf::from),
        site_cafiles: site_cafiles.collect(),
        addresses: AddressPolicy {
            allow_loopback: allows_loopback(config)?,
        },
        ..ClientConfig::default()
    })
    .context("cafile of [security] or [site:...]")?;
    Ok(Arc::new(client))
}

pub(crate) fn array(config: &Config) -> Result<Arc<dyn Array>> {
    let driver = DriverConfig {
        cafile: config.get(&opt::STORAGE_CAFILE).map(PathBuf::from),
        verify_tls: config.get(&opt::STORAGE_VERIFY),
        allow_loopback: allows_loopback(config)?,
        min_interval_seconds: config.get(&opt::STORAGE_MIN_INTERVAL).unsigned_abs(),
        announce_poll: poll(config).min(Duration::from_secs(5)),
        ..DriverConfig::default()
    };
    protector_arrays::driver(&config.get(&opt::STORAGE_DRIVER), driver).context("[storage]")
}

pub(crate) fn poll(config: &Config) -> Duration {
    Duration::from_millis(config.get(&opt::POLL).unsigned_abs())
}

fn at_once(number: i64) -> usize {
    usize::try_from(number).unwrap_or(1)
}

/// This site's broker, if it has one.
pub(crate) fn broker(config: &Config) -> Result<Option<Broker>> {
    let url = config.get(&opt::TRANSPORT_URL);
    let broker = match url.filter(|url| !url.expose_secret().trim().is_empty()) {
        Some(url) => Broker::parse(&url).context("[DEFAULT] transport_url")?,
        None => {
            let Some(host) = config.get(&opt::RABBIT_HOST) else {
                return Ok(None);
            };
            Broker::from_parts(
                &host,
                config.get(&opt::RABBIT_PORT),
                config.get(&opt::RABBIT_USERID),
                config.get(&opt::RABBIT_PASSWORD),
                config.get(&opt::RABBIT_VHOST),
            )
            .context("[oslo_messaging_rabbit] rabbit_host")?
        }
    };
    if config.get(&opt::RABBIT_SSL) {
        return Err(AddressError::Tls).context("[oslo_messaging_rabbit] ssl");
    }
    Ok(Some(broker))
}

/// This site's region, where the configuration says it.
pub(crate) fn region(config: &Config) -> Result<Option<String>> {
    let (settings, _) = own_credentials(config)?;
    Ok(config.get(&opt::REGION_NAME).or(settings.region_name))
}

/// This site's own protector user.
pub(crate) fn own_credentials(config: &Config) -> Result<(KeystoneSettings, Credentials)> {
    let settings = KeystoneSettings::from_config(config).context("[keystone_authtoken]")?;
    let credentials = Credentials {
        username: settings.username.clone(),
        password: settings.password.clone(),
        project_name: settings.project_name.clone(),
        user_domain_name: settings.user_domain_name.clone(),
        project_domain_name: settings.project_domain_name.clone(),
    };
    Ok((settings, credentials))
}

/// Who may go where.
pub(crate) fn directory(
    config: &Config,
    store: Arc<dyn Store>,
    cloud: Arc<dyn Cloud>,
    local: protector_domain::SiteId,
) -> Result<Directory> {
    let (_, credentials) = own_credentials(config)?;
    let mut configured = BTreeMap::new();
    for (group, name) in site_sections(config) {
        let (username, password) = match (
            config.get_in(group, &opt::SITE_USERNAME),
            config.get_in(group, &opt::SITE_PASSWORD),
        ) {
            (Some(username), Some(password)) => (username, password),
            // The section may be there for its cafile alone.
            (None, None) => continue,
            _ => anyhow::bail!("section [{group}] needs username and password together"),
        };
        let credentials = Credentials {
            username,
            password,
            project_name: config.get_in(group, &opt::SITE_PROJECT),
            user_domain_name: config.get_in(group, &opt::SITE_USER_DOMAIN),
            project_domain_name: config.get_in(group, &opt::SITE_PROJECT_DOMAIN),
        };
        configured.insert(name.to_owned(), credentials);
    }
    let timeout = Duration::from_secs(config.get(&opt::CALL_TIMEOUT).unsigned_abs());
    Ok(Directory::new(
        store,
        cloud,
        local,
        credentials,
        configured,
        timeout,
    ))
}

/// What is done to clouds and arrays, and how they are looked at before.
pub(crate) fn workflows(
    config: &Config,
    store: Arc<dyn Store>,
    local: protector_domain::SiteId,
) -> Result<Workflows> {
    let options = Options {
        group_type: config.get(&opt::GROUP_TYPE),
        import_as: ImportAs::from_word(&config.get(&opt::IMPORT_AS)).unwrap_or_default(),
        poll: poll(config),
        imports_at_once: at_once(config.get(&opt::IMPORTS_AT_ONCE)),
        servers_at_once: at_once(config.get(&opt::SERVERS_AT_ONCE)),
        fencing_interval: Duration::from_millis(config.get(&opt::FENCING_INTERVAL).unsigned_abs()),
        facts_age: Duration::from_secs(config.get(&opt::FACTS_AGE).unsigned_abs()),
        receipt_patience: Duration::from_secs(config.get(&opt::RECEIPT_TIMEOUT).unsigned_abs()),
        privileged_networks: config.get(&opt::PRIVILEGED_NETWORKS),
        ..Options::default()
    };
    let (cloud, array) = (cloud(config)?, array(config)?);
    let directory = directory(config, store.clone(), cloud.clone(), local)?;
    Ok(Workflows::new(
        store,
        cloud,
        array,
        Arc::new(SystemClock),
        directory,
        options,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_has_an_address_and_a_prefix_that_fits() {
        assert!(first_address("127.0.0.0/8").unwrap().is_loopback());
        assert!(first_address("::1").unwrap().is_loopback());
        for wrong in [
            "",
            "loopback",
            "127.0.0.0/33",
            "127.0.0.0/",
            "::1/129",
            "10.0.0.0/8/8",
        ] {
            assert_eq!(first_address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_pair_of_keys_must_be_the_databases_own() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("site.key");
        let error = |public_key| format!("{:#}", own_pair(&path, public_key).err().unwrap());
        let missing = error(None);
        assert!(
            missing.contains("key_repository") && missing.contains("site.key"),
            "{missing}"
        );
        let made = SiteKeys::generate(&path).unwrap();
        let pair = own_pair(&path, Some(&made.public_key_base64())).unwrap();
        let strange = error(Some("c29tZWJvZHkgZWxzZSdz"));
        assert!(strange.contains("name the right directory"), "{strange}");

        let secret = SecretString::from("a-token");
        let sealed = pair.seal_for(&made.public_key_base64(), &secret, "c").unwrap();
        assert_eq!(pair.open(&sealed, "c").unwrap().expose_secret(), "a-token");
        assert!(pair.open(&sealed, "d").is_err());
    }
}
