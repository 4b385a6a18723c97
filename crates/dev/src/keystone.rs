//! What an administrator of a cloud does in Keystone before protector runs there.

use anyhow::{Context, Result};
use http::Method;
use protector_relay::Session;
use serde_json::{Value, json};

/// The service `protector` and its three endpoints, as the installation guide says.
pub(crate) async fn register(admin: &Session, region: &str, root: &str) -> Result<()> {
    let service = json!({"service": {
        "type": "protector", "name": "protector", "description": "Disaster recovery", "enabled": true
    }});
    // Another region of this Keystone may have registered it.
    let known = admin
        .call("identity", Method::GET, "/services?type=protector", None)
        .await?;
    let found = match &known["services"][0] {
        Value::Null => {
            let made = admin
                .call("identity", Method::POST, "/services", Some(&service))
                .await?;
            made["service"].clone()
        }
        known => known.clone(),
    };
    let id = found["id"]
        .as_str()
        .context("Keystone made a service without an id")?;
    for interface in ["public", "internal", "admin"] {
        let endpoint = json!({"endpoint": {
            "service_id": id, "interface": interface, "region_id": region,
            "url": format!("{root}/v1/%(tenant_id)s"), "enabled": true
        }});
        admin
            .call("identity", Method::POST, "/endpoints", Some(&endpoint))
            .await?;
    }
    Ok(())
}
