//! The pool database as XML, over HTTP.

use super::Agent;
use crate::pool::dump::{self, Dump};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};

/// Answers a download of the database.
pub fn download(agent: &Agent) -> Response {
    let generation = agent.store.position().generation;
    let xml = dump::write_new(&agent.store.read(), generation);
    ([("content-type", "text/xml")], xml).into_response()
}

/// Takes a dump in place of the pool's database. With `dry_run` only says whether it would.
///
/// The hosts must be the same: VMs are halted, since what ran when the dump was made says nothing
/// about now, and a host that runs VMs refuses to be overwritten.
pub fn restore(agent: &Agent, xml: &[u8], dry_run: bool) -> Response {
    let refuse = |why: String| (StatusCode::BAD_REQUEST, format!("{why}\n")).into_response();
    let dump = match Dump::parse(xml) {
        Ok(dump) => dump,
        Err(error) => return refuse(error.to_string()),
    };
    let now = agent.store.read();
    let own = agent.config.host.to_string();
    if dump.database.by_uuid("host", &own).is_none() {
        return refuse(format!("the dump does not know this host ({own})"));
    }
    let running = crate::pool::rows::Vm::all(&now)
        .find(|vm| super::capacity::is_machine(vm) && vm.power_state() != "Halted");
    if let Some(vm) = running {
        return refuse(format!("VM {} is not halted; stop all VMs first", vm.uuid()));
    }
    if super::pool_ref(&now).is_some_and(|pool| now.flag("pool", pool, "ha_enabled")) {
        return refuse("HA is on; switch it off first".to_owned());
    }
    if dry_run {
        return StatusCode::OK.into_response();
    }
    match agent.store.commit(|tx| {
        tx.replace_by(&dump.database);
        Ok(())
    }) {
        Ok(()) => StatusCode::OK.into_response(),
        Err(failure) => refuse(failure.to_string()),
    }
}
