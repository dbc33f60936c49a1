//! What `xe rate-limit-list` and its companions show.

use super::field::{Class, Parse, float, text};

/// The table of `rate-limit`.
pub static RATE_LIMIT: Class = Class {
    name: "rate-limit",
    noun: "rate limit",
    api: "Rate_limit",
    needs: "",
    only: &[],
    defaults: &["uuid", "name-label", "callers", "burst-size", "fill-rate"],
    fields: &[
        text("uuid"),
        text("name-label").rw(Parse::Text),
        text("name-description").rw(Parse::Text),
        text("callers").set(),
        float("burst-size").rw(Parse::Float),
        float("fill-rate").rw(Parse::Float),
    ],
};
