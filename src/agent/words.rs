//! A refusal in words, for answers that are shown and not thrown: no code, no reference.

use crate::plan::Shortage;
use crate::pool::Database;
use crate::xenapi::{Failure, codes};

/// Classes whose rows have a name, and those that have a uuid alone.
const CLASSES: [&str; 9] = ["VM", "host", "SR", "network", "VDI", "GPU_group", "VBD", "VIF", "PIF"];

/// Why something is refused, as the end of a sentence.
pub fn why(db: &Database, failure: &Failure) -> String {
    let params: Vec<&str> = failure.params.iter().map(String::as_str).collect();
    match (failure.code.as_str(), &params[..]) {
        ("HOST_EVACUATE_VM_NOT_HA_PROTECTED", _) => {
            "it is not protected, and no room is left for it that protected VMs do not need".into()
        }
        ("HOST_NOT_ENOUGH_FREE_MEMORY", [needed, left, ..]) => {
            match (needed.parse::<u64>(), left.parse::<u64>()) {
                (Ok(needed), Ok(left)) if needed > left => {
                    let (needed, left) = (needed.div_ceil(1 << 20), left >> 20);
                    format!("it needs {needed} MiB, and no host has more than {left} MiB left")
                }
                _ => "the room that is left is needed for other VMs".to_owned(),
            }
        }
        ("XE_HOST_VM_LIMIT", _) => Shortage::Slots.sentence().to_owned(),
        ("HOST_NOT_ENOUGH_PCPUS", _) => Shortage::Vcpus.sentence().to_owned(),
        ("NO_HOSTS_AVAILABLE", _) => Shortage::Hosts.sentence().to_owned(),
        ("VM_BAD_POWER_STATE", [_, expected, actual]) => format!("it is {actual}, not {expected}"),
        (_, [.., last]) if last.contains(' ') => (*last).to_owned(),
        _ => {
            let (sentence, named) = codes::parts(failure);
            let sentence = lower(sentence.trim_end_matches('.'));
            let named: Vec<String> =
                named.iter().map(|(name, value)| format!("{name}: {}", shown(db, value))).collect();
            if named.is_empty() { sentence } else { format!("{sentence} ({})", named.join(", ")) }
        }
    }
}

/// A sentence as a part of another one.
fn lower(sentence: &str) -> String {
    let mut letters = sentence.chars();
    match (letters.next(), letters.next()) {
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(sentence.chars().skip(1)).collect()
        }
        _ => sentence.to_owned(),
    }
}

/// A value; of a reference, the name or else the uuid.
pub fn shown(db: &Database, value: &str) -> String {
    if !value.starts_with("OpaqueRef:") {
        return value.to_owned();
    }
    let class = CLASSES.into_iter().find(|class| db.row(class, value).is_some());
    let text = |field: &str| class.map_or("", |class| db.text(class, value, field));
    let found = [text("name_label"), text("uuid")].into_iter().find(|text| !text.is_empty());
    found.unwrap_or("something that is gone").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_code_and_no_reference_is_left() {
        let agent = crate::agent::in_process::of_two_hosts();
        let db = agent.store.read();
        let vm = "OpaqueRef:vm13";
        let said =
            |code: &str, params: &[&str]| why(&db, &Failure::new(code, params.iter().copied()));
        assert_eq!(
            said("HOST_NOT_ENOUGH_FREE_MEMORY", &["314572800", "121634816", vm]),
            "it needs 300 MiB, and no host has more than 116 MiB left"
        );
        assert!(
            said("HOST_EVACUATE_VM_NOT_HA_PROTECTED", &[vm]).starts_with("it is not protected")
        );
        assert_eq!(
            said("VM_BAD_POWER_STATE", &[vm, "halted", "running"]),
            "it is running, not halted"
        );
        let sr = said("VM_REQUIRES_SR", &[vm, "OpaqueRef:sr-shared"]);
        assert!(sr.starts_with("the VM needs storage") && sr.contains("vm: scratch"), "{sr}");
        assert!(!sr.contains("OpaqueRef"), "{sr}");
        assert_eq!(said("HA_NOT_ENABLED", &[]), "HA is not on");
        let off = said("HOST_OFFLINE", &["OpaqueRef:host-anna"]);
        assert_eq!(off, "the host is not reachable (host: anna)");
        assert_eq!(said("VM_HAS_VGPU", &[vm, "two words"]), "two words");
    }
}
