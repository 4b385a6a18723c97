//! The rules of the API, as the code has them; `policy.yaml` goes over them.
//!
//! The sixteen rules that the documentation prints stand first and word by word. Those that it lacks follow: what
//! belongs to a project is its own, what belongs to the site is the administrator's.

use protector_oslo::policy::{Operation, RuleDefault};

const fn op(method: &'static str, path: &'static str) -> Operation {
    Operation { method, path }
}

macro_rules! rules {
    ($($name:literal = $check:literal, $description:literal, [$($method:ident $path:literal),*];)*) => {
        &[$(RuleDefault {
            name: $name,
            check: $check,
            description: $description,
            operations: &[$(op(stringify!($method), $path)),*],
        }),*]
    };
}

/// All rules, in the order of the sample file.
#[rustfmt::skip]
pub const RULES: &[RuleDefault] = rules! {
    "context_is_admin" = "role:admin", "Who counts as an administrator.", [];
    "admin_or_owner" = "is_admin:True or project_id:%(project_id)s", "Administrators, and users of the project that the object belongs to.", [];
    "default" = "rule:admin_or_owner", "For every rule that refers to it, and for every name that has no rule.", [];

    "protector:protection_groups:index" = "rule:default", "List protection groups.", [GET "/v1/{project}/protection-groups"];
    "protector:protection_groups:show" = "rule:default", "Show a protection group.", [GET "/v1/{project}/protection-groups/{group}"];
    "protector:protection_groups:create" = "rule:default", "Create a protection group.", [POST "/v1/{project}/protection-groups"];
    "protector:protection_groups:update" = "rule:default", "Change name or description of a protection group.", [PATCH "/v1/{project}/protection-groups/{group}"];
    "protector:protection_groups:delete" = "rule:default", "Delete a protection group.", [DELETE "/v1/{project}/protection-groups/{group}"];
    "protector:members:index" = "rule:default", "List the members of a protection group.", [GET "/v1/{project}/protection-groups/{group}/members"];
    "protector:members:create" = "rule:default", "Add a server to a protection group.", [POST "/v1/{project}/protection-groups/{group}/members"];
    "protector:members:delete" = "rule:default", "Remove a server from a protection group.", [DELETE "/v1/{project}/protection-groups/{group}/members/{member}"];
    "protector:operations:index" = "rule:default", "List operations.", [GET "/v1/{project}/operations"];
    "protector:operations:show" = "rule:default", "Show an operation.", [GET "/v1/{project}/operations/{operation}"];
    "protector:operations:action" = "rule:default", "Start an operation on a protection group; cancel, retry or resolve one.", [POST "/v1/{project}/protection-groups/{group}/action", POST "/v1/{project}/operations/{operation}/action"];
    "protector:policies:show" = "rule:default", "Show the replication policy of a protection group.", [GET "/v1/{project}/protection-groups/{group}/policy"];
    "protector:policies:create" = "rule:default", "Attach a replication policy to a protection group.", [POST "/v1/{project}/protection-groups/{group}/policy"];

    "protector:operations:preflight" = "rule:default", "Look at what an operation on a protection group would find.", [POST "/v1/{project}/protection-groups/{group}/preflight"];
    "protector:members:show" = "rule:default", "Show a member of a protection group.", [GET "/v1/{project}/protection-groups/{group}/members/{member}"];
    "protector:consistency_groups:show" = "rule:default", "Show the consistency group of a protection group.", [GET "/v1/{project}/protection-groups/{group}/consistency-group"];
    "protector:mappings:show" = "rule:default", "Show the resource mappings of a protection group.", [GET "/v1/{project}/protection-groups/{group}/mappings"];
    "protector:mappings:update" = "rule:default", "Change the resource mappings of a protection group.", [PUT "/v1/{project}/protection-groups/{group}/mappings"];
    "protector:sync:show" = "rule:default", "Show how far the two sites agree about a protection group.", [GET "/v1/{project}/protection-groups/{group}/sync"];
    "protector:sync:update" = "rule:default", "Carry nonces, statements and receipts between the sites.", [POST "/v1/{project}/protection-groups/{group}/sync"];
    "protector:sync:log" = "rule:default", "Show the history of a protection group's metadata.", [GET "/v1/{project}/protection-groups/{group}/sync-log"];
    "protector:metadata:show" = "rule:default", "Export the metadata of a protection group.", [GET "/v1/{project}/protection-groups/{group}/metadata"];
    "protector:metadata:update" = "rule:default", "Import the metadata of a protection group from the other site.", [PUT "/v1/{project}/protection-groups/{group}/metadata"];

    "protector:sites:index" = "rule:default", "List the sites, as a user.", [GET "/v1/{project}/sites"];
    "protector:sites:show" = "rule:default", "Show a site, as a user.", [GET "/v1/{project}/sites/{site}"];
    "protector:admin:sites:index" = "rule:context_is_admin", "List the sites, as an administrator.", [GET "/v1/admin/sites"];
    "protector:admin:sites:show" = "rule:context_is_admin", "Show a site, as an administrator.", [GET "/v1/admin/sites/{site}"];
    "protector:sites:create" = "rule:context_is_admin", "Register a site.", [POST "/v1/admin/sites"];
    "protector:sites:update" = "rule:context_is_admin", "Change a site.", [PATCH "/v1/admin/sites/{site}"];
    "protector:sites:delete" = "rule:context_is_admin", "Remove a site.", [DELETE "/v1/admin/sites/{site}"];
    "protector:sites:validate" = "rule:context_is_admin", "Look whether a site has what protection needs.", [POST "/v1/admin/sites/{site}/validate"];
    "protector:sites:volume_types" = "rule:context_is_admin", "List the volume types of a site that can be protected.", [GET "/v1/admin/sites/{site}/volume-types"];
    "protector:tenant_mappings:index" = "rule:context_is_admin", "List tenant mappings.", [GET "/v1/{project}/tenant-mappings"];
    "protector:tenant_mappings:show" = "rule:context_is_admin", "Show a tenant mapping.", [GET "/v1/{project}/tenant-mappings/{mapping}"];
    "protector:tenant_mappings:create" = "rule:context_is_admin", "Link a project here with one of another site.", [POST "/v1/{project}/tenant-mappings"];
    "protector:tenant_mappings:delete" = "rule:context_is_admin", "Remove a tenant mapping.", [DELETE "/v1/{project}/tenant-mappings/{mapping}"];
};
