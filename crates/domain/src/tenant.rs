//! Projects have other ids in another Keystone; an administrator says which belong together.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::ids::{ProjectId, SiteId, TenantMappingId};

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantMapping {
    pub id: TenantMappingId,
    pub local_tenant: ProjectId,
    pub remote_site: SiteId,
    pub remote_tenant: ProjectId,
    pub description: String,
    pub created_at: DateTime<Utc>,
}
