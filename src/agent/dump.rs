//! The pool database as XML, over HTTP.

use super::Agent;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Answers a download of the database.
pub fn download(_agent: &Agent) -> Response {
    StatusCode::NOT_IMPLEMENTED.into_response()
}

/// Answers a restore of the database.
pub fn restore(_agent: &Agent, _xml: &[u8], _dry_run: bool) -> Response {
    StatusCode::NOT_IMPLEMENTED.into_response()
}
