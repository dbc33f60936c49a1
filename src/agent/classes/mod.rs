//! Methods with behaviour of their own, a file a class. What is not here follows from the data
//! model ([`super::generic`]) or answers NOT_IMPLEMENTED.

mod event;
mod host;
mod message;
mod pbd;
mod pif;
mod pool;
mod session;
mod sr;
mod task;
mod vbd;
mod vdi;
mod vif;
mod vm;
mod vm_group;

use super::dispatch::Handler;

/// The methods of one class by name.
type Methods = &'static [(&'static str, Handler)];

/// The hand-written method of a class, if there is one.
pub fn find(class: &str, method: &str) -> Option<Handler> {
    let methods: Methods = match class {
        "event" => event::METHODS,
        "host" => host::METHODS,
        "message" => message::METHODS,
        "PBD" => pbd::METHODS,
        "PIF" => pif::METHODS,
        "pool" => pool::METHODS,
        "session" => session::METHODS,
        "SR" => sr::METHODS,
        "task" => task::METHODS,
        "VBD" => vbd::METHODS,
        "VDI" => vdi::METHODS,
        "VIF" => vif::METHODS,
        "VM" => vm::METHODS,
        "VM_group" => vm_group::METHODS,
        _ => return None,
    };
    methods.iter().find(|(name, _)| *name == method).map(|(_, handler)| *handler)
}

#[cfg(test)]
mod tests {
    use crate::xenapi::Model;

    #[test]
    fn every_hand_written_method_is_in_the_data_model() {
        let all = [
            ("event", super::event::METHODS),
            ("host", super::host::METHODS),
            ("message", super::message::METHODS),
            ("PBD", super::pbd::METHODS),
            ("PIF", super::pif::METHODS),
            ("pool", super::pool::METHODS),
            ("session", super::session::METHODS),
            ("SR", super::sr::METHODS),
            ("task", super::task::METHODS),
            ("VBD", super::vbd::METHODS),
            ("VDI", super::vdi::METHODS),
            ("VIF", super::vif::METHODS),
            ("VM", super::vm::METHODS),
            ("VM_group", super::vm_group::METHODS),
        ];
        for (class, methods) in all {
            let class = Model::get().class(class).unwrap();
            for (name, _) in methods {
                let known = class.methods.contains_key(*name)
                    || crate::agent::generic::find(class, name).is_some();
                assert!(known, "{}.{name}", class.name);
            }
        }
    }
}
