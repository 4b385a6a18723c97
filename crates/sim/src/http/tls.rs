//! A certificate for a simulated service: made once, kept in a directory if one is given.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DistinguishedName, DnType, KeyPair, SanType};
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

/// A self-signed certificate with its key, both PEM.
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
    /// Make one for loopback addresses.
    pub fn make(name: &str) -> Result<Self, TlsError> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(vec!["localhost".to_owned()])?;
        params
            .subject_alt_names
            .push(SanType::IpAddress(IpAddr::V4(Ipv4Addr::LOCALHOST)));
        let mut subject = DistinguishedName::new();
        subject.push(DnType::CommonName, name);
        params.distinguished_name = subject;
        let certificate = params.self_signed(&key)?;
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
