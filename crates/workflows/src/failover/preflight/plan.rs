//! How the twins are to be: what a preflight finds out, kept in the journal for the steps that follow.

use std::collections::{BTreeMap, BTreeSet};

use protector_domain::{
    Finding, FlavorId, MemberId, NetworkId, PortId, ProjectId, SecurityGroupId, SubnetId,
};
use protector_ports::cloud::{AddressPair, Keypair};
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::failover) struct PortPlan {
    pub(in crate::failover) network_id: NetworkId,
    pub(in crate::failover) name: String,
    pub(in crate::failover) mac_address: String,
    pub(in crate::failover) fixed_ips: Vec<(SubnetId, Option<String>)>,
    pub(in crate::failover) security_groups: Vec<SecurityGroupId>,
    pub(in crate::failover) allowed_address_pairs: Vec<AddressPair>,
    pub(in crate::failover) port_security_enabled: bool,
    /// The network is another's, and the service makes the port for the tenant.
    pub(in crate::failover) by_service: bool,
    /// The port that this one stands for.
    pub(in crate::failover) source: PortId,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::failover) struct MemberPlan {
    pub(in crate::failover) flavor_id: FlavorId,
    pub(in crate::failover) availability_zone: Option<String>,
    pub(in crate::failover) key_name: Option<String>,
    pub(in crate::failover) ports: Vec<PortPlan>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::failover) struct TargetPlan {
    pub(in crate::failover) members: BTreeMap<MemberId, MemberPlan>,
    /// Who can't be brought up, and why.
    #[serde(default)]
    pub(in crate::failover) blocked: BTreeMap<MemberId, String>,
    pub(in crate::failover) project: ProjectId,
    /// Where the volumes are managed into, and as what.
    pub(in crate::failover) volume_host: String,
    pub(in crate::failover) volume_type: String,
    /// Names that the tenant had no keypair of before the operation began.
    #[serde(default)]
    pub(in crate::failover) missing_keypairs: BTreeSet<String>,
    /// The keypairs that the twins need, as the source has them.
    #[serde(default)]
    pub(in crate::failover) keypairs: BTreeMap<String, Keypair>,
    /// What stands in nobody's way, and should be known.
    #[serde(default)]
    pub(in crate::failover) warnings: Vec<Finding>,
}
