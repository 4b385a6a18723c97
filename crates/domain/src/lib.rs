//! What disaster recovery is about, and nothing else: no I/O, no clock, no randomness.
//!
//! A *group* protects servers between two *sites*. What both sites must agree on is its [`Document`];
//! what each site knows for itself stands beside it in [`Group`]. States are enums with one transition
//! function each, so that an illegal change is an error where it is made and not a surprise later.

pub mod bundle;
pub mod document;
pub mod fence;
pub mod group;
pub mod ids;
pub mod lost;
pub mod mapping;
pub mod member;
pub mod operation;
pub mod policy;
pub mod preflight;
pub mod protocol;
pub mod signed;
pub mod site;
pub mod sync;
pub mod tenant;
pub mod work;

pub use bundle::{Bundle, BundleError, Checksum};
pub use document::{Document, Intent, IntentState, SiteRef, Stamp, VolumeTypeRef};
pub use fence::Fence;
pub use group::{
    ConsistencyGroup, ConsistencyGroupStatus, Group, GroupStatus, IllegalTransition, ReplicationType,
};
pub use ids::*;
pub use lost::{Change, LostEdit, Mapped, Standing};
pub use mapping::Mappings;
pub use member::{Left, Member, MemberState, MemberStatus, MemberVolume};
pub use operation::{Operation, OperationKind, OperationStatus, Outcome, Phase, StepError, StepReport};
pub use policy::{ArraySide, Policy, PolicyStatus};
pub use preflight::{Check, Finding, Preflight, Severity};
pub use signed::Signed;
pub use site::{Site, SiteStatus, SiteType};
pub use sync::{Grave, Nonce, Receipt, Statement, SyncEntry, SyncState, SyncStatus, Tombstone};
pub use tenant::TenantMapping;
pub use work::{FailoverOrder, Work};
