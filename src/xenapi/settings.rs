//! The keys of `other-config` that are settings of ours: what they mean and which words they take.

/// What a setting may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// A whole number from the first to the last.
    Number(u64, u64),
    /// Yes or no.
    Flag,
    /// Any words.
    Words,
}

/// One setting.
#[derive(Debug, Clone, Copy)]
pub struct Setting {
    /// The class of the objects that have it.
    pub class: &'static str,
    /// The key.
    pub key: &'static str,
    /// Which words it takes.
    pub takes: Takes,
    /// What it means, and what holds without it.
    pub meaning: &'static str,
}

const fn of(
    class: &'static str,
    key: &'static str,
    takes: Takes,
    meaning: &'static str,
) -> Setting {
    Setting { class, key, takes, meaning }
}

/// All of them.
pub const SETTINGS: [Setting; 12] = [
    of(
        "pool",
        "xe-vcpu-percent",
        Takes::Number(0, 1_000_000),
        "The virtual CPUs that a host may promise to VMs, in per cent of its CPUs. Without it: no \
         limit.",
    ),
    of(
        "pool",
        "xe-vms-per-host",
        Takes::Number(0, 1_000_000),
        "The VMs that a host may run. Without it: no limit.",
    ),
    of(
        "pool",
        "ha-starts-per-host",
        Takes::Number(1, 1000),
        "The restarts that HA has under way on one host. Without it: 4.",
    ),
    of(
        "pool",
        "ha-starts-per-pool",
        Takes::Number(1, 1000),
        "The restarts that HA has under way in the whole pool. Without it: 32.",
    ),
    of(
        "pool",
        "ha-best-effort-attempts",
        Takes::Number(1, 1000),
        "The attempts for a best-effort VM whose host was lost. Without it: 1.",
    ),
    of("pool", "mail-destination", Takes::Words, "Who gets alerts by mail, with commas between."),
    of("pool", "ssmtp-mailhub", Takes::Words, "The mail server, HOST or HOST:PORT."),
    of(
        "pool",
        "mail-min-priority",
        Takes::Number(1, 5),
        "The least important alert that is mailed; 1 is the most important. Without it: 3.",
    ),
    of(
        "pool",
        "xe-mail-period",
        Takes::Number(0, 1_000_000),
        "The fewest seconds between two mails. Without it: 60.",
    ),
    of("pool", "mail-language", Takes::Words, "Accepted; mails are in English."),
    of(
        "VM",
        "ha-reboot-on-internal-shutdown",
        Takes::Flag,
        "Whether HA starts the VM again when its guest switches it off. Without it: as the pool's \
         ha-reboot-vm-on-internal-shutdown says.",
    ),
    of(
        "VM",
        "xe-driver",
        Takes::Words,
        "The driver that runs the VM where hosts have several: qemu or process.",
    ),
];

impl Setting {
    /// What is wrong with a word for it, as the end of a sentence; nothing when it is taken.
    pub fn refuses(&self, word: &str) -> Option<String> {
        let word = word.trim();
        match self.takes {
            Takes::Words => None,
            Takes::Flag => {
                let known = ["true", "1", "yes", "false", "0", "no"].contains(&word);
                (!known).then(|| "it takes true or false".to_owned())
            }
            Takes::Number(from, to) => {
                let number = word.parse().is_ok_and(|number| (from..=to).contains(&number));
                (!number).then(|| format!("it takes a whole number from {from} to {to}"))
            }
        }
    }
}

/// The setting of a class that has this key.
pub fn find(class: &str, key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| (setting.class, setting.key) == (class, key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_takes_what_it_means_and_nothing_else() {
        let refused = |class: &str, key: &str, word: &str| find(class, key).unwrap().refuses(word);
        for word in ["1", " 16 ", "1000"] {
            assert_eq!(refused("pool", "ha-starts-per-pool", word), None, "{word}");
        }
        for word in ["0", "-1", "many", "1001", "", "1.5"] {
            let why = refused("pool", "ha-starts-per-pool", word).unwrap();
            assert_eq!(why, "it takes a whole number from 1 to 1000", "{word}");
        }
        assert_eq!(refused("pool", "xe-vms-per-host", "0"), None);
        assert!(refused("VM", "ha-reboot-on-internal-shutdown", "maybe").is_some());
        assert_eq!(refused("VM", "ha-reboot-on-internal-shutdown", "no"), None);
        assert!(find("VM", "xe-vms-per-host").is_none(), "it is the pool's");
    }
}
