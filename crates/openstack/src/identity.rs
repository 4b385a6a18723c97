//! Keystone: who a token speaks for, and trusts.

use chrono::SecondsFormat;
use protector_domain::ProjectId;
use protector_ports::cloud::{NewTrust, TokenOwner};
use protector_ports::{Kind, PortError, PortResult};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;

use crate::failure::Service::Identity;
use crate::session::Session;
use crate::wire::identity as wire;

pub(crate) async fn probe(session: &Session<'_>) -> PortResult<()> {
    let body: wire::VersionBody = session
        .get(Identity, "show version", &[])
        .without_token()
        .json()
        .await?;
    if body.version.id.starts_with("v3") {
        return Ok(());
    }
    Err(PortError::permanent(
        Kind::Protocol,
        format!(
            "What answers at the auth_url of {} is not a Keystone v3.",
            session.access.site_name
        ),
    ))
}

pub(crate) async fn owner(session: &Session<'_>) -> PortResult<TokenOwner> {
    let token = session.fresh_token().await?;
    Ok(TokenOwner {
        user_id: token.user_id.clone(),
        project_id: token.project_id.clone(),
        roles: token.roles.clone(),
        services: token
            .catalog
            .services(session.access.region.as_deref(), session.interface()),
        issued_at: token.issued_at,
    })
}

/// One question per name: a whole list may be cut off by Keystone.
pub(crate) async fn known_roles(session: &Session<'_>, names: &[String]) -> PortResult<Vec<String>> {
    let mut known = Vec::new();
    for name in names {
        let body: wire::RolesBody = session
            .get(Identity, "list roles", &["roles"])
            .query("name", name)
            .json()
            .await?;
        if body.roles.iter().any(|role| role.name == *name) {
            known.push(name.clone());
        }
    }
    Ok(known)
}

pub(crate) async fn project_name(session: &Session<'_>, project: &ProjectId) -> PortResult<String> {
    let body: wire::ProjectBody = session
        .get(Identity, "show project", &["projects", project.as_str()])
        .json()
        .await?;
    Ok(body.project.name.unwrap_or_default())
}

pub(crate) async fn create_trust(session: &Session<'_>, trust: &NewTrust) -> PortResult<SecretString> {
    let roles: Vec<_> = trust.roles.iter().map(|name| json!({"name": name})).collect();
    let body = json!({"trust": {
        "trustor_user_id": trust.trustor,
        "trustee_user_id": trust.trustee,
        "project_id": trust.project,
        // Keypairs belong to users: servers must be made as the trustor.
        "impersonation": true,
        "roles": roles,
        "expires_at": trust.expires_at.map(|end| end.to_rfc3339_opts(SecondsFormat::Micros, true)),
        "remaining_uses": null,
        "allow_redelegation": false,
    }});
    let call = session
        .post(Identity, "create trust", &["OS-TRUST", "trusts"], body)
        .with_secret_answer();
    let body: wire::TrustBody = call.json().await?;
    Ok(SecretString::from(body.trust.id))
}

pub(crate) async fn delete_trust<'a>(session: &Session<'a>, trust_id: &'a SecretString) -> PortResult<()> {
    let call = session.delete(
        Identity,
        "delete trust",
        &["OS-TRUST", "trusts", trust_id.expose_secret()],
    );
    call.hiding(trust_id).send_unless_gone().await
}
