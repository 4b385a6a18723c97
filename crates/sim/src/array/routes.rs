//! Which calls an array knows, since which version, and with which parameters.

use super::ask::{Answer, Ask};
use super::containers::Kind;
use super::error::{ApiError, ApiResult};
use super::world::World;
use super::{appliance, containers, group_snapshots, groups, hosts, members, snapshots, tags, volumes};

type Handler = fn(&mut World, &Ask<'_>) -> ApiResult<Answer>;

/// What every list call takes.
const LIST: [&str; 8] = [
    "names",
    "filter",
    "sort",
    "limit",
    "offset",
    "continuation_token",
    "total_item_count",
    "total_only",
];

/// Parameters that came later than the calls that take them, with the minor number of the version.
const LATER: [(&str, &str, u32); 10] = [
    ("volumes", "with_default_protection", 16),
    ("volumes", "add_to_protection_group_names", 16),
    ("volumes", "add_to_protection_group_ids", 16),
    ("protection-groups", "ids", 26),
    ("protection-groups/volumes", "group_ids", 26),
    ("protection-groups/volumes", "member_ids", 9),
    ("protection-group-snapshots", "replicate", 4),
    ("protection-group-snapshots", "replicate_now", 4),
    ("protection-group-snapshots", "for_replication", 4),
    ("protection-group-snapshots", "allow_throttle", 25),
];

struct Route {
    method: &'static str,
    path: &'static str,
    /// The minor number of the first version that has it.
    since: u32,
    /// Its parameters besides those of all lists, for a `GET`; all of them otherwise.
    parameters: &'static [&'static str],
    handler: Handler,
}

const fn route(
    method: &'static str,
    path: &'static str,
    since: u32,
    parameters: &'static [&'static str],
    handler: Handler,
) -> Route {
    Route {
        method,
        path,
        since,
        parameters,
        handler,
    }
}

const NAMES: &[&str] = &["names", "ids"];
const GROUP_MEMBERS: &[&str] = &["group_names", "group_ids", "member_names", "member_ids"];
const TARGETS: &[&str] = &["group_names", "group_ids", "member_names"];
const TAGS: &[&str] = &["resource_names", "resource_ids", "namespaces", "keys"];
const ENDS: &[&str] = &["host_names", "host_group_names", "volume_names", "volume_ids"];

