//! The lab's own history: one JSON object a line in `history-lab.jsonl`, by the protocol's clock.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// The file's name within the lab's directory.
pub const FILE: &str = "history-lab.jsonl";

/// Appends to the history; several processes of the lab do, a line at a time.
#[derive(Debug, Clone)]
pub struct Events {
    path: PathBuf,
}

impl Events {
    /// The history of a lab's directory.
    pub fn of(dir: &Path) -> Self {
        Self { path: dir.join(FILE) }
    }

    /// Notes what happened to a host (or to none in particular) at that time.
    pub fn note(&self, t_ns: u64, event: &str, host: &str, why: &str, fields: Value) {
        let mut line = json!({ "t_ns": t_ns, "event": event, "host": host, "why": why });
        if let (Some(line), Value::Object(fields)) = (line.as_object_mut(), fields) {
            line.extend(fields);
        }
        if let Ok(mut file) = OpenOptions::new().create(true).append(true).open(&self.path) {
            // One write a line: the lines of several processes do not mix.
            let _full_disk = file.write_all(format!("{line}\n").as_bytes());
        }
    }
}
