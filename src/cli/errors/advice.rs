//! What to type after a refusal: commands with the real objects, behind what scripts know.
//!
//! A placeholder stands for something that [`super::about`] finds out; a command with one that is
//! not found is left out, for nobody can type it.

use crate::xenapi::Failure;

/// Code, and the commands that help. `{0}` is the uuid of the first parameter; `{vm}`, `{named}`
/// (a VM of the refusal alone), `{host}`, `{pool}`, `{pbd}` and `{pif}` are uuids; `{less}` and
/// `{more}` are numbers.
const COMMANDS: [(&str, &[&str]); 24] = [
    (
        "HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN",
        &[
            "xe pool-ha-status    what the pool survives now",
            "xe pool-param-set uuid={pool} ha-host-failures-to-tolerate={less}    promise less",
            "xe pool-param-set uuid={pool} ha-allow-overcommit=true    guard nothing",
            "xe vm-param-set uuid={named} ha-restart-priority=best-effort    protect fewer VMs",
        ],
    ),
    (
        "HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED",
        &[
            "xe vm-ha-explain uuid={vm}    what ties a VM to some hosts",
            "xe pbd-list sr-uuid={0} params=uuid,host-name-label,currently-attached",
            "xe pbd-plug uuid={pbd}",
        ],
    ),
    (
        "HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED",
        &[
            "xe vm-ha-explain uuid={vm}    what ties a VM to some hosts",
            "xe pif-list network-uuid={0} params=uuid,host-name-label,currently-attached",
            "xe pif-plug uuid={pif}",
        ],
    ),
    (
        "HOST_EVACUATE_VM_NOT_HA_PROTECTED",
        &[
            "xe vm-shutdown uuid={0}",
            "xe vm-suspend uuid={0}",
            "xe vm-param-set uuid={0} ha-restart-priority=restart",
        ],
    ),
    ("CANNOT_EVACUATE_HOST", &["xe host-get-vms-which-prevent-evacuation uuid={host}"]),
    (
        "HA_FAILED_TO_FORM_LIVESET",
        &[
            "xe host-list params=name-label,enabled,host-metrics-live",
            "xe host-list params=name-label,address    UDP port 694 is open between all of them?",
        ],
    ),
    ("HA_HOST_CANNOT_ACCESS_STATEFILE", &["xe pbd-list currently-attached=false"]),
    ("HA_IS_ENABLED", &["xe pool-ha-disable"]),
    ("HA_LOST_STATEFILE", &["xe pool-ha-status", "xe pbd-list currently-attached=false"]),
    ("HA_NOT_ENABLED", &["xe pool-ha-enable"]),
    ("HA_NO_PLAN", &["xe pool-ha-status    what the pool survives now"]),
    (
        "HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED",
        &["xe pool-ha-disable", "xe pool-ha-enable    both on the master: HA begins anew"],
    ),
    ("HA_TOO_FEW_HOSTS", &["xe host-list params=name-label,enabled,host-metrics-live"]),
    ("HOST_NOT_DISABLED", &["xe host-disable uuid={host}", "xe host-evacuate uuid={host}"]),
    ("HOST_DISABLED", &["xe host-enable uuid={0}"]),
    (MAINTENANCE, &["xe host-maintenance-exit uuid={0}"]),
    (
        "HOST_STILL_BOOTING",
        &["xe host-list params=name-label,enabled,host-metrics-live    try again once enabled"],
    ),
    ("NO_HOSTS_AVAILABLE", &["xe diagnostic-vm-status uuid={vm}", "xe host-list enabled=false"]),
    ("VDI_IN_USE", &["xe vm-shutdown uuid={vm}"]),
    (
        "VM_HAS_PCI_ATTACHED",
        &["xe vm-ha-explain uuid={0}", "xe vm-param-set uuid={0} ha-restart-priority=best-effort"],
    ),
    (
        "VM_HAS_VGPU",
        &["xe vm-ha-explain uuid={0}", "xe vm-param-set uuid={0} ha-restart-priority=best-effort"],
    ),
    (
        "VM_HAS_VUSBS",
        &["xe vm-ha-explain uuid={0}", "xe vm-param-set uuid={0} ha-restart-priority=best-effort"],
    ),
    ("VM_IS_PROTECTED", &["xe vm-param-set uuid={0} ha-restart-priority="]),
    ("XE_HOST_VM_LIMIT", &["xe pool-param-set uuid={pool} other-config:xe-vms-per-host={more}"]),
];

/// The code of a host that is disabled because it is in maintenance, for this table alone.
const MAINTENANCE: &str = "HOST_DISABLED in maintenance";

/// Whether a script is told as well: what HA refuses is not to be got by trying again.
pub fn for_all(failure: &Failure) -> bool {
    failure.code.starts_with("HA_") || failure.code == "HOST_EVACUATE_VM_NOT_HA_PROTECTED"
}

/// The commands that help, if any are known; `find` knows what a placeholder stands for.
pub fn commands(failure: &Failure, find: impl Fn(&str) -> Option<String>) -> Vec<String> {
    let rests = |why: &String| why.contains("in maintenance");
    let code = match failure.code.as_str() {
        "HOST_DISABLED" if failure.params.iter().any(rests) => MAINTENANCE,
        code => code,
    };
    let known = COMMANDS.iter().find(|(known, _)| *known == code);
    let lines = known.map_or(&[][..], |(_, lines)| lines);
    lines.iter().filter_map(|line| filled(line, &find)).collect()
}

fn filled(line: &str, find: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut parts = line.split(['{', '}']);
    let mut text = parts.next()?.to_owned();
    while let (Some(name), Some(rest)) = (parts.next(), parts.next()) {
        text += &find(name)?;
        text += rest;
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_advised_exists() {
        for (code, lines) in COMMANDS {
            let code = code.split(' ').next().unwrap();
            assert!(crate::xenapi::codes::find(code).is_some(), "{code}");
            for line in lines {
                let name = line.strip_prefix("xe ").unwrap().split(' ').next().unwrap();
                assert!(crate::cli::commands::find(name).is_some(), "{line}");
            }
        }
    }

    #[test]
    fn a_command_with_something_unknown_is_left_out() {
        let known = |name: &str| (name == "0").then(|| "12ab".to_owned());
        let failure = Failure::new("HOST_DISABLED", ["12ab (host1)"]);
        assert_eq!(commands(&failure, known), ["xe host-enable uuid=12ab"]);
        assert!(commands(&failure, |_| None).is_empty());
        assert!(commands(&Failure::bare("NOBODY_KNOWS"), known).is_empty());
        let why = "it is in maintenance";
        let failure = Failure::new("HOST_DISABLED", ["12ab (host1)", why]);
        assert_eq!(commands(&failure, known), ["xe host-maintenance-exit uuid=12ab"]);
    }
}
