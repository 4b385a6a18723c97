//! A certificate for a simulated service: made once, kept in a directory if one is given.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, IsCa, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// It couldn't be made.
    #[error("a certificate can't be made")]
    Make(#[from] rcgen::Error),
    /// A file of the directory couldn't be read or written.
    #[error("the certificate's file {path} can't be read or written")]
    File {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file holds something else.
    #[error("the certificate or its key is not PEM")]
    Pem(#[from] rustls::pki_types::pem::Error),
    /// The TLS library refuses it.
    #[error("the certificate can't be used")]
    Rustls(#[from] rustls::Error),
}

/// A certificate with its key, both PEM.
#[derive(Clone)]
pub struct Certificate {
    /// The certificate; a client that is to trust the service needs it.
    pub certificate: String,
    key: String,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").finish_non_exhaustive()
    }
}

impl Certificate {
    /// Make one for loopback addresses that nobody has signed but itself.
    pub fn make(name: &str) -> Result<Self, TlsError> {
        let key = KeyPair::generate()?;
        let certificate = for_loopback(name)?.self_signed(&key)?;
        Ok(Self {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }

    /// Read the one of this directory, or make it there. A restart keeps it, so clients may pin it.
    pub fn in_dir(dir: &Path, name: &str) -> Result<Self, TlsError> {
        let certificate = dir.join(format!("{name}.crt"));
        let key = dir.join(format!("{name}.key"));
        let fails = |path: &Path| {
            let path = path.to_owned();
            move |source| TlsError::File { path, source }
        };
        if certificate.exists() && key.exists() {
            return Ok(Self {
                certificate: std::fs::read_to_string(&certificate).map_err(fails(&certificate))?,
                key: std::fs::read_to_string(&key).map_err(fails(&key))?,
            });
        }
        std::fs::create_dir_all(dir).map_err(fails(dir))?;
        let made = Self::make(name)?;
        let mut private = OpenOptions::new();
        private.create(true).write(true).truncate(true).mode(0o600);
        private
            .open(&key)
            .and_then(|mut file| file.write_all(made.key.as_bytes()))
            .map_err(fails(&key))?;
        std::fs::write(&certificate, &made.certificate).map_err(fails(&certificate))?;
        Ok(made)
    }

    /// What a listener needs. Only HTTP/1.1 is offered: it is what the real services speak.
    pub(super) fn server_config(&self) -> Result<Arc<ServerConfig>, TlsError> {
        let certificate = CertificateDer::from_pem_slice(self.certificate.as_bytes())?;
        let key = PrivateKeyDer::from_pem_slice(self.key.as_bytes())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }
}

/// A private certificate authority: who is to trust what it has issued needs its certificate.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Authority").finish_non_exhaustive()
    }
}

impl Authority {
    /// A new one.
    pub fn make(name: &str) -> Result<Self, TlsError> {
        let mut params = CertificateParams::new(Vec::new())?;
        params.distinguished_name = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(Self(CertifiedIssuer::self_signed(params, KeyPair::generate()?)?))
    }

    /// Its own certificate, PEM.
    #[must_use]
    pub fn certificate(&self) -> String {
        self.0.pem()
    }

    /// A certificate for loopback addresses.
    pub fn issue(&self, name: &str) -> Result<Certificate, TlsError> {
        let key = KeyPair::generate()?;
        let certificate = for_loopback(name)?.signed_by(&key, &self.0)?;
        Ok(Certificate {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
        })
    }
}

fn for_loopback(name: &str) -> Result<CertificateParams, TlsError> {
    let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
    params
        .subject_alt_names
        .push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    params.distinguished_name = named(name);
    Ok(params)
}

fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}
