//! What `xe secret-list` and its companions show.

use super::field::{Class, Parse, text};

/// The table of `secret`.
pub static SECRET: Class = Class {
    name: "secret",
    noun: "secret",
    api: "secret",
    needs: "",
    only: &[],
    defaults: &[],
    fields: &[text("uuid"), text("value").rw(Parse::Text)],
};
