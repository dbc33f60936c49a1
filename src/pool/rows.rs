//! Typed views of the rows that the agent works with.
//!
//! A view names each field once with its type; a test checks them against the data model.

use super::database::{Database, Row};
use crate::xenapi::failure::Answer;
use crate::xenapi::{Model, NULL_REF, Value};

/// A row of a class, read by field name.
#[derive(Debug, Clone, Copy)]
struct Fields<'a> {
    class: &'static str,
    row: &'a Row,
}

impl<'a> Fields<'a> {
    fn value(&self, field: &str) -> Option<&'a Value> {
        Some(self.row.at(Model::get().class(self.class)?.index(field)?))
    }
}

trait Reads<'a>: Sized {
    fn read(value: Option<&'a Value>) -> Self;
}

impl<'a> Reads<'a> for &'a str {
    fn read(value: Option<&'a Value>) -> Self {
        value.and_then(Value::as_str).unwrap_or("")
    }
}

impl Reads<'_> for i64 {
    fn read(value: Option<&Value>) -> Self {
        value.and_then(Value::as_int).unwrap_or(0)
    }
}

impl Reads<'_> for bool {
    fn read(value: Option<&Value>) -> Self {
        value.and_then(Value::as_bool).unwrap_or(false)
    }
}

impl<'a> Reads<'a> for Option<&'a str> {
    fn read(value: Option<&'a Value>) -> Self {
        value.and_then(Value::as_str).filter(|r| *r != NULL_REF && !r.is_empty())
    }
}

impl<'a> Reads<'a> for Vec<&'a str> {
    fn read(value: Option<&'a Value>) -> Self {
        let items = value.and_then(Value::as_array).unwrap_or(&[]);
        items.iter().filter_map(Value::as_str).collect()
    }
}

macro_rules! views {
    ($($(#[$doc:meta])* $view:ident = $class:literal { $($field:ident: $ty:ty,)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Debug, Clone, Copy)]
            pub struct $view<'a> {
                /// The row's reference.
                pub reference: &'a str,
                fields: Fields<'a>,
            }

            #[allow(non_snake_case, reason = "the data model's own names")]
            impl<'a> $view<'a> {
                /// The row of a reference, or HANDLE_INVALID.
                pub fn get(db: &'a Database, reference: &'a str) -> Answer<Self> {
                    let row = db.require($class, reference)?;
                    Ok(Self { reference, fields: Fields { class: $class, row } })
                }

                /// All rows of the class.
                pub fn all(db: &'a Database) -> impl Iterator<Item = Self> + 'a {
                    db.table($class).iter().map(|(reference, row)| Self {
                        reference,
                        fields: Fields { class: $class, row },
                    })
                }

                $(
                    /// The field of the same name.
                    pub fn $field(&self) -> $ty {
                        <$ty as Reads<'a>>::read(self.fields.value(stringify!($field)))
                    }
                )*

                /// The value of a key of a map field.
                pub fn key(&self, field: &str, key: &str) -> Option<&'a str> {
                    self.fields.value(field)?.get(key)?.as_str()
                }
            }
        )*

        #[cfg(test)]
        const FIELDS: &[(&str, &str, &str)] =
            &[$($(($class, stringify!($field), stringify!($ty)),)*)*];
    };
}

views! {
    /// A virtual machine, a template or a snapshot.
    Vm = "VM" {
        uuid: &'a str,
        name_label: &'a str,
        power_state: &'a str,
        is_a_template: bool,
        is_a_snapshot: bool,
        is_control_domain: bool,
        resident_on: Option<&'a str>,
        affinity: Option<&'a str>,
        memory_static_max: i64,
        memory_dynamic_max: i64,
        memory_overhead: i64,
        VCPUs_max: i64,
        ha_always_run: bool,
        ha_restart_priority: &'a str,
        order: i64,
        start_delay: i64,
        shutdown_delay: i64,
        suspend_VDI: Option<&'a str>,
        metrics: Option<&'a str>,
        VBDs: Vec<&'a str>,
        VIFs: Vec<&'a str>,
        VGPUs: Vec<&'a str>,
        VUSBs: Vec<&'a str>,
        attached_PCIs: Vec<&'a str>,
    }
    /// A host.
    Host = "host" {
        uuid: &'a str,
        name_label: &'a str,
        hostname: &'a str,
        address: &'a str,
        enabled: bool,
        memory_overhead: i64,
        boot_free_mem: i64,
        metrics: Option<&'a str>,
        resident_VMs: Vec<&'a str>,
        PBDs: Vec<&'a str>,
        PIFs: Vec<&'a str>,
    }
    /// A virtual disk's attachment to a VM.
    Vbd = "VBD" {
        uuid: &'a str,
        VM: Option<&'a str>,
        VDI: Option<&'a str>,
        empty: bool,
        mode: &'a str,
        device: &'a str,
        userdevice: &'a str,
        currently_attached: bool,
    }
    /// A virtual disk.
    Vdi = "VDI" {
        uuid: &'a str,
        name_label: &'a str,
        SR: Option<&'a str>,
        virtual_size: i64,
        sharable: bool,
        read_only: bool,
        VBDs: Vec<&'a str>,
    }
    /// A storage repository.
    Sr = "SR" {
        uuid: &'a str,
        name_label: &'a str,
        shared: bool,
        content_type: &'a str,
        VDIs: Vec<&'a str>,
        PBDs: Vec<&'a str>,
    }
    /// A storage repository's attachment to a host.
    Pbd = "PBD" {
        uuid: &'a str,
        host: Option<&'a str>,
        SR: Option<&'a str>,
        currently_attached: bool,
    }
    /// A virtual network interface.
    Vif = "VIF" {
        uuid: &'a str,
        VM: Option<&'a str>,
        network: Option<&'a str>,
        device: &'a str,
        currently_attached: bool,
    }
    /// A physical network interface.
    Pif = "PIF" {
        uuid: &'a str,
        host: Option<&'a str>,
        network: Option<&'a str>,
        management: bool,
        currently_attached: bool,
        bond_slave_of: Option<&'a str>,
    }
    /// The pool.
    Pool = "pool" {
        uuid: &'a str,
        master: Option<&'a str>,
        ha_enabled: bool,
        ha_host_failures_to_tolerate: i64,
        ha_plan_exists_for: i64,
        ha_allow_overcommit: bool,
        ha_overcommitted: bool,
        ha_reboot_vm_on_internal_shutdown: bool,
        ha_statefiles: Vec<&'a str>,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xenapi::types::Type;

    #[test]
    fn every_view_agrees_with_the_data_model() {
        for (class, field, ty) in FIELDS {
            let declared = Model::get().class(class).and_then(|c| c.field(field));
            let declared = &declared.unwrap_or_else(|| panic!("{class}.{field}")).ty;
            let agrees = match declared {
                Type::Text | Type::Enum(_) => *ty == "&'a str",
                Type::Int => *ty == "i64",
                Type::Bool => *ty == "bool",
                Type::Ref(_) => *ty == "Option<&'a str>",
                Type::Set(_) => *ty == "Vec<&'a str>",
                _ => false,
            };
            assert!(agrees, "{class}.{field}: {ty} for {declared:?}");
        }
    }
}
