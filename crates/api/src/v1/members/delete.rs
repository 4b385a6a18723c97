//! `DELETE /v1/{project}/protection-groups/{group}/members/{member}`

use axum::extract::State;
use axum::http::StatusCode;

use crate::App;
use crate::extract::{By, Ids, Peer};
use crate::faults::Answer;

pub(crate) async fn delete(
    State(app): State<App>,
    By(caller): By,
    ids: Ids,
    Peer(statement): Peer,
) -> Answer<StatusCode> {
    app.service
        .remove_member(&caller, ids.group()?, ids.member()?, &statement)
        .await?;
    Ok(StatusCode::ACCEPTED)
}
