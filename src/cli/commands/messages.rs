//! Messages about a VM that came up while something was done with it.

use super::context::Context;
use super::table::Outcome;
use crate::cli::printing::spelling;
use crate::client::CallError;
use crate::xenapi::Value;

/// The present moment in the API's form, by this machine's clock.
pub fn now() -> String {
    jiff::Timestamp::now().strftime("%Y%m%dT%H:%M:%SZ").to_string()
}

impl Context<'_, '_> {
    /// Prints the new messages about a VM that are more urgent than priority 5 (or than
    /// `message-priority=`) on stderr.
    pub fn show_messages(&mut self, uuid: &str, since: &str) -> Outcome {
        let limit = self.params.int("message-priority", 5)?;
        let params = ["VM".into(), uuid.into(), Value::DateTime(since.to_owned())];
        // The work itself is done: without messages nothing is lost.
        let answer = match self.session.call("message.get", &params) {
            Ok(answer) => answer,
            Err(CallError::Api(_)) => return Ok(()),
            Err(broken) => return Err(broken.into()),
        };
        for message in answer.as_struct().into_iter().flat_map(|map| map.values()) {
            let priority = message.get("priority").and_then(Value::as_int).unwrap_or(5);
            if priority < limit {
                let text = |field| message.get(field).and_then(Value::as_str).unwrap_or("");
                self.console.note(&format!(
                    "Message: time={} priority={priority} name='{}'\n",
                    spelling::date(text("timestamp")),
                    text("name")
                ));
            }
        }
        Ok(())
    }
}
