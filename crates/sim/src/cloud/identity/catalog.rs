//! The catalog: the registered endpoints with the project's id in their places.

use serde_json::{Value, json};

use super::World;

/// The catalog of a token's project. An endpoint that needs a project and has none is left out.
pub(super) fn catalog(world: &World, project: Option<&str>) -> Value {
    let identity = &world.identity;
    let services = identity
        .services
        .iter()
        .filter(|service| service["enabled"] != false);
    let services = services.map(|service| {
        let endpoints = identity
            .endpoints
            .iter()
            .filter(|endpoint| endpoint["service_id"] == service["id"] && endpoint["enabled"] != false);
        let endpoints = endpoints.filter_map(|endpoint| {
            let url = rendered(endpoint["url"].as_str()?, project)?;
            Some(json!({
                "id": endpoint["id"], "interface": endpoint["interface"], "region_id": endpoint["region_id"],
                "region": endpoint["region_id"], "url": url
            }))
        });
        json!({
            "id": service["id"], "type": service["type"], "name": service["name"],
            "endpoints": endpoints.collect::<Vec<_>>()
        })
    });
    services.collect()
}

fn rendered(template: &str, project: Option<&str>) -> Option<String> {
    let mut url = template.to_owned();
    for place in [
        "%(tenant_id)s",
        "%(project_id)s",
        "$(tenant_id)s",
        "$(project_id)s",
    ] {
        if url.contains(place) {
            url = url.replace(place, project?);
        }
    }
    Some(url)
}

#[cfg(test)]
mod tests {
    use super::rendered;

    #[test]
    fn endpoints_carry_the_project() {
        assert_eq!(
            rendered("http://c/v1/%(tenant_id)s", Some("p")).unwrap(),
            "http://c/v1/p"
        );
        assert_eq!(rendered("http://c/v1/$(project_id)s", None), None);
        assert_eq!(rendered("http://c", None).unwrap(), "http://c");
    }
}
