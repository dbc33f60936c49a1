//! What a host can suffer while it is measured.

use rustix::process::Signal;

use super::rig::Rig;
use crate::host::clock::boottime_ns;
use crate::host::faults::{DISK_EIO, DISK_HANG, NET_CUT};

/// A fault that takes a host away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// Everything of the machine is gone at once.
    PowerOff,
    /// No packet leaves or reaches it.
    NetCut,
    /// Its accesses to the statefile fail.
    DiskEio,
    /// Its accesses to the statefile hang.
    DiskHang,
    /// No packets, and accesses to the statefile fail.
    NetAndDisk,
    /// The daemon is killed, the machine goes on until its watchdog resets it.
    KillXhad,
}

/// Every fault by its word, in the order of the table.
pub const WORDS: [(&str, Harm); 6] = [
    ("power-off", Harm::PowerOff),
    ("net-cut", Harm::NetCut),
    ("disk-eio", Harm::DiskEio),
    ("disk-hang", Harm::DiskHang),
    ("net-and-disk", Harm::NetAndDisk),
    ("kill-xhad", Harm::KillXhad),
];

impl Harm {
    /// The fault of that word.
    pub fn by_word(word: &str) -> Option<Self> {
        WORDS.iter().find(|(name, _)| *name == word).map(|(_, harm)| *harm)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(_, harm)| *harm == self).map_or("", |(name, _)| name)
    }

    /// Whether a machine is left that its watchdog must reset.
    pub fn leaves_a_machine(self) -> bool {
        self != Harm::PowerOff
    }

    /// Does it to the host of that number; gives when it began, CLOCK_BOOTTIME in nanoseconds.
    pub fn inflict(self, rig: &Rig, victim: usize) -> anyhow::Result<u64> {
        let host = &rig.hosts[victim];
        let began = boottime_ns();
        match self {
            Harm::PowerOff => host.power_off(),
            Harm::KillXhad => host.signal(Signal::KILL)?,
            Harm::DiskEio => host.channel.set(DISK_EIO)?,
            Harm::DiskHang => host.channel.set(DISK_HANG)?,
            Harm::NetCut if !rig.network.cut(victim)? => host.channel.set(NET_CUT)?,
            Harm::NetAndDisk => {
                let cut = rig.network.cut(victim)?;
                host.channel.set(DISK_EIO | if cut { 0 } else { NET_CUT })?;
            }
            Harm::NetCut => {}
        }
        Ok(began)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_means_one_fault_and_back() {
        for (word, harm) in WORDS {
            assert_eq!(Harm::by_word(word), Some(harm));
            assert_eq!(harm.word(), word);
        }
        assert_eq!(Harm::by_word("net"), None);
    }
}
