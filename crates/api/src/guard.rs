//! Who is asking, and may he: before every handler, by the rule that the route table names.

use std::sync::Arc;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{RawPathParams, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use protector_domain::{ProjectId, UserId};
use protector_oslo::faults::Fault;
use protector_oslo::policy::Enforcer;
use protector_oslo::token::Identity;
use protector_service::Caller;
use secrecy::SecretString;
use serde_json::{Map, Value};

/// The token as it came: the middleware that validates it takes it out of the headers, and trusts are made with it.
#[derive(Clone)]
pub(crate) struct Token(SecretString);

pub(crate) async fn keep_token(mut request: Request, next: Next) -> Response {
    let token = request
        .headers()
        .get("x-auth-token")
        .and_then(|value| value.to_str().ok())
        .map(|text| Token(SecretString::from(text)));
    if let Some(token) = token {
        request.extensions_mut().insert(token);
    }
    next.run(request).await
}

/// The rule of one route.
#[derive(Clone)]
pub(crate) struct Guard {
    pub policy: Arc<Enforcer>,
    pub rule: &'static str,
}

pub(crate) async fn check(
    State(guard): State<Guard>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Response {
    // Bytes that are no text are nothing's name.
    let Ok(params) = params else {
        return Fault::not_found("The resource could not be found.").into_response();
    };
    let wanted = params
        .iter()
        .find(|(name, _)| *name == "project")
        .map(|(_, value)| value.to_owned());
    let extensions = request.extensions();
    let (Some(identity), Some(token)) = (
        extensions.get::<Arc<Identity>>().cloned(),
        extensions.get::<Token>().cloned(),
    ) else {
        // Only reached if the layers were put together wrongly; then nobody gets in.
        return Fault::forbidden("The request has no validated token.").into_response();
    };
    match admit(&guard, &identity, token, wanted.as_deref()) {
        Ok(caller) => {
            if let Some(caller) = caller {
                request.extensions_mut().insert(caller);
            }
            next.run(request).await
        }
        Err(fault) => {
            tracing::info!("403 Forbidden: {}", fault.message());
            fault.into_response()
        }
    }
}

/// The caller, for routes of a project; administrators' routes do without one.
fn admit(
    guard: &Guard,
    identity: &Identity,
    token: Token,
    wanted: Option<&str>,
) -> Result<Option<Caller>, Fault> {
    if let Some(wanted) = wanted
        && identity.project_id.as_deref() != Some(wanted)
    {
        return Err(Fault::forbidden(
            "The URL belongs to another project than the token: use the endpoint of the token's own catalog.",
        ));
    }
    let mut target = Map::new();
    let project = wanted.or(identity.project_id.as_deref());
    if let Some(project) = project {
        target.insert("project_id".to_owned(), Value::from(project));
        target.insert("tenant_id".to_owned(), Value::from(project));
    }
    target.insert("user_id".to_owned(), Value::from(identity.user_id.as_str()));
    guard
        .policy
        .authorize(guard.rule, &target, &identity.credentials())
        .map_err(|denied| Fault::forbidden(denied.to_string()))?;
    if wanted.is_none() {
        return Ok(None);
    }
    caller(identity, token).map(Some)
}

fn caller(identity: &Identity, token: Token) -> Result<Caller, Fault> {
    let strange = |_| Fault::forbidden("The token's user or project has an id that can't be one.");
    Ok(Caller {
        user_id: UserId::new(identity.user_id.as_str()).map_err(strange)?,
        user_name: identity.user_name.clone(),
        project_id: ProjectId::new(identity.project_id.clone().unwrap_or_default()).map_err(strange)?,
        project_name: identity.project_name.clone().unwrap_or_default(),
        roles: identity.roles.iter().map(|role| role.name.clone()).collect(),
        token: token.0,
        delegated: identity.is_delegated(),
    })
}
