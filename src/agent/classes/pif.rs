//! PIF: the interfaces of hosts.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::pool::rows::{Pif, Pool, Vm};
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
    let guarded = Pool::all(&db).any(|pool| pool.ha_enabled() && !pool.ha_allow_overcommit());
    let needed = |vm: &Vm<'_>| {
        let networks = crate::agent::agility::needed_networks(&db, vm);
        crate::agent::capacity::is_protected(vm)
            && pif.network().is_some_and(|network| networks.contains(&network))
    };
    if guarded && Vm::all(&db).any(|vm| needed(&vm)) {
        let network = pif.network().unwrap_or("");
        return Err(Failure::new("HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED", [network]));
    }
    attach(call, false)
}

fn attach(call: &Call<'_>, attached: bool) -> Answer {
    call.agent.store.commit(|tx| {
        tx.row("PIF", call.text(0))?;
        tx.set("PIF", call.text(0), "currently_attached", attached);
        Ok(Value::void())
    })
}
