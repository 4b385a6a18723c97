//! Storage drivers: what disaster recovery asks of a pair of arrays, in the arrays' own calls.
//!
//! There is one driver so far, `pure`, for the asynchronous replication of FlashArrays. [`driver`] finds a
//! driver by the word that stands in the configuration.

mod config;
mod failure;
mod names;
mod pure;

use std::sync::Arc;

use protector_flasharray::ConfigError;
use protector_ports::Array;

pub use config::DriverConfig;
pub use pure::PureDriver;

/// The words that [`driver`] knows.
pub const DRIVERS: &[&str] = &["pure"];

/// A driver can't be had.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    #[error("There is no storage driver '{name}'; known are: {}.", DRIVERS.join(", "))]
    Unknown { name: String },
    #[error("The storage driver '{name}' can't be set up.")]
    Config {
        name: String,
        #[source]
        source: ConfigError,
    },
}

/// The driver that a configuration calls by this name.
pub fn driver(name: &str, config: DriverConfig) -> Result<Arc<dyn Array>, DriverError> {
    match name {
        "pure" => match PureDriver::new(config) {
            Ok(driver) => Ok(Arc::new(driver)),
            Err(source) => Err(DriverError::Config {
                name: name.to_owned(),
                source,
            }),
        },
        _ => Err(DriverError::Unknown {
            name: name.to_owned(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drivers_are_found_by_their_words() {
        for name in DRIVERS {
            assert!(driver(name, DriverConfig::default()).is_ok(), "{name}");
        }
        let error = driver("floppy", DriverConfig::default()).err().unwrap();
        assert_eq!(
            error.to_string(),
            "There is no storage driver 'floppy'; known are: pure."
        );
    }
}
