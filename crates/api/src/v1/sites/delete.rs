//! `DELETE /v1/admin/sites/{site}`

use axum::extract::State;
use axum::http::StatusCode;

use crate::App;
use crate::extract::Ids;
use crate::faults::Answer;

pub(crate) async fn delete(State(app): State<App>, ids: Ids) -> Answer<StatusCode> {
    app.service.delete_site(ids.site()?).await?;
    Ok(StatusCode::NO_CONTENT)
}
