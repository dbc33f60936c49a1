//! Files over HTTP: the database dump and its restore.

use super::Agent;
use super::session::Caller;
use crate::xenapi::roles::Role;
use axum::http::{Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use std::collections::HashMap;
use std::sync::Arc;

/// Answers GET and PUT.
pub fn transfer(
    agent: &Arc<Agent>,
    _caller: Caller,
    method: &Method,
    uri: &Uri,
    body: &[u8],
) -> Response {
    let query: HashMap<&str, &str> =
        uri.query().unwrap_or("").split('&').filter_map(|pair| pair.split_once('=')).collect();
    let session = query.get("session_id").copied().unwrap_or("");
    match agent.sessions.get(session) {
        Ok(session) if session.role == Role::PoolAdmin => {}
        _ => return (StatusCode::FORBIDDEN, "no session with the right role\n").into_response(),
    }
    match (method, uri.path()) {
        (&Method::GET, "/pool/xmldbdump") => super::dump::download(agent),
        (&Method::PUT, "/pool/xmldbdump") => {
            super::dump::restore(agent, body, query.contains_key("dry_run"))
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}
