//! What `xe repository-list` and its companions show.

use super::field::{Class, Parse, text};

/// The table of `repository`.
pub static REPOSITORY: Class = Class {
    name: "repository",
    noun: "repository",
    api: "Repository",
    needs: "",
    only: &[],
    defaults: &[
        "uuid",
        "name-label",
        "name-description",
        "binary-url",
        "source-url",
        "update",
        "hash",
        "up-to-date",
        "gpgkey-path",
        "origin",
    ],
    fields: &[
        text("uuid"),
        text("name-label").rw(Parse::Text),
        text("name-description").rw(Parse::Text),
        text("binary-url"),
        text("source-url"),
        text("update"),
        text("hash"),
        text("gpgkey-path").rw(Parse::Text),
        text("origin"),
        text("certificate").hidden(),
    ],
};
