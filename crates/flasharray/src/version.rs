//! Which version of the interface is spoken.

use std::fmt;

/// A version 2.x; compared as a number, so that 2.4 is older than 2.26.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(u32);

impl Version {
    /// The oldest that has array connections and snapshots that are sent at once.
    pub const OLDEST: Version = Version(4);
    /// The newest whose calls this client was written for.
    pub const NEWEST: Version = Version(26);
    /// New volumes join the array's default protection from here on, unless told not to.
    pub const DEFAULT_PROTECTION: Version = Version(16);

    /// 2.`minor`.
    pub fn minor(minor: u32) -> Self {
        Version(minor)
    }

    fn parse(text: &str) -> Option<Self> {
        text.trim().strip_prefix("2.")?.parse().ok().map(Version)
    }

    /// The highest one that both sides know. Whatever isn't a released 2.x is passed over.
    pub(crate) fn choose<'a>(offered: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        offered
            .into_iter()
            .filter_map(Self::parse)
            .filter(|version| (Self::OLDEST..=Self::NEWEST).contains(version))
            .max()
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "2.{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_common_version_is_chosen_as_a_number() {
        let choose = |offered: &[&str]| Version::choose(offered.iter().copied()).map(|v| v.to_string());
        assert_eq!(
            choose(&["1.19", "2.2", "2.4", "2.11", "2.9"]).as_deref(),
            Some("2.11")
        );
        assert_eq!(
            choose(&["2.26", "2.58", "2.DEV", "2.X", ""]).as_deref(),
            Some("2.26")
        );
        assert_eq!(choose(&["2.4"]).as_deref(), Some("2.4"));
        assert_eq!(choose(&["1.19", "2.0", "2.3", "3.5", "nonsense"]), None);
    }
}
