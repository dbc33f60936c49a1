//! What happened on this host and why: one JSON object a line in `history-agent.jsonl`.

use crate::host::clock::boottime_ns;
use crate::host::rolling::Rolling;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// The file; without one nothing is kept.
#[derive(Debug, Default)]
pub struct History {
    file: Mutex<Option<Rolling>>,
}

impl History {
    /// Opens the history of a state directory.
    pub fn open(state_dir: &Path) -> std::io::Result<Self> {
        let file = Rolling::open(&state_dir.join("history-agent.jsonl"))?;
        Ok(Self { file: Mutex::new(Some(file)) })
    }

    /// Notes an event with its reason; `fields` is an object.
    pub fn note(&self, event: &str, why: &str, fields: Value) {
        let mut line = json!({ "t_ns": boottime_ns(), "event": event, "why": why });
        if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
            line.extend(fields);
        }
        tracing::info!(%event, %why, "{line}");
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = file.as_mut() {
            // A full disk must not stop a recovery: the line is lost, the log has it.
            let _ = file.add(&line.to_string());
        }
    }
}
