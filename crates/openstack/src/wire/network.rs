//! Neutron v2.0. Owners may be `""` for what belongs to nobody.

use protector_domain::{NetworkId, PortId, SecurityGroupId, SubnetId};
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct PortBody {
    pub port: Port,
}

#[derive(Deserialize)]
pub(crate) struct Port {
    pub id: PortId,
    pub name: Option<String>,
    pub description: Option<String>,
    pub network_id: NetworkId,
    pub mac_address: Option<String>,
    pub fixed_ips: Option<Vec<FixedIp>>,
    pub security_groups: Option<Vec<SecurityGroupId>>,
    pub allowed_address_pairs: Option<Vec<AddressPair>>,
    /// Absent where the extension isn't loaded, and then always on.
    pub port_security_enabled: Option<bool>,
    #[serde(rename = "binding:vnic_type")]
    pub vnic_type: Option<String>,
    pub device_id: Option<String>,
    pub device_owner: Option<String>,
    pub project_id: Option<String>,
    pub tenant_id: Option<String>,
    pub status: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct FixedIp {
    pub subnet_id: SubnetId,
    pub ip_address: String,
}

#[derive(Deserialize)]
pub(crate) struct AddressPair {
    pub ip_address: String,
    pub mac_address: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct Network {
    pub id: NetworkId,
    pub name: Option<String>,
    pub project_id: Option<String>,
    pub tenant_id: Option<String>,
    pub shared: Option<bool>,
    #[serde(rename = "router:external")]
    pub external: Option<bool>,
    pub subnets: Option<Vec<SubnetId>>,
}

#[derive(Deserialize)]
pub(crate) struct Subnet {
    pub id: SubnetId,
    pub name: Option<String>,
    pub network_id: NetworkId,
    pub cidr: Option<String>,
    pub ip_version: Option<u8>,
    pub gateway_ip: Option<String>,
    pub ipv6_address_mode: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct SecurityGroup {
    pub id: SecurityGroupId,
    pub name: Option<String>,
    pub project_id: Option<String>,
    pub tenant_id: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct QuotaBody {
    pub quota: Quotas,
}

#[derive(Deserialize)]
pub(crate) struct Quotas {
    pub port: Option<super::Quota>,
}
