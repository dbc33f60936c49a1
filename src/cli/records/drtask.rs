//! What `xe drtask-list` and its companions show.

use super::field::{Class, text, uuid_of};

/// The table of `drtask`.
pub static DRTASK: Class = Class {
    name: "drtask",
    noun: "disaster recovery task",
    api: "DR_task",
    needs: "",
    only: &[],
    defaults: &[],
    fields: &[text("uuid"), uuid_of("introduced-SRs", "SR")],
};
