//! Which thing of one cloud stands for which thing of the other.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Maps from the source's name or id to the target's name or id. What isn't named is matched by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Mappings {
    pub networks: BTreeMap<String, String>,
    pub flavors: BTreeMap<String, String>,
    pub security_groups: BTreeMap<String, String>,
    pub keypairs: BTreeMap<String, String>,
    pub availability_zones: BTreeMap<String, String>,
}

impl Mappings {
    /// For the way back: from the target's names to the source's. Of several that lead to one name the first is taken.
    pub fn inverted(&self) -> Mappings {
        fn turn(there: &BTreeMap<String, String>) -> BTreeMap<String, String> {
            there
                .iter()
                .rev()
                .map(|(from, to)| (to.clone(), from.clone()))
                .collect()
        }
        Mappings {
            networks: turn(&self.networks),
            flavors: turn(&self.flavors),
            security_groups: turn(&self.security_groups),
            keypairs: turn(&self.keypairs),
            availability_zones: turn(&self.availability_zones),
        }
    }

    /// The mappings of one call laid over the group's own.
    pub fn overridden_by(&self, other: &Mappings) -> Mappings {
        fn lay(base: &BTreeMap<String, String>, over: &BTreeMap<String, String>) -> BTreeMap<String, String> {
            let mut all = base.clone();
            all.extend(over.iter().map(|(k, v)| (k.clone(), v.clone())));
            all
        }
        Mappings {
            networks: lay(&self.networks, &other.networks),
            flavors: lay(&self.flavors, &other.flavors),
            security_groups: lay(&self.security_groups, &other.security_groups),
            keypairs: lay(&self.keypairs, &other.keypairs),
            availability_zones: lay(&self.availability_zones, &other.availability_zones),
        }
    }
}
