//! What `xe usb-group-list` and its companions show.

use super::field::{Class, Edit, Parse, map, text, uuid_of};

/// The table of `usb-group`.
pub static USB_GROUP: Class = Class {
    name: "usb-group",
    noun: "USB group",
    api: "USB_group",
    needs: "",
    only: &[],
    defaults: &["uuid", "name-label", "name-description"],
    fields: &[
        text("uuid"),
        text("name-label").rw(Parse::Text),
        text("name-description").rw(Parse::Text),
        uuid_of("VUSB-uuids", "VUSB").api("VUSBs").set(),
        uuid_of("PUSB-uuids", "PUSB").api("PUSBs").set(),
        map("other-config").edit(Edit::Entries),
    ],
};
