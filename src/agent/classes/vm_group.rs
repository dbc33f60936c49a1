//! VM_group: VMs that are to stay apart, or that are only named together.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::xenapi::Value;
use crate::xenapi::failure::Answer;

pub(super) const METHODS: Methods = &[("destroy", destroy)];

/// Its VMs are in no group afterwards.
fn destroy(call: &Call<'_>) -> Answer {
    let group = call.text(0);
    call.agent.store.commit(|tx| {
        tx.row("VM_group", group)?;
        let db = tx.db().clone();
        for vm in db.set_of("VM_group", group, "VMs") {
            tx.set("VM", vm, "groups", Value::text_set([] as [&str; 0]));
        }
        tx.delete("VM_group", group);
        Ok(())
    })?;
    crate::agent::recover::wake(call.agent);
    Ok(Value::void())
}
