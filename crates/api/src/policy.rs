//! The rules of the API and their defaults. An operator's `policy.yaml` overrides them by name.

use protector_oslo::policy::RuleDefault;

const fn rule(name: &'static str, check: &'static str, description: &'static str) -> RuleDefault {
    RuleDefault { name, check, description, operations: &[] }
}

const OWNER: &str = "rule:default";
const ADMIN: &str = "rule:context_is_admin";

pub const RULES: &[RuleDefault] = &[
    rule("context_is_admin", "role:admin", "Who administers the service."),
    rule("admin_or_owner", "is_admin:True or project_id:%(project_id)s", "Administrators, and the project itself."),
    rule("default", "rule:admin_or_owner", "What applies where no other rule does."),
    rule("protector:protection_groups:index", OWNER, "List protection groups."),
    rule("protector:protection_groups:show", OWNER, "Show a protection group."),
    rule("protector:protection_groups:create", OWNER, "Create a protection group."),
    rule("protector:protection_groups:update", OWNER, "Change a protection group's name, description or mappings."),
    rule("protector:protection_groups:delete", OWNER, "Delete a protection group."),
    rule("protector:members:index", OWNER, "List the members of a protection group."),
    rule("protector:members:show", OWNER, "Show a member."),
    rule("protector:members:create", OWNER, "Add a server to a protection group."),
    rule("protector:members:delete", OWNER, "Take a server out of a protection group."),
    rule("protector:operations:index", OWNER, "List operations."),
    rule("protector:operations:show", OWNER, "Show an operation."),
    rule("protector:operations:action", OWNER, "Start an operation."),
    rule("protector:policies:show", OWNER, "Show a replication policy, without its tokens."),
    rule("protector:policies:create", OWNER, "Attach a replication policy."),
    rule("protector:mappings:show", OWNER, "Show a protection group's mappings."),
    rule("protector:consistency_groups:show", OWNER, "Show the pair of Cinder groups."),
    rule("protector:metadata:export", OWNER, "Take a protection group's bundle out."),
    rule("protector:metadata:import", OWNER, "Bring the other site's bundle in."),
    rule("protector:sync:show", OWNER, "Show how the two sites stand, and the sync history."),
    rule("protector:sync:exchange", OWNER, "Exchange nonces, statements and receipts."),
    rule("protector:sites:index", OWNER, "List the sites, as a tenant."),
    rule("protector:sites:admin", ADMIN, "Register, change, validate and delete sites."),
    rule("protector:tenant_mappings:admin", ADMIN, "Write and read tenant mappings."),
];
