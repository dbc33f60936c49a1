//! VDI: virtual disks.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::agent::generic::checked_record;
use crate::agent::vm::{copy, disks};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Model, Value};
use std::collections::BTreeMap;

pub(super) const METHODS: Methods = &[
    ("create", create),
    ("destroy", |call| disks::destroy_vdi(call.agent, call.text(0)).map(|()| Value::void())),
    ("resize", resize),
    ("resize_online", resize),
    ("clone", |call| copy::copy_disk(call.agent, call.text(0)).map(Value::from)),
    ("forget", forget),
];

fn create(call: &Call<'_>) -> Answer {
    let empty = BTreeMap::new();
    let given = call.params[0].as_struct().unwrap_or(&empty);
    let class = Model::get().class("VDI").ok_or_else(|| Failure::internal("no VDIs"))?;
    let db = call.agent.store.read();
    let fields = checked_record(&db, class, given)?;
    let text = |name: &str| fields.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
    let size = fields.get("virtual_size").and_then(Value::as_int).unwrap_or(0);
    disks::create_vdi(call.agent, &text("SR"), &text("name_label"), size, &fields).map(Value::from)
}

fn resize(call: &Call<'_>) -> Answer {
    disks::resize_vdi(call.agent, call.text(0), call.int(1)).map(|()| Value::void())
}

fn forget(call: &Call<'_>) -> Answer {
    call.agent.store.commit(|tx| {
        tx.row("VDI", call.text(0))?;
        tx.delete("VDI", call.text(0));
        Ok(Value::void())
    })
}
