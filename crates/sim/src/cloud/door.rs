//! The door of a simulated cloud: paths, tokens, microversions, request ids.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::{Value, json};

use super::ask::{Answer, Ask, Reply};
use super::fault::{Fault, Service};
use super::policy::Caller;
use super::site::Cloud;
use super::world::{World, uuid};
use super::{compute, identity, image, key_manager, network, volume};

const MAX_BODY: usize = 4 * 1024 * 1024;

pub(super) fn router(cloud: Cloud) -> Router {
    Router::new().fallback(handle).with_state(cloud)
}

async fn handle(State(cloud): State<Cloud>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path();
    let segments: Vec<String> = path
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(decoded)
        .collect();
    let service = segments.first().and_then(|prefix| Service::from_prefix(prefix));
    let Some(service) = service.filter(|service| cloud.serves(*service)) else {
        return render(
            Service::Identity,
            &Call::default(),
            Err(Fault::missing("The resource could not be found.")),
        );
    };
    let body = to_bytes(body, MAX_BODY).await.unwrap_or_default();
    let host = parts
        .headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("localhost");
    let scheme = cloud.url().split(':').next().unwrap_or("http");
    let root = format!("{scheme}://{host}/{}", service.prefix());
    let query = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let call = Call {
        method: parts.method.as_str().to_owned(),
        path: segments.into_iter().skip(1).collect(),
        query,
        headers: parts.headers,
        root,
        keystone: cloud.keystone_url(),
        body: body.to_vec(),
        minor: 0,
    };
    let mut world = cloud.world();
    world.tick();
    let mut call = call;
    let reply = enter(&mut world, service, &mut call);
    drop(world);
    render(service, &call, reply)
}

fn decoded(segment: &str) -> String {
    // A form's plus is a blank, a path's is a plus.
    let pair = format!("k={}", segment.replace('+', "%2B").replace('&', "%26"));
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map_or_else(|| segment.to_owned(), |(_, value)| value.into_owned())
}

#[derive(Default)]
struct Call {
    method: String,
    path: Vec<String>,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    root: String,
    keystone: String,
    body: Vec<u8>,
    minor: u32,
}

fn enter(world: &mut World, service: Service, call: &mut Call) -> Reply {
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    if let Some(document) = document(service, &call.root, &path) {
        return Ok(document);
    }
    let (version, mut rest) = match path.split_first() {
        Some((version, rest)) => ((*version).to_owned(), rest.to_vec()),
        None => return Err(Fault::missing("The resource could not be found.")),
    };
    let known: &[&str] = match service {
        Service::Identity | Service::Volume => &["v3"],
        Service::Compute => &["v2.1", "v2"],
        Service::Network => &["v2.0"],
        Service::Image => &["v2", "v2.0"],
        Service::KeyManager => &["v1"],
    };
    if !known.contains(&version.as_str()) {
        return Err(Fault::missing("The resource could not be found."));
    }
    call.minor = minor(service, &call.headers)?;
    let mut base = format!("{}/{version}", call.root);
    let kind = call.headers.get(header::CONTENT_TYPE);
    let body = if call.body.is_empty() || kind.is_some_and(|kind| kind == "application/octet-stream") {
        Value::Null
    } else {
        serde_json::from_slice(&call.body)
            .map_err(|_| Fault::bad("Malformed request body: the server could not decode the body as JSON"))?
    };
    let login = service == Service::Identity && call.method == "POST" && rest == ["auth", "tokens"];
    let caller = if login {
        Caller::default()
    } else {
        caller(world, &call.headers)?
    };
    // Cinder's paths carry the project, Nova's may.
    if matches!(service, Service::Volume | Service::Compute)
        && let Some(first) = rest.first().copied()
    {
        if caller.project_id.as_deref() == Some(first) {
            base = format!("{base}/{first}");
            rest.remove(0);
        } else if uuid::Uuid::parse_str(first).is_ok() {
            return Err(Fault::bad("Malformed request url"));
        }
    }
    let ask = Ask {
        method: call.method.clone(),
        path: rest.into_iter().map(str::to_owned).collect(),
        query: call.query.clone(),
        headers: call.headers.clone(),
        body,
        base,
        minor: call.minor,
        caller,
    };
    if login {
        return identity::authenticate(world, &ask);
    }
    dispatch(world, service, &ask)
}

pub(super) fn dispatch(world: &mut World, service: Service, ask: &Ask) -> Reply {
    match service {
        Service::Identity => identity::route(world, ask),
        Service::Compute => compute::route(world, ask),
        Service::Volume => volume::route(world, ask),
        Service::Network => network::route(world, ask),
        Service::Image => image::route(world, ask),
        Service::KeyManager => key_manager::route(world, ask),
    }
}

/// What every service tells everybody: its versions.
fn document(service: Service, root: &str, path: &[&str]) -> Option<Answer> {
    Some(match (service, path) {
        (Service::Identity, []) => {
            let values = json!({"versions": {"values": [identity::version(&format!("{root}/v3"))]}});
            Answer::json(300, values).header("location", format!("{root}/v3/"))
        }
        (Service::Identity, ["v3"]) => {
            Answer::ok(json!({"version": identity::version(&format!("{root}/v3"))}))
        }
        (Service::Compute, []) => Answer::ok(compute::versions(root)),
        (Service::Compute, ["v2.1"]) => Answer::ok(compute::version(root)),
        (Service::Volume, []) => Answer::json(300, volume::versions(root)),
        (Service::Volume, ["v3"]) => Answer::ok(volume::versions(root)),
        (Service::Network, []) => Answer::ok(network::versions(root)),
        (Service::Image, []) => Answer::json(300, image::versions(root)),
        (Service::KeyManager, []) => Answer::json(300, key_manager::versions(root)),
        (Service::Image, ["versions"]) => Answer::ok(image::versions(root)),
        _ => return None,
    })
}

