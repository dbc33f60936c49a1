//! Calls that run as tasks of the server, and waiting for them.

use std::time::Duration;

use super::context::Context;
use crate::cli::errors::CliError;
use crate::client::CallError;
use crate::xenapi::{Failure, Value};

/// How long one wait for an event lasts, in seconds.
const EVENT_WAIT: f64 = 30.0;

impl Context<'_, '_> {
    /// Starts `Async.<method>` and waits for its end; the task is destroyed in any case.
    ///
    /// Errors: a failed task is reported exactly like a failed call.
    pub fn run_task(&mut self, method: &str, params: &[Value]) -> Result<Value, CliError> {
        let task: Value = self.text(&format!("Async.{method}"), params)?.into();
        let outcome = self.wait_for_task(&task);
        // The result is known by now; a task that stays behind harms nobody.
        let _ = self.session.call("task.destroy", std::slice::from_ref(&task));
        outcome
    }

    fn wait_for_task(&mut self, task: &Value) -> Result<Value, CliError> {
        let one = std::slice::from_ref(task);
        let bar = super::progress::Bar::new(
            self.params.has("progress"),
            self.console.terminal && !self.console.is_minimal(),
        );
        let mut token = String::new();
        let mut polling = false;
        while self.text("task.get_status", one)? == "pending" {
            if bar.is_shown() {
                let progress = self.call("task.get_progress", one)?;
                bar.update(self.console, progress.as_float().unwrap_or_default());
            }
            match (!polling).then(|| self.next_event(task, &token)) {
                Some(Ok(next)) => token = next,
                Some(Err(CliError::Server(_))) | None => {
                    // A server without events, or one that lost them, is asked again and again.
                    polling = true;
                    std::thread::sleep(Duration::from_millis(200));
                }
                Some(Err(other)) => return Err(other),
            }
        }
        bar.finish(self.console);
        self.task_result(task)
    }

    fn next_event(&self, task: &Value, token: &str) -> Result<String, CliError> {
        let class = format!("task/{}", task.as_str().unwrap_or(""));
        let params = [Value::text_set([class]), token.into(), Value::Float(EVENT_WAIT)];
        let batch = self.call("event.from", &params)?;
        Ok(batch.get("token").and_then(Value::as_str).unwrap_or("").to_owned())
    }

    fn task_result(&self, task: &Value) -> Result<Value, CliError> {
        let one = std::slice::from_ref(task);
        match self.text("task.get_status", one)?.as_str() {
            "success" => Ok(match self.session.call("task.get_result", one) {
                Ok(result) => result,
                Err(CallError::Api(_)) => Value::void(),
                Err(broken) => return Err(broken.into()),
            }),
            "cancelled" | "cancelling" => {
                Err(Failure::new("TASK_CANCELLED", [task.as_str().unwrap_or("")]).into())
            }
            _ => {
                let info = self.call("task.get_error_info", one)?;
                let mut words = info
                    .as_array()
                    .unwrap_or_default()
                    .iter()
                    .map(|word| word.as_str().unwrap_or("").to_owned());
                let code = words.next().unwrap_or_else(|| "INTERNAL_ERROR".to_owned());
                Err(Failure { code, params: words.collect() }.into())
            }
        }
    }
}
