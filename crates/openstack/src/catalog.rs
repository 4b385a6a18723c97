//! Endpoints, from the catalog that came with a token of that very cloud.

use serde::Deserialize;
use url::Url;

use crate::failure::Service;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Catalog(Vec<Entry>);

#[derive(Debug, Clone, Deserialize)]
struct Entry {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, Deserialize)]
struct Endpoint {
    interface: Option<String>,
    region: Option<String>,
    region_id: Option<String>,
    url: Option<String>,
}

/// Why a catalog leads nowhere.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoEndpoint {
    Missing,
    /// Several regions have one, and nobody has said which of them is meant.
    Ambiguous(Vec<String>),
    Unusable(String),
}

/// Names under which a service is found, the most specific first.
fn types(service: Service) -> &'static [&'static str] {
    match service {
        Service::Identity => &["identity"],
        Service::Compute => &["compute"],
        Service::Volume => &["volumev3", "block-storage", "volume"],
        Service::Network => &["network"],
        Service::KeyManager => &["key-manager"],
    }
}

impl Endpoint {
    fn region(&self) -> Option<&str> {
        self.region_id.as_deref().or(self.region.as_deref())
    }

    fn is_in(&self, region: Option<&str>) -> bool {
        region.is_none() || self.region_id.as_deref() == region || self.region.as_deref() == region
    }
}

impl Catalog {
    /// Service types with an endpoint in the region.
    pub fn services(&self, region: Option<&str>, interface: &str) -> Vec<String> {
        let mut found: Vec<String> = self
            .0
            .iter()
            .filter(|entry| {
                entry.endpoints.iter().any(|endpoint| {
                    endpoint.interface.as_deref() == Some(interface) && endpoint.is_in(region)
                })
            })
            .map(|entry| entry.kind.chars().take(80).collect())
            .collect();
        found.sort();
        found.dedup();
        found
    }

    /// The root under which the service's calls are.
    pub fn root(
        &self,
        service: Service,
        region: Option<&str>,
        interface: &str,
        project: &str,
    ) -> Result<Url, NoEndpoint> {
        let found = types(service)
            .iter()
            .map(|kind| {
                let entries = self.0.iter().filter(|entry| entry.kind == *kind);
                let endpoints = entries.flat_map(|entry| &entry.endpoints).filter(|endpoint| {
                    endpoint.interface.as_deref() == Some(interface) && endpoint.is_in(region)
                });
                endpoints
                    .filter(|endpoint| endpoint.url.is_some())
                    .collect::<Vec<_>>()
            })
            .find(|endpoints| !endpoints.is_empty())
            .ok_or(NoEndpoint::Missing)?;
        let mut regions: Vec<&str> = found.iter().filter_map(|endpoint| endpoint.region()).collect();
        regions.sort_unstable();
        regions.dedup();
        if region.is_none() && regions.len() > 1 {
            let shown = regions
                .iter()
                .take(20)
                .map(|region| region.chars().take(80).collect());
            return Err(NoEndpoint::Ambiguous(shown.collect()));
        }
        let text = found
            .first()
            .and_then(|endpoint| endpoint.url.as_deref())
            .ok_or(NoEndpoint::Missing)?;
        let unusable = || NoEndpoint::Unusable(text.chars().take(200).collect());
        let mut url = http_url(text).ok_or_else(unusable)?;
        let path: Vec<String> = url
            .path_segments()
            .map(|parts| parts.filter(|part| !part.is_empty()).map(str::to_owned).collect())
            .unwrap_or_default();
        let last = path.last().map(String::as_str).unwrap_or_default();
        let versioned = |version: &str| path.iter().any(|part| part == version);
        let more: &[&str] = match service {
            Service::Network if last != "v2.0" => &["v2.0"],
            Service::Compute if !versioned("v2.1") && !versioned("v2") => &["v2.1"],
            // Cinder needs the project in the path until 3.67; with it every release is content.
            Service::Volume if last == "v3" => &[project],
            Service::Volume if !versioned("v3") => &["v3", project],
            Service::Identity if last != "v3" => &["v3"],
            Service::KeyManager if last != "v1" => &["v1"],
            _ => &[],
        };
        extend(&mut url, more).ok_or_else(unusable)?;
        Ok(url)
    }
}

/// Keystone's version 3 root from what an administrator typed, with or without `/v3`.
pub(crate) fn identity_root(auth_url: &str) -> Option<Url> {
    let mut url = http_url(auth_url.trim())?;
    if !url.path().trim_end_matches('/').ends_with("/v3") {
        extend(&mut url, &["v3"])?;
    }
    Some(url)
}

