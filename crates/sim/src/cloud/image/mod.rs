//! Glance v2: enough to know which images there are. No image has content.

use serde_json::{Value, json};

use super::ask::{Answer, Ask, Reply};
use super::fault::Fault;
use super::world::{World, uuid};

pub(super) fn versions(base: &str) -> Value {
    let version = |id: &str, status: &str| json!({"id": id, "status": status, "links": [{"rel": "self", "href": format!("{base}/v2/")}]});
    json!({"versions": [version("v2.16", "CURRENT"), version("v2.15", "SUPPORTED")]})
}

pub(super) fn route(world: &mut World, ask: &Ask) -> Reply {
    let path = ask.segments();
    let visible = |image: &&Value| {
        ask.caller.admin || image["visibility"] == "public" || image["owner"] == ask.project()
    };
    let unknown = |id: &str| Fault::missing(format!("No image found with ID {id}"));
    match (ask.method.as_str(), path.as_slice()) {
        ("GET", ["images"]) => {
            let fits = |image: &&Value| {
                ["name", "status", "visibility", "owner"].iter().all(|key| {
                    ask.query(key)
                        .is_none_or(|wanted| image[*key] == wanted || wanted.starts_with("in:"))
                })
            };
            let found = world
                .images
                .newest()
                .filter(visible)
                .filter(fits)
                .cloned()
                .collect();
            let mut answer = ask.page("images", found)?;
            if let Some(body) = &mut answer.body {
                // Glance links to the next page in its own way.
                let next = body["images_links"][0]["href"].as_str().map(str::to_owned);
                if let Some(fields) = body.as_object_mut() {
                    fields.remove("images_links");
                }
                if let Some((_, query)) = next.as_deref().and_then(|next| next.split_once('?')) {
                    body["next"] = json!(format!("/v2/images?{query}"));
                }
                body["first"] = json!("/v2/images");
                body["schema"] = json!("/v2/schemas/images");
            }
            Ok(answer)
        }
        ("POST", ["images"]) => {
            let id = uuid();
            let mut image = json!({
                "id": id, "name": null, "status": "queued", "visibility": "shared", "owner": ask.project(), "tags": [],
                "protected": false, "min_disk": 0, "min_ram": 0, "disk_format": null, "container_format": null,
                "os_hidden": false, "size": null, "virtual_size": null, "checksum": null, "created_at": world.stamp(),
                "updated_at": world.stamp(), "self": format!("/v2/images/{id}"), "file": format!("/v2/images/{id}/file"),
                "schema": "/v2/schemas/image"
            });
            for (key, value) in ask.body.as_object().cloned().unwrap_or_default() {
                image[key] = value;
            }
            world.images.add(image.clone());
            Ok(Answer::json(201, image))
        }
        ("GET", ["images", id]) => {
            let found = world.images.get(id).filter(visible).ok_or_else(|| unknown(id))?;
            Ok(Answer::ok(found.clone()))
        }
        ("PUT", ["images", id, "file"]) => {
            let image = world.images.get_mut(id).ok_or_else(|| unknown(id))?;
            image["status"] = json!("active");
            Ok(Answer::empty(204))
        }
        ("DELETE", ["images", id]) => {
            world.images.get(id).filter(visible).ok_or_else(|| unknown(id))?;
            world.images.remove(id);
            Ok(Answer::empty(204))
        }
        _ => Err(Fault::missing("The resource could not be found.")),
    }
}
