//! What `xe message-list` and its companions show.

use super::field::{Class, date, int, text};

/// The table of `message`.
pub static MESSAGE: Class = Class {
    name: "message",
    noun: "message",
    api: "message",
    needs: "",
    only: &[],
    defaults: &[],
    fields: &[
        text("uuid"),
        text("name"),
        int("priority"),
        text("class").api("cls"),
        text("obj-uuid"),
        date("timestamp"),
        text("body"),
    ],
};
