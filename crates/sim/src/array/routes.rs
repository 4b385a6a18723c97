//! Which calls an array knows, since which version, and with which parameters.
//!
//! The table follows the vendor's description of REST 2.0 to 2.26. Parameters whose effect isn't simulated are
//! left out, so that a strict array refuses them instead of ignoring them.

use super::ask::{Answer, Ask};
use super::containers::Kind;
use super::error::{ApiError, ApiResult};
use super::page;
use super::world::World;
use super::{appliance, containers, group_snapshots, groups, hosts, members, snapshots, tags, volumes};
use serde_json::{Value, json};

type Handler = fn(&mut World, &Ask<'_>) -> ApiResult<Answer>;

/// What every list call takes besides its own parameters.
const LIST: [&str; 5] = ["filter", "sort", "limit", "offset", "total_item_count"];
const TOKEN: &str = "continuation_token";

struct Route {
    method: &'static str,
    path: &'static str,
    /// The minor number of the first version that has it.
    since: u32,
    /// Its parameters; one that came later than the call itself has the minor number behind an `@`.
    parameters: &'static str,
    handler: Handler,
}

const fn route(
    method: &'static str,
    path: &'static str,
    since: u32,
    parameters: &'static str,
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

const ROUTES: &[Route] = &[
    route("GET", "arrays", 0, "", appliance::arrays),
    route(
        "GET",
        "arrays/space",
        0,
        "start_time end_time resolution",
        appliance::space,
    ),
    route(
        "GET",
        "arrays/performance",
        0,
        "start_time end_time resolution protocol protocol_group",
        appliance::performance,
    ),
    route(
        "GET",
        "array-connections",
        4,
        "names continuation_token",
        appliance::connections,
    ),
    route("GET", "controllers", 0, "names continuation_token", |_, ask| {
        Ok(appliance::controllers(ask))
    }),
    route("GET", "ports", 0, "names", appliance::ports),
    route(
        "GET",
        "network-interfaces",
        0,
        "names continuation_token",
        |_, _| Ok(Answer::List(Vec::new())),
    ),
    route(
        "GET",
        "volumes",
        0,
        "names ids destroyed total_only continuation_token@1",
        volumes::get,
    ),
    route(
        "POST",
        "volumes",
        0,
        "names overwrite with_default_protection@16 add_to_protection_group_names@16",
        volumes::post,
    ),
    route("PATCH", "volumes", 0, "names ids truncate", volumes::patch),
    route("DELETE", "volumes", 0, "names ids", volumes::delete),
    route(
        "GET",
        "volumes/tags",
        2,
        "resource_names resource_ids namespaces@3 continuation_token@3",
        tags::get,
    ),
    route(
        "PUT",
        "volumes/tags/batch",
        2,
        "resource_names resource_ids",
        tags::put_batch,
    ),
    route(
        "DELETE",
        "volumes/tags",
        2,
        "resource_names resource_ids namespaces keys",
        tags::delete,
    ),
    route(
        "GET",
        "volumes/protection-groups",
        1,
        "group_names group_ids@26 member_names member_ids@9 continuation_token",
        members::get_volumes,
    ),
    route(
        "POST",
        "volumes/protection-groups",
        1,
        "group_names group_ids@26 member_names member_ids@9",
        members::post_volumes,
    ),
    route(
        "DELETE",
        "volumes/protection-groups",
        1,
        "group_names group_ids@26 member_names member_ids@9",
        members::delete_volumes,
    ),
    route(
        "GET",
        "volume-snapshots",
        0,
        "names ids destroyed source_names source_ids total_only continuation_token@1",
        snapshots::get,
    ),
    route(
        "POST",
        "volume-snapshots",
        0,
        "source_names source_ids",
        snapshots::post,
    ),
    route(
        "PATCH",
        "volume-snapshots",
        0,
        "names ids replication_snapshot@4",
        snapshots::patch,
    ),
    route(
        "DELETE",
        "volume-snapshots",
        0,
        "names ids replication_snapshot@4",
        snapshots::delete,
    ),
    route(
        "GET",
        "volume-snapshots/transfer",
        0,
        "names ids destroyed source_names source_ids total_only",
        snapshots::transfers,
    ),
    route("GET", "hosts", 0, "names continuation_token@1", hosts::get),
    route("POST", "hosts", 0, "names", hosts::post),
    route("PATCH", "hosts", 0, "names", hosts::patch),
    route("DELETE", "hosts", 0, "names", hosts::delete),
    route(
        "GET",
        "connections",
        0,
        "host_names host_group_names volume_names volume_ids@9 continuation_token@1",
        hosts::get_connections,
    ),
    route(
        "POST",
        "connections",
        0,
        "host_names host_group_names volume_names volume_ids@9",
        hosts::post_connections,
    ),
    route(
        "DELETE",
        "connections",
        0,
        "host_names host_group_names volume_names volume_ids@9",
        hosts::delete_connections,
    ),
    route(
        "GET",
        "protection-groups",
        1,
        "names ids@26 destroyed total_only continuation_token",
        groups::get,
    ),
    route("POST", "protection-groups", 1, "names", groups::post),
    route("PATCH", "protection-groups", 1, "names ids@26", groups::patch),
    route("DELETE", "protection-groups", 1, "names ids@26", groups::delete),
    route(
        "GET",
        "protection-groups/volumes",
        1,
        "group_names group_ids@26 member_names member_ids@9 continuation_token",
        members::get_volumes,
    ),
    route(
        "POST",
        "protection-groups/volumes",
        1,
        "group_names group_ids@26 member_names member_ids@9",
        members::post_volumes,
    ),
    route(
        "DELETE",
        "protection-groups/volumes",
        1,
        "group_names group_ids@26 member_names member_ids@9",
        members::delete_volumes,
    ),
    route(
        "GET",
        "protection-groups/targets",
        1,
        "group_names group_ids@26 member_names continuation_token",
        members::get_targets,
    ),
    route(
        "POST",
        "protection-groups/targets",
        1,
        "group_names group_ids@26 member_names",
        members::post_targets,
    ),
    route(
        "PATCH",
        "protection-groups/targets",
        1,
        "group_names group_ids@26 member_names",
        members::patch_targets,
    ),
    route(
        "DELETE",
        "protection-groups/targets",
        1,
        "group_names group_ids@26 member_names",
        members::delete_targets,
    ),
    route(
        "GET",
        "protection-group-snapshots",
        1,
        "names ids@26 destroyed source_names total_only continuation_token",
        group_snapshots::get,
    ),
    route(
        "POST",
        "protection-group-snapshots",
        1,
        "source_names apply_retention replicate@4 replicate_now@4 for_replication@4 allow_throttle@25",
        group_snapshots::post,
    ),
    route(
        "PATCH",
        "protection-group-snapshots",
        1,
        "names ids@26",
        group_snapshots::patch,
    ),
    route(
        "DELETE",
        "protection-group-snapshots",
        1,
        "names ids@26",
        group_snapshots::delete,
    ),
    route(
        "GET",
        "protection-group-snapshots/transfer",
        1,
        "names ids@26 destroyed source_names total_only",
        group_snapshots::transfers,
    ),
    route(
        "GET",
        "pods",
        1,
        "names ids destroyed total_only continuation_token",
        |world, ask| containers::get(world, ask, Kind::Pod),
    ),
    route("POST", "pods", 1, "names", |world, ask| {
        containers::post(world, ask, Kind::Pod)
    }),
    route(
        "PATCH",
        "pods",
        1,
        "names ids destroy_contents@3",
        |world, ask| containers::patch(world, ask, Kind::Pod),
    ),
    route(
        "DELETE",
        "pods",
        1,
        "names ids eradicate_contents@3",
        |world, ask| containers::delete(world, ask, Kind::Pod),
    ),
    route(
        "GET",
        "volume-groups",
        0,
        "names ids destroyed total_only continuation_token",
        |world, ask| containers::get(world, ask, Kind::VolumeGroup),
    ),
    route("POST", "volume-groups", 0, "names", |world, ask| {
        containers::post(world, ask, Kind::VolumeGroup)
    }),
    route(
        "PATCH",
        "volume-groups",
        0,
        "names ids destroy_contents@3",
        |world, ask| containers::patch(world, ask, Kind::VolumeGroup),
    ),
    route(
        "DELETE",
        "volume-groups",
        0,
        "names ids eradicate_contents@3",
        |world, ask| containers::delete(world, ask, Kind::VolumeGroup),
    ),
    route(
        "GET",
        "container-default-protections",
        16,
        "names ids continuation_token",
        containers::get_protections,
    ),
    route(
        "PATCH",
        "container-default-protections",
        16,
        "names ids",
        containers::patch_protections,
    ),
];

impl Route {
    fn takes(&self, parameter: &str, version: u32) -> bool {
        (self.method == "GET" && LIST.contains(&parameter))
            || self
                .parameters
                .split(' ')
                .any(|known| match known.split_once('@') {
                    Some((name, since)) => {
                        name == parameter && since.parse().is_ok_and(|since: u32| version >= since)
                    }
                    None => known == parameter,
                })
    }
}

/// Carry a call out. `path` is what follows the version.
pub(super) fn dispatch(
    world: &mut World,
    method: &str,
    path: &str,
    ask: &Ask<'_>,
) -> ApiResult<Option<Value>> {
    let known = ROUTES
        .iter()
        .filter(|route| route.path == path && route.since <= ask.version);
    let mut methods = known.peekable();
    if methods.peek().is_none() {
        return Err(ApiError::with_status(404, path, "Not found."));
    }
    let Some(route) = methods.find(|route| route.method == method) else {
        return Err(ApiError::with_status(405, path, "Method not allowed."));
    };
    if ask.strict
        && let Some(key) = ask.query.keys().find(|key| !route.takes(key, ask.version))
    {
        return Err(ApiError::new(key, format!("Unknown parameter {key}.")));
    }
    Ok(match (route.handler)(world, ask)? {
        Answer::List(items) => Some(page::list(items, ask.query, route.takes(TOKEN, ask.version))?),
        Answer::Items(items) => Some(json!({"items": items})),
        Answer::Empty => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_route_is_there_twice() {
        for (at, route) in ROUTES.iter().enumerate() {
            let twin = ROUTES[..at]
                .iter()
                .find(|other| (other.method, other.path) == (route.method, route.path));
            assert!(twin.is_none(), "{} {}", route.method, route.path);
        }
    }

    #[test]
    fn parameters_come_with_their_version() {
        let route = ROUTES
            .iter()
            .find(|route| (route.method, route.path) == ("GET", "protection-groups"))
            .unwrap();
        assert!(
            !route.takes("ids", 25)
                && route.takes("ids", 26)
                && route.takes("names", 1)
                && route.takes("limit", 1)
        );
        assert!(!route.takes("ids@26", 26) && !route.takes("nosuch", 26));
    }
}
