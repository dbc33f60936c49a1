//! What `xe vusb-list` and its companions show.

use super::field::{Class, Edit, map, name_of, text, uuid_of};

/// The table of `vusb`.
pub static VUSB: Class = Class {
    name: "vusb",
    noun: "virtual USB device",
    api: "VUSB",
    needs: "",
    only: &[],
    defaults: &["uuid", "vm-uuid", "usb-group-uuid"],
    fields: &[
        text("uuid"),
        uuid_of("vm-uuid", "VM").api("VM"),
        name_of("vm-name-label", "VM").api("VM"),
        uuid_of("usb-group-uuid", "USB_group").api("USB_group"),
        name_of("usb-group-name-label", "USB_group").api("USB_group"),
        map("other-config").edit(Edit::Entries),
        text("currently-attached"),
        text("allowed-operations").set(),
        text("current-operations").set(),
    ],
};
