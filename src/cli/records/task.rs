//! What `xe task-list` and its companions show.

use super::field::{Class, Edit, date, float, map, text, uuid_of, word};
use super::words;

/// The table of `task`.
pub static TASK: Class = Class {
    name: "task",
    noun: "task",
    api: "task",
    needs: "",
    only: &[],
    defaults: &["uuid", "name-label", "name-description", "status", "progress"],
    fields: &[
        text("uuid"),
        text("name-label"),
        text("name-description"),
        uuid_of("subtask_of", "task"),
        uuid_of("subtasks", "task"),
        uuid_of("resident-on", "host"),
        text("status"),
        float("progress"),
        text("type"),
        text("result"),
        date("created"),
        date("finished"),
        text("error_info"),
        word("allowed_operations", words::SHOW_TASK_ALLOWED_OPERATIONS),
        word("current_operations", words::SHOW_TASK_ALLOWED_OPERATIONS),
        map("other-config").edit(Edit::Entries),
    ],
};
