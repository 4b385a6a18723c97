//! `DELETE /v1/{project}/tenant-mappings/{mapping}`

use axum::extract::State;
use axum::http::StatusCode;

use crate::App;
use crate::extract::Ids;
use crate::faults::Answer;

pub(crate) async fn delete(State(app): State<App>, ids: Ids) -> Answer<StatusCode> {
    app.service.delete_tenant_mapping(ids.mapping()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