/// Appends segments, each percent-encoded, so that none can leave its place.
pub(crate) fn extend(url: &mut Url, segments: &[impl AsRef<str>]) -> Option<()> {
    url.path_segments_mut().ok()?.pop_if_empty().extend(segments);
    Some(())
}

/// A plain HTTP URL: no password, query or fragment that would travel along unseen.
fn http_url(text: &str) -> Option<Url> {
    let mut url = Url::parse(text).ok()?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.host().is_some()
        && url.username().is_empty()
        && url.password().is_none();
    url.set_query(None);
    url.set_fragment(None);
    plain.then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog(kind: &str, url: &str) -> Catalog {
        serde_json::from_value(serde_json::json!([
            {"type": kind, "endpoints": [
                {"interface": "admin", "region": "a", "region_id": "a", "url": "http://admin/"},
                {"interface": "public", "region": "b", "region_id": "b", "url": "http://other-region/"},
                {"interface": "public", "region": "a", "region_id": "a", "url": url},
                {"interface": "public", "region": null, "url": null}
            ]},
            {"type": "odd"}
        ]))
        .unwrap()
    }

    #[test]
    fn endpoints_are_completed_to_where_the_calls_are() {
        let root = |service, kind, url| {
            catalog(kind, url)
                .root(service, Some("a"), "public", "p1")
                .unwrap()
                .to_string()
        };
        assert_eq!(
            root(Service::Volume, "volumev3", "http://c:8776/v3/p1"),
            "http://c:8776/v3/p1"
        );
        assert_eq!(
            root(Service::Volume, "block-storage", "http://c/volume/v3/"),
            "http://c/volume/v3/p1"
        );
        assert_eq!(
            root(Service::Volume, "volume", "http://c:8776"),
            "http://c:8776/v3/p1"
        );
        assert_eq!(
            root(Service::Network, "network", "http://n:9696"),
            "http://n:9696/v2.0"
        );
        assert_eq!(
            root(Service::Network, "network", "http://n/networking/v2.0/"),
            "http://n/networking/v2.0"
        );
        assert_eq!(
            root(Service::Compute, "compute", "http://n:8774/v2.1/p1"),
            "http://n:8774/v2.1/p1"
        );
        assert_eq!(
            root(Service::Compute, "compute", "http://n:8774/"),
            "http://n:8774/v2.1"
        );
        for url in ["http://b:9311", "http://b:9311/v1/"] {
            assert_eq!(root(Service::KeyManager, "key-manager", url), "http://b:9311/v1");
        }
    }

    #[test]
    fn without_a_region_none_of_several_is_chosen() {
        let catalog = catalog("network", "http://own-region/");
        assert_eq!(
            catalog.root(Service::Network, None, "public", "p"),
            Err(NoEndpoint::Ambiguous(vec!["a".to_owned(), "b".to_owned()]))
        );
        let alone = catalog.root(Service::Network, None, "admin", "p").unwrap();
        assert_eq!(alone.as_str(), "http://admin/v2.0");
    }

    #[test]
    fn a_missing_or_useless_endpoint_is_told_apart() {
        let catalog = catalog("network", "ftp://n/");
        assert_eq!(
            catalog.root(Service::Compute, Some("a"), "public", "p"),
            Err(NoEndpoint::Missing)
        );
        assert_eq!(
            catalog.root(Service::Network, Some("zz"), "public", "p"),
            Err(NoEndpoint::Missing)
        );
        assert!(matches!(
            catalog.root(Service::Network, Some("a"), "public", "p"),
            Err(NoEndpoint::Unusable(_))
        ));
        assert_eq!(catalog.services(Some("b"), "public"), ["network"]);
    }

    #[test]
    fn the_identity_root_is_version_3_with_or_without_being_said() {
        for typed in [
            "http://k:5000",
            "http://k:5000/",
            "http://k:5000/v3",
            "http://k:5000/v3/",
        ] {
            assert_eq!(
                identity_root(typed).unwrap().as_str().trim_end_matches('/'),
                "http://k:5000/v3"
            );
        }
        assert_eq!(
            identity_root("https://k/identity").unwrap().as_str(),
            "https://k/identity/v3"
        );
        for bad in ["k:5000", "file:///etc/passwd", "http://u:p@k/v3", ""] {
            assert!(identity_root(bad).is_none(), "{bad}");
        }
    }
}
