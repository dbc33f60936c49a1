//! `Async.` calls: each runs on a thread of its own and reports to a row of the class task.

use super::session::Session;
use super::{Agent, new_reference, new_uuid, now};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Failure, Value};
use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The tasks that were asked to stop.
#[derive(Debug, Default)]
pub struct Tasks {
    cancelled: Mutex<HashSet<String>>,
}

impl Tasks {
    /// Asks a task to stop at its next step.
    pub fn cancel(&self, task: &str) {
        self.cancelled.lock().unwrap_or_else(PoisonError::into_inner).insert(task.to_owned());
    }

    /// TASK_CANCELLED if the task was asked to stop.
    pub fn check(&self, task: Option<&str>) -> Answer<()> {
        let cancelled = self.cancelled.lock().unwrap_or_else(PoisonError::into_inner);
        match task.filter(|task| cancelled.contains(*task)) {
            Some(task) => Err(Failure::new("TASK_CANCELLED", [task])),
            None => Ok(()),
        }
    }
}

/// Starts a call as a task and answers the task's reference.
pub fn start(
    agent: &Arc<Agent>,
    session: Option<Session>,
    method: &str,
    work: impl FnOnce(&Arc<Agent>, &str, Option<Session>) -> Answer + Send + 'static,
) -> Answer {
    let task = new_reference();
    agent.store.touch(|tx| {
        let host = agent.host_ref(tx.db()).unwrap_or_default();
        tx.create(
            "task",
            &task,
            [
                ("uuid", Value::from(new_uuid())),
                ("name_label", Value::from(format!("Async.{method}"))),
                ("status", Value::from("pending")),
                ("resident_on", Value::from(host)),
                ("created", now()),
                ("type", Value::from("<none/>")),
                ("allowed_operations", Value::text_set(["cancel"])),
            ],
        );
    });
    let (agent, name) = (Arc::clone(agent), task.clone());
    let run = move || {
        let answer = work(&agent, &name, session);
        finish(&agent, &name, answer);
    };
    std::thread::Builder::new()
        .name("task".to_owned())
        .spawn(run)
        .map_err(|error| Failure::internal(format!("no thread for the task: {error}")))?;
    Ok(Value::from(task))
}

/// Reports how far a task is, from 0 to 1.
pub fn progress(agent: &Agent, task: Option<&str>, share: f64) {
    if let Some(task) = task {
        agent.store.touch(|tx| tx.set("task", task, "progress", Value::Float(share)));
    }
}

fn finish(agent: &Agent, task: &str, answer: Answer) {
    agent.store.touch(|tx| {
        match answer {
            Ok(value) => {
                tx.set("task", task, "status", "success");
                tx.set("task", task, "result", result_text(&value));
            }
            Err(failure) => {
                let cancelled = failure.code == "TASK_CANCELLED";
                let words = std::iter::once(failure.code).chain(failure.params);
                tx.set("task", task, "status", if cancelled { "cancelled" } else { "failure" });
                tx.set("task", task, "error_info", Value::text_set(words));
            }
        }
        tx.set("task", task, "progress", Value::Float(1.0));
        tx.set("task", task, "finished", now());
        tx.set("task", task, "allowed_operations", Value::text_set(["destroy"]));
    });
}

/// A result as a task holds it: the XML of the value, nothing for void.
fn result_text(value: &Value) -> String {
    match value {
        Value::String(text) if text.is_empty() => String::new(),
        other => crate::xenapi::xmlrpc::encode_value(other),
    }
}
