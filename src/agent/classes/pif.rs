//! PIF: the interfaces of hosts.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::agent::guard;
use crate::pool::rows::Pif;
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};

pub(super) const METHODS: Methods =
    &[("plug", plug), ("unplug", unplug), ("scan", |_| Ok(Value::void()))];

fn plug(call: &Call<'_>) -> Answer {
    attach(call, true)
}

fn unplug(call: &Call<'_>) -> Answer {
    let db = call.agent.store.read();
    let pif = Pif::get(&db, call.text(0))?;
    if pif.management() {
        return Err(Failure::new("PIF_IS_MANAGEMENT_INTERFACE", [pif.reference]));
    }
    guard::interface(&db, pif.reference)?;
    attach(call, false)
}

fn attach(call: &Call<'_>, attached: bool) -> Answer {
    call.agent.store.commit(|tx| {
        tx.row("PIF", call.text(0))?;
        tx.set("PIF", call.text(0), "currently_attached", attached);
        Ok(Value::void())
    })
}
