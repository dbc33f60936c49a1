//! What a person at a terminal can type after a refusal. Scripts never see these lines.

use crate::xenapi::Failure;

/// Code, and the commands that help; `{0}` is the uuid of the first parameter.
const COMMANDS: [(&str, &[&str]); 17] = [
    (
        "HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN",
        &[
            "xe pool-ha-status                  what the pool survives now",
            "xe pool-param-set uuid=POOL ha-host-failures-to-tolerate=N    promise less",
            "xe pool-param-set uuid=POOL ha-allow-overcommit=true          guard nothing",
            "xe vm-param-set uuid=VM ha-restart-priority=best-effort       protect fewer VMs",
        ],
    ),
    (
        "HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED",
        &[
            "xe vm-ha-explain uuid=VM           what ties a VM to some hosts",
            "xe pbd-list sr-uuid={0} params=uuid,host-name-label,currently-attached",
            "xe pbd-plug uuid=PBD",
        ],
    ),
    (
        "HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED",
        &[
            "xe vm-ha-explain uuid=VM           what ties a VM to some hosts",
            "xe pif-list network-uuid={0} params=uuid,host-name-label,currently-attached",
            "xe pif-plug uuid=PIF",
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
    ("CANNOT_EVACUATE_HOST", &["xe host-get-vms-which-prevent-evacuation uuid=HOST"]),
    ("HA_IS_ENABLED", &["xe pool-ha-disable"]),
    ("HA_NOT_ENABLED", &["xe pool-ha-enable"]),
    ("HA_LOST_STATEFILE", &["xe pool-ha-status", "xe pbd-list currently-attached=false"]),
    (
        "HA_POOL_IS_ENABLED_BUT_HOST_IS_DISABLED",
        &["xe pool-ha-disable", "xe pool-ha-enable    both on the master: HA begins anew"],
    ),
    ("HOST_NOT_DISABLED", &["xe host-disable uuid=HOST", "xe host-evacuate uuid=HOST"]),
    ("HOST_DISABLED", &["xe host-enable uuid={0}"]),
    (
        "HOST_STILL_BOOTING",
        &["xe host-list params=name-label,enabled,host-metrics-live    try again once enabled"],
    ),
    ("XE_HOST_VM_LIMIT", &["xe pool-param-set uuid=POOL other-config:xe-vms-per-host=N"]),
    ("VM_IS_PROTECTED", &["xe vm-param-set uuid={0} ha-restart-priority="]),
    (
        "VM_HAS_VGPU",
        &["xe vm-ha-explain uuid={0}", "xe vm-param-set uuid={0} ha-restart-priority=best-effort"],
    ),
    (
        "VM_HAS_VUSBS",
        &["xe vm-ha-explain uuid={0}", "xe vm-param-set uuid={0} ha-restart-priority=best-effort"],
    ),
    ("NO_HOSTS_AVAILABLE", &["xe diagnostic-vm-status uuid=VM", "xe host-list enabled=false"]),
];

/// The commands that help, if any are known.
pub fn commands(failure: &Failure) -> Vec<String> {
    let known = COMMANDS.iter().find(|(code, _)| *code == failure.code);
    let first = failure.params.first().map_or("", String::as_str);
    let uuid = first.split(' ').next().unwrap_or("");
    let lines = known.map_or(&[][..], |(_, lines)| lines);
    lines.iter().map(|line| line.replace("{0}", uuid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_is_advised_exists() {
        for (code, lines) in COMMANDS {
            assert!(crate::xenapi::codes::find(code).is_some(), "{code}");
            for line in lines {
                let name = line.strip_prefix("xe ").unwrap().split(' ').next().unwrap();
                assert!(crate::cli::commands::find(name).is_some(), "{line}");
            }
        }
    }

    #[test]
    fn the_object_is_named_by_its_uuid() {
        let failure = Failure::new("HOST_DISABLED", ["12ab (host1)"]);
        assert_eq!(commands(&failure), ["xe host-enable uuid=12ab"]);
        assert!(commands(&Failure::bare("NOBODY_KNOWS")).is_empty());
    }
}
