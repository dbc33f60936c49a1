//! task: long calls.

use super::Methods;
use crate::agent::dispatch::Call;
use crate::agent::{new_reference, new_uuid, now};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};

pub(super) const METHODS: Methods =
    &[("create", create), ("destroy", destroy), ("cancel", cancel), ("set_status", set_status)];

fn create(call: &Call<'_>) -> Answer {
    let task = new_reference();
    call.agent.store.touch(|tx| {
        tx.create(
            "task",
            &task,
            [
                ("uuid", Value::from(new_uuid())),
                ("name_label", Value::from(call.text(0))),
                ("name_description", Value::from(call.text(1))),
                ("status", Value::from("pending")),
                ("created", now()),
            ],
        );
    });
    Ok(Value::from(task))
}

fn destroy(call: &Call<'_>) -> Answer {
    let task = call.text(0);
    let db = call.agent.store.read();
    db.require("task", task)?;
    call.agent.store.touch(|tx| tx.delete("task", task));
    Ok(Value::void())
}

fn cancel(call: &Call<'_>) -> Answer {
    let task = call.text(0);
    let db = call.agent.store.read();
    db.require("task", task)?;
    if db.text("task", task, "status") != "pending" {
        return Err(Failure::new("OPERATION_NOT_ALLOWED", ["the task has ended already"]));
    }
    call.agent.tasks.cancel(task);
    Ok(Value::void())
}

fn set_status(call: &Call<'_>) -> Answer {
    let (task, status) = (call.text(0), call.params[1].clone());
    call.agent.store.read().require("task", task)?;
    call.agent.store.touch(|tx| tx.set("task", task, "status", status));
    Ok(Value::void())
}