fn caller(world: &World, headers: &HeaderMap) -> Result<Caller, Fault> {
    let token = headers.get("x-auth-token").and_then(|token| token.to_str().ok());
    token
        .and_then(|token| world.identity.tokens.get(token))
        .and_then(|token| token.caller(world))
        .ok_or_else(Fault::unauthorized)
}

/// The microversion that a call wants.
fn minor(service: Service, headers: &HeaderMap) -> Result<u32, Fault> {
    let (name, old, major, oldest, newest) = match service {
        Service::Compute => ("compute", "x-openstack-nova-api-version", 2, 1, compute::NEWEST),
        Service::Volume => ("volume", "x-openstack-volume-api-version", 3, 0, volume::NEWEST),
        _ => return Ok(0),
    };
    let new = headers
        .get_all("openstack-api-version")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let wanted = new
        .flat_map(|value| value.split(','))
        .find_map(|value| value.trim().strip_prefix(name).map(str::trim))
        .or_else(|| headers.get(old).and_then(|value| value.to_str().ok()));
    let Some(wanted) = wanted else { return Ok(oldest) };
    if wanted == "latest" {
        return Ok(newest);
    }
    let refused = |status: u16, message: String| Fault::new(status, "", message);
    let number = wanted
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?)));
    let Some((wanted_major, minor)) = number else {
        return Err(refused(
            400,
            format!("API Version String {wanted} is of invalid format. Must be of format MajorNum.MinorNum."),
        ));
    };
    if wanted_major != major || !(oldest..=newest).contains(&minor) {
        return Err(refused(
            406,
            format!(
                "Version {wanted} is not supported by the API. Minimum is {major}.{oldest} and maximum is {major}.{newest}."
            ),
        ));
    }
    Ok(minor)
}

fn render(service: Service, call: &Call, reply: Reply) -> Response {
    // Who is turned away before the service's own code doesn't hear its version.
    let (mut inside, mut plain) = (true, None);
    let (status, extra, body) = match reply {
        Ok(answer) => {
            if let (Some(Value::String(text)), true) = (&answer.body, answer.has("content-type")) {
                plain = Some(text.clone());
            }
            (answer.status, answer.headers, answer.body)
        }
        Err(fault) => {
            let mut headers = Vec::new();
            if fault.status == 401 {
                headers.push(("www-authenticate", format!("Keystone uri=\"{}\"", call.keystone)));
            }
            if fault.status == 413 {
                headers.push(("retry-after", "0".to_owned()));
            }
            plain = fault.text(service);
            inside = fault.status != 401 && plain.is_none();
            (fault.status, headers, Some(fault.body(service)))
        }
    };
    let kind = if plain.is_some() {
        "text/plain; charset=UTF-8"
    } else {
        "application/json"
    };
    let mut response = Response::new(match &body {
        Some(_) if plain.is_some() => Body::from(plain.unwrap_or_default()),
        Some(body) => Body::from(body.to_string()),
        None => Body::empty(),
    });
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if body.is_some() {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    }
    let mut set = |name: &'static str, value: String| {
        if let Ok(value) = HeaderValue::from_str(&value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    };
    let request = format!("req-{}", uuid());
    match service {
        Service::Compute if inside => {
            set("x-compute-request-id", request.clone());
            set(
                "openstack-api-version",
                format!("compute 2.{}", call.minor.max(1)),
            );
            set("x-openstack-nova-api-version", format!("2.{}", call.minor.max(1)));
        }
        Service::Volume if inside => {
            set("x-compute-request-id", request.clone());
            set("openstack-api-version", format!("volume 3.{}", call.minor));
        }
        _ => {}
    }
    match service {
        Service::KeyManager if !inside => {}
        Service::KeyManager => {
            set("openstack-api-version", "key-manager 1.0".to_owned());
            set("x-openstack-request-id", request);
        }
        _ => set("x-openstack-request-id", request),
    }
    set("vary", "X-Auth-Token, OpenStack-API-Version".to_owned());
    for (name, value) in extra {
        set(name, value);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn microversions_are_read_from_both_headers() {
        let ask = |name: &'static str, value: &str, service| {
            let headers = HeaderMap::from_iter([(
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )]);
            minor(service, &headers)
        };
        assert_eq!(
            ask("openstack-api-version", "compute 2.87", Service::Compute),
            Ok(87)
        );
        assert_eq!(
            ask("x-openstack-nova-api-version", "latest", Service::Compute),
            Ok(compute::NEWEST)
        );
        assert_eq!(
            ask("openstack-api-version", "volume 3.62", Service::Compute),
            Ok(1)
        );
        assert_eq!(
            ask("openstack-api-version", "volume 3.62", Service::Volume),
            Ok(62)
        );
        assert_eq!(
            ask("openstack-api-version", "volume 3.999", Service::Volume)
                .unwrap_err()
                .status,
            406
        );
        assert_eq!(
            ask("openstack-api-version", "volume x", Service::Volume)
                .unwrap_err()
                .status,
            400
        );
    }
}