const ROUTES: &[Route] = &[
    route("GET", "arrays", 0, &["ids"], appliance::arrays),
    route(
        "GET",
        "arrays/space",
        0,
        &["ids", "start_time", "end_time", "resolution"],
        appliance::space,
    ),
    route(
        "GET",
        "arrays/performance",
        0,
        &[
            "ids",
            "start_time",
            "end_time",
            "resolution",
            "protocol",
            "protocol_group",
        ],
        appliance::performance,
    ),
    route("GET", "array-connections", 4, &["ids"], appliance::connections),
    route("GET", "controllers", 0, &[], |_, ask| {
        Ok(appliance::controllers(ask))
    }),
    route("GET", "ports", 0, &[], appliance::ports),
    route("GET", "network-interfaces", 0, &[], |_, _| {
        Ok(Answer::List(Vec::new()))
    }),
    route("GET", "volumes", 0, &["ids", "destroyed"], volumes::get),
    route(
        "POST",
        "volumes",
        0,
        &[
            "names",
            "overwrite",
            "with_default_protection",
            "add_to_protection_group_names",
            "add_to_protection_group_ids",
        ],
        volumes::post,
    ),
    route(
        "PATCH",
        "volumes",
        0,
        &["names", "ids", "truncate"],
        volumes::patch,
    ),
    route("DELETE", "volumes", 0, NAMES, volumes::delete),
    route("GET", "volumes/tags", 2, TAGS, tags::get),
    route("PUT", "volumes/tags/batch", 2, TAGS, tags::put_batch),
    route("DELETE", "volumes/tags", 2, TAGS, tags::delete),
    route(
        "GET",
        "volumes/protection-groups",
        1,
        GROUP_MEMBERS,
        members::get_volumes,
    ),
    route(
        "POST",
        "volumes/protection-groups",
        1,
        GROUP_MEMBERS,
        members::post_volumes,
    ),
    route(
        "DELETE",
        "volumes/protection-groups",
        1,
        GROUP_MEMBERS,
        members::delete_volumes,
    ),
    route(
        "GET",
        "volume-snapshots",
        0,
        &["ids", "destroyed", "source_names", "source_ids"],
        snapshots::get,
    ),
    route(
        "POST",
        "volume-snapshots",
        0,
        &["source_names", "source_ids"],
        snapshots::post,
    ),
    route(
        "PATCH",
        "volume-snapshots",
        0,
        &["names", "ids", "replication_snapshot"],
        snapshots::patch,
    ),
    route(
        "DELETE",
        "volume-snapshots",
        0,
        &["names", "ids", "replication_snapshot"],
        snapshots::delete,
    ),
    route(
        "GET",
        "volume-snapshots/transfer",
        1,
        &["ids", "destroyed", "source_names", "source_ids"],
        snapshots::transfers,
    ),
    route("GET", "hosts", 0, &[], hosts::get),
    route("POST", "hosts", 0, NAMES, hosts::post),
    route("PATCH", "hosts", 0, NAMES, hosts::patch),
    route("DELETE", "hosts", 0, NAMES, hosts::delete),
    route("GET", "connections", 0, ENDS, hosts::get_connections),
    route("POST", "connections", 0, ENDS, hosts::post_connections),
    route("DELETE", "connections", 0, ENDS, hosts::delete_connections),
    route("GET", "protection-groups", 1, &["ids", "destroyed"], groups::get),
    route("POST", "protection-groups", 1, &["names"], groups::post),
    route("PATCH", "protection-groups", 1, NAMES, groups::patch),
    route("DELETE", "protection-groups", 1, NAMES, groups::delete),
    route(
        "GET",
        "protection-groups/volumes",
        1,
        GROUP_MEMBERS,
        members::get_volumes,
    ),
    route(
        "POST",
        "protection-groups/volumes",
        1,
        GROUP_MEMBERS,
        members::post_volumes,
    ),
    route(
        "DELETE",
        "protection-groups/volumes",
        1,
        GROUP_MEMBERS,
        members::delete_volumes,
    ),
    route(
        "GET",
        "protection-groups/targets",
        1,
        TARGETS,
        members::get_targets,
    ),
    route(
        "POST",
        "protection-groups/targets",
        1,
        TARGETS,
        members::post_targets,
    ),
    route(
        "PATCH",
        "protection-groups/targets",
        1,
        TARGETS,
        members::patch_targets,
    ),
    route(
        "DELETE",
        "protection-groups/targets",
        1,
        TARGETS,
        members::delete_targets,
    ),
    route(
        "GET",
        "protection-group-snapshots",
        1,
        &["ids", "destroyed", "source_names"],
        group_snapshots::get,
    ),
    route(
        "POST",
        "protection-group-snapshots",
        1,
        &[
            "source_names",
            "apply_retention",
            "replicate",
            "replicate_now",
            "for_replication",
            "allow_throttle",
        ],
        group_snapshots::post,
    ),
    route(
        "PATCH",
        "protection-group-snapshots",
        1,
        &["names", "ids", "replication_snapshot"],
        group_snapshots::patch,
    ),
    route(
        "DELETE",
        "protection-group-snapshots",
        1,
        &["names", "ids", "replication_snapshot"],
        group_snapshots::delete,
    ),
    route(
        "GET",
        "protection-group-snapshots/transfer",
        1,
        &["ids", "destroyed", "source_names"],
        group_snapshots::transfers,
    ),
    route("GET", "pods", 1, &["ids", "destroyed"], |world, ask| {
        containers::get(world, ask, Kind::Pod)
    }),
    route("POST", "pods", 1, NAMES, |world, ask| {
        containers::post(world, ask, Kind::Pod)
    }),
    route(
        "PATCH",
        "pods",
        1,
        &["names", "ids", "destroy_contents"],
        |world, ask| containers::patch(world, ask, Kind::Pod),
    ),
    route(
        "DELETE",
        "pods",
        1,
        &["names", "ids", "eradicate_contents"],
        |world, ask| containers::delete(world, ask, Kind::Pod),
    ),
    route("GET", "volume-groups", 0, &["ids", "destroyed"], |world, ask| {
        containers::get(world, ask, Kind::VolumeGroup)
    }),
    route("POST", "volume-groups", 0, NAMES, |world, ask| {
        containers::post(world, ask, Kind::VolumeGroup)
    }),
    route(
        "PATCH",
        "volume-groups",
        0,
        &["names", "ids", "destroy_contents"],
        |world, ask| containers::patch(world, ask, Kind::VolumeGroup),
    ),
    route(
        "DELETE",
        "volume-groups",
        0,
        &["names", "ids", "eradicate_contents"],
        |world, ask| containers::delete(world, ask, Kind::VolumeGroup),
    ),
    route(
        "GET",
        "container-default-protections",
        16,
        &["ids"],
        containers::get_protections,
    ),
    route(
        "PATCH",
        "container-default-protections",
        16,
        NAMES,
        containers::patch_protections,
    ),
];

/// Carry a call out. `path` is what follows the version.
pub(super) fn dispatch(world: &mut World, method: &str, path: &str, ask: &Ask<'_>) -> ApiResult<Answer> {
    let known = ROUTES
        .iter()
        .filter(|route| route.path == path && route.since <= ask.version);
    let mut methods = known.clone().peekable();
    if methods.peek().is_none() {
        return Err(ApiError::with_status(404, path, "Not found."));
    }
    let Some(route) = methods.find(|route| route.method == method) else {
        return Err(ApiError::with_status(405, path, "Method not allowed."));
    };
    if ask.strict {
        check_parameters(route, ask)?;
    }
    (route.handler)(world, ask)
}

fn check_parameters(route: &Route, ask: &Ask<'_>) -> ApiResult<()> {
    for key in ask.query.keys() {
        let known = route.parameters.contains(&key) || (route.method == "GET" && LIST.contains(&key));
        let later = LATER
            .iter()
            .any(|(path, name, since)| *path == route.path && *name == key && ask.version < *since);
        if !known || later {
            return Err(ApiError::new(key, format!("Unknown parameter {key}.")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::ROUTES;

    #[test]
    fn no_route_is_there_twice() {
        for (at, route) in ROUTES.iter().enumerate() {
            let twin = ROUTES[..at]
                .iter()
                .find(|other| (other.method, other.path) == (route.method, route.path));
            assert!(twin.is_none(), "{} {}", route.method, route.path);
        }
    }
}
