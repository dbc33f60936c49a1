//! What `xe pusb-list` and its companions show.

use super::field::{Class, Parse, float, name_of, text, uuid_of};

/// The table of `pusb`.
pub static PUSB: Class = Class {
    name: "pusb",
    noun: "physical USB device",
    api: "PUSB",
    needs: "",
    only: &[],
    defaults: &[
        "uuid",
        "path",
        "product-id",
        "product-desc",
        "vendor-id",
        "vendor-desc",
        "serial",
        "version",
        "description",
        "speed",
    ],
    fields: &[
        text("uuid"),
        uuid_of("usb-group-uuid", "USB_group").api("USB_group"),
        uuid_of("host-uuid", "host").api("host"),
        name_of("host-name-label", "host").api("host"),
        text("path"),
        text("vendor-id"),
        text("vendor-desc"),
        text("product-id"),
        text("product-desc"),
        text("serial"),
        text("version"),
        text("description"),
        float("speed"),
        text("passthrough-enabled").rw(Parse::Bool),
    ],
};
