//! Who may do what: between the token and the handler.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::extract::{MatchedPath, Path, Request, State};
use axum::http::header::HeaderName;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use protector_domain::{ProjectId, UserId};
use protector_oslo::faults::Fault;
use protector_oslo::policy::flatten;
use protector_oslo::token::Identity;
use protector_service::Caller;
use secrecy::SecretString;
use serde_json::json;

use crate::App;
use crate::routes::rule_of;

const TOKEN: HeaderName = HeaderName::from_static("x-auth-token");

/// Checks the project in the path and the route's rule, and tells the handler who calls.
pub(crate) async fn authorize(
    State(app): State<App>,
    Extension(identity): Extension<Arc<Identity>>,
    route: MatchedPath,
    Path(path): Path<HashMap<String, String>>,
    mut request: Request,
    next: Next,
) -> Response {
    let caller = match caller(&identity, &request) {
        Ok(caller) => caller,
        Err(fault) => return fault.into_response(),
    };
    if path.get("project").is_some_and(|project| *project != caller.project_id.as_str()) {
        return Fault::forbidden("The project in the URL is not the token's project.").into_response();
    }
    let Some(rule) = rule_of(request.method().as_str(), route.as_str()) else {
        // A method that the route doesn't have is the router's to refuse.
        return next.run(request).await;
    };
    let target = flatten(&json!({ "project_id": caller.project_id.as_str(), "user_id": caller.user_id.as_str() }));
    if let Err(denied) = app.enforcer.authorize(rule, &target, &identity.credentials()) {
        tracing::info!(rule, user = %caller.user_id, project = %caller.project_id, "refused by policy");
        return Fault::forbidden(denied.to_string()).into_response();
    }
    request.extensions_mut().insert(caller);
    next.run(request).await
}

fn caller(identity: &Identity, request: &Request) -> Result<Caller, Fault> {
    let scope = || Fault::forbidden("The token is not scoped to a project: sign in to one.");
    let project = identity.project_id.clone().ok_or_else(scope)?;
    let token = request.headers().get(TOKEN).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let odd = |_| Fault::forbidden("The token's user or project has an id that is none.");
    Ok(Caller {
        user_id: UserId::new(identity.user_id.clone()).map_err(odd)?,
        user_name: identity.user_name.clone(),
        project_name: identity.project_name.clone().unwrap_or_else(|| project.clone()),
        project_id: ProjectId::new(project).map_err(odd)?,
        roles: identity.roles.iter().map(|role| role.name.clone()).collect(),
        token: SecretString::from(token.to_owned()),
        delegated: identity.is_delegated(),
    })
}
