//! The words of a mail: for each alert what happened, what HA does about it, and what to type.

use super::Alert;
use crate::agent::alerts::RECOVERED;
use crate::agent::pool_ref;
use crate::pool::Database;

/// A name, what happened, what HA does, what to type. `{}` stands for the object's name, `{uuid}`
/// for its uuid.
pub type Words = (&'static str, &'static str, &'static str, &'static [&'static str]);

/// What is known of the alerts by name.
pub const WORDS: [Words; 19] = [
    (
        "HA_HOST_FAILED",
        "Host {} was lost: it left the pool without notice.",
        "Once it is surely off, its protected VMs are restarted on other hosts, then its \
         best-effort VMs, each of these once.",
        &["xe pool-ha-status", "xe message-list obj-uuid={uuid}", "xe vm-list resident-on={uuid}"],
    ),
    (
        "HA_HOST_WAS_FENCED",
        "Host {} was reset by its watchdog or lost its power, and is back.",
        "It takes VMs again; those that were restarted elsewhere stay there.",
        &["xe pool-ha-status"],
    ),
    (
        "HA_HOST_DISARMED",
        "On host {} alone HA was switched off.",
        "Its VMs run on, and nobody restarts them: if the host fails, it must be declared dead.",
        &["xe pool-ha-status", "xe vm-list resident-on={uuid}", "xe host-declare-dead uuid={uuid}"],
    ),
    (
        "HA_HOST_HELD_BACK",
        "Host {} was fenced several times in a row, and is held back.",
        "It runs no VM until it joins: by itself once its paths were clean for five minutes.",
        &["xe pool-ha-status", "xe host-ha-paths", "xe host-ha-release uuid={uuid}"],
    ),
    (
        "HA_FENCE_DEVICE_FAILED",
        "The fence device could not switch host {} off.",
        "It is asked again; nothing is restarted while nothing proves the host dead.",
        &["xe pool-ha-status", "xe host-declare-dead uuid={uuid}"],
    ),
    (
        "METADATA_LUN_BROKEN",
        "A copy of the database of pool {} cannot be written.",
        "A majority of the copies goes on; without one nothing can be recorded or restarted.",
        &["xe pool-ha-status", "xe pbd-list currently-attached=false"],
    ),
    (
        "HA_PROTECTED_VM_RESTART_FAILED",
        "Protected VM {} could not be restarted.",
        "It is tried again, ever less often, and at once when a host or memory comes.",
        &["xe diagnostic-vm-status uuid={uuid}", "xe vm-ha-explain uuid={uuid}"],
    ),
    (
        "HA_POOL_OVERCOMMITTED",
        "Pool {} is overcommitted: it survives fewer failures than configured.",
        "Nothing is stopped. At zero survivable failures every VM is only tried once.",
        &[
            "xe pool-ha-status",
            "xe pool-ha-what-if hosts=HOST",
            "xe pool-param-set uuid={uuid} ha-host-failures-to-tolerate=N",
        ],
    ),
    (
        "HA_POOL_DROP_IN_PLAN_EXISTS_FOR",
        "Pool {} survives fewer host failures than before.",
        "Nothing is stopped; operations that would make it worse are refused.",
        &["xe pool-ha-status"],
    ),
    (
        "HA_STATEFILE_LOST",
        "The heartbeat disk was lost, as seen by host {}.",
        "While all hosts see each other none is reset; then they may decide by network alone.",
        &["xe pool-ha-status", "xe pbd-list currently-attached=false"],
    ),
    (
        "HA_NETWORK_BONDING_ERROR",
        "A bond of host {} has lost a leg.",
        "Its other legs go on.",
        &["xe bond-list", "xe pif-list host-uuid={uuid}"],
    ),
    (
        "HA_HEARTBEAT_APPROACHING_TIMEOUT",
        "The heartbeat network of host {} was silent for long.",
        "Nothing yet: at the limit the host leaves the pool.",
        &["xe pool-ha-status"],
    ),
    (
        "HA_STATEFILE_APPROACHING_TIMEOUT",
        "The heartbeat disk of host {} was slow for long.",
        "Nothing yet: at the limit the host leaves the pool.",
        &["xe pool-ha-status"],
    ),
    (
        "HA_PAUSE_NOT_OVER",
        "The pause of HA in pool {} is over, but HA could not be switched on.",
        "It is tried every ten seconds. Until then nothing is restarted.",
        &["xe host-list enabled=false", "xe pool-ha-pause seconds=0", "xe pool-ha-enable"],
    ),
    (
        "POOL_MASTER_TRANSITION",
        "Host {} is the new master of the pool.",
        "It goes on where the old one stopped.",
        &["xe pool-ha-status"],
    ),
    (
        "VM_CRASHED",
        "VM {} crashed.",
        "It is restarted if it is protected.",
        &["xe diagnostic-vm-status uuid={uuid}"],
    ),
    (
        "SR_NOT_ANSWERING",
        "Storage of host {} does not answer.",
        "What runs goes on; what needs this storage waits. No host is reset for it.",
        &["xe pbd-list host-uuid={uuid}", "xe host-maintenance-enter host={uuid}"],
    ),
    (
        "HOST_STATE_NOT_WRITTEN",
        "Host {} cannot write its state directory.",
        "It stays a member and cannot be master until there is room again.",
        &["xe host-list uuid={uuid}", "xe pool-ha-status"],
    ),
    (
        "PBD_PLUG_FAILED_ON_SERVER_START",
        "Host {} could not attach all its storage when it started.",
        "VMs that need it do not start there.",
        &["xe pbd-list host-uuid={uuid} currently-attached=false", "xe pbd-plug uuid=PBD"],
    ),
];

fn known(name: &str) -> Option<&'static Words> {
    WORDS.iter().find(|(known, ..)| *known == name)
}

fn object(db: &Database, alert: &Alert) -> String {
    let class = match alert.class.to_lowercase().as_str() {
        "vm" => "VM",
        "host" => "host",
        "sr" => "SR",
        "vdi" => "VDI",
        "pool" => "pool",
        _ => return alert.uuid.clone(),
    };
    let name = db.by_uuid(class, &alert.uuid).map_or("", |row| db.text(class, row, "name_label"));
    if name.is_empty() { alert.uuid.clone() } else { name.replace(char::is_control, " ") }
}

/// Subject and text of a mail about these alerts.
pub fn write(db: &Database, alerts: &[Alert], left_out: usize) -> (String, String) {
    let pool = pool_ref(db).unwrap_or("");
    let pool_name = db.text("pool", pool, "name_label").replace(char::is_control, " ");
    let pool_name = if pool_name.is_empty() { "pool".to_owned() } else { pool_name };
    let worst = alerts.iter().min_by_key(|alert| alert.priority);
    let first =
        worst.map(|alert| format!("{} {}", alert.name, object(db, alert))).unwrap_or_default();
    let more = match alerts.len() {
        0 | 1 => String::new(),
        count => format!(" and {} more", count - 1),
    };
    let mut text = String::new();
    for alert in alerts {
        text += &paragraph(db, alert);
        text.push('\n');
    }
    if left_out > 0 {
        text += &format!("{left_out} earlier alerts are left out; see xe message-list.\n");
    }
    (format!("[{pool_name}] {first}{more}"), text)
}

fn paragraph(db: &Database, alert: &Alert) -> String {
    let name = object(db, alert);
    let mut text = format!("{} (priority {}, {})\n", alert.name, alert.priority, alert.at);
    let base = alert.name.strip_suffix(RECOVERED);
    match known(base.unwrap_or(&alert.name)) {
        Some((_, happened, _, _)) if base.is_some() => {
            text += &format!("  It is over: {}\n", happened.replace("{}", &name));
        }
        Some((_, happened, does, commands)) => {
            text += &format!("  {}\n  HA: {does}\n", happened.replace("{}", &name));
            for command in *commands {
                text += &format!("    {}\n", command.replace("{uuid}", &alert.uuid));
            }
        }
        None => text += &format!("  {} {name}\n", alert.class),
    }
    for line in alert.body.lines() {
        text += &format!("  > {line}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alert(name: &str, priority: i64) -> Alert {
        Alert {
            name: name.to_owned(),
            priority,
            class: "Host".to_owned(),
            uuid: "1234".to_owned(),
            body: "a line".to_owned(),
            at: "now".to_owned(),
        }
    }

    #[test]
    fn a_letter_says_what_happened_what_ha_does_and_what_to_type() {
        let alerts = [alert("HA_HOST_FAILED_RECOVERED", 5), alert("HA_HOST_FAILED", 3)];
        let (subject, text) = write(&Database::default(), &alerts, 2);
        assert_eq!(subject, "[pool] HA_HOST_FAILED 1234 and 1 more");
        assert!(text.contains("It is over: Host 1234 was lost"), "{text}");
        assert!(
            text.contains("  Host 1234 was lost: it left the pool without notice.\n  HA: Once")
        );
        assert!(text.contains("\n    xe message-list obj-uuid=1234\n"), "{text}");
        assert!(text.contains("\n  > a line\n") && text.contains("2 earlier alerts"), "{text}");
    }
}
