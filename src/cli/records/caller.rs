//! What `xe caller-list` and its companions show.

use super::field::{Class, Edit, Parse, date, text};

/// The table of `caller`.
pub static CALLER: Class = Class {
    name: "caller",
    noun: "API caller",
    api: "Caller",
    needs: "",
    only: &[],
    defaults: &[
        "uuid",
        "name-label",
        "name-description",
        "user-agent",
        "client-ip",
        "last-access",
        "groups",
        "rate-limit",
    ],
    fields: &[
        text("uuid"),
        text("name-label").rw(Parse::Text),
        text("name-description").rw(Parse::Text),
        text("user-agent"),
        text("client-ip"),
        date("last-access"),
        text("groups").set().edit(Edit::MembersAs("group")),
        text("rate-limit"),
    ],
};
