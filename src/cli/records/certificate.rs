//! What `xe certificate-list` and its companions show.

use super::field::{Class, date, text, uuid_of};

/// The table of `certificate`.
pub static CERTIFICATE: Class = Class {
    name: "certificate",
    noun: "certificate",
    api: "Certificate",
    needs: "",
    only: &[],
    defaults: &[
        "uuid",
        "type",
        "name",
        "host",
        "not-before",
        "not-after",
        "fingerprint",
        "purpose",
    ],
    fields: &[
        text("uuid"),
        text("type"),
        text("name"),
        uuid_of("host", "host"),
        date("not-before"),
        date("not-after"),
        text("fingerprint"),
        text("fingerprint_sha256"),
        text("fingerprint_sha1"),
        text("purpose"),
    ],
};
