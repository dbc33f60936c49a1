//! `lab fault`: what can be done to a host.

use anyhow::bail;
use std::path::PathBuf;

use super::door::{self, Ask, Look};
use super::group::Role;
use super::setting::Lab;
use crate::host::faults::{DISK_EIO, DISK_HANG, FOLDER, LINKS, NET_CUT, VM_DISKS_TOO};
use crate::host::faults::{folder_bits, link_bit};
use crate::host::hypervisor::Kind;

/// What can be done to a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The plug is pulled.
    PowerOff,
    /// The power button of a machine that is off.
    PowerOn,
    /// No packet leaves or reaches it.
    NetCut,
    /// The network is back.
    NetHeal,
    /// Disk accesses fail.
    DiskEio,
    /// Disk accesses hang.
    DiskHang,
    /// The disks are back.
    DiskHeal,
    /// The heartbeat daemon dies.
    KillXhad,
    /// The heartbeat daemon is stopped for good.
    StopXhad,
    /// The agent dies.
    KillAgent,
}

/// Every fault by its word.
pub const WORDS: [(&str, Fault); 10] = [
    ("power-off", Fault::PowerOff),
    ("power-on", Fault::PowerOn),
    ("net-cut", Fault::NetCut),
    ("net-heal", Fault::NetHeal),
    ("disk-eio", Fault::DiskEio),
    ("disk-hang", Fault::DiskHang),
    ("disk-heal", Fault::DiskHeal),
    ("kill-xhad", Fault::KillXhad),
    ("stop-xhad", Fault::StopXhad),
    ("kill-agent", Fault::KillAgent),
];

impl Fault {
    /// The fault of that word.
    pub fn by_word(word: &str) -> Option<Self> {
        WORDS.iter().find(|(name, _)| *name == word).map(|(_, fault)| *fault)
    }

    /// Its word.
    pub fn word(self) -> &'static str {
        WORDS.iter().find(|(_, fault)| *fault == self).map_or("", |(name, _)| name)
    }

    /// Whether a host that suffers it must end.
    pub fn is_fatal(self) -> bool {
        !matches!(self, Self::KillAgent | Self::PowerOn | Self::NetHeal | Self::DiskHeal)
    }

    /// Whether it may be tried in a demonstration.
    pub fn is_harm(self) -> bool {
        self.is_fatal() || self == Self::KillAgent
    }

    fn ask(self, reach: &Reach) -> Ask {
        let name = self.word().to_owned();
        let too = if reach.also_vm_disks { VM_DISKS_TOO } else { 0 };
        let too = too | reach.folder.as_deref().map_or(0, folder_bits);
        let disks = DISK_EIO | DISK_HANG | VM_DISKS_TOO | FOLDER;
        let cut = reach.link.map_or(NET_CUT, link_bit);
        let healed = reach.link.map_or(NET_CUT | LINKS, link_bit);
        match self {
            Self::PowerOff => Ask::PowerOff { fault: true },
            Self::PowerOn => Ask::PowerOn,
            Self::NetCut => Ask::Faults { on: cut, off: 0, name },
            Self::NetHeal => Ask::Faults { on: 0, off: healed, name },
            Self::DiskEio => Ask::Faults { on: DISK_EIO | too, off: disks, name },
            Self::DiskHang => Ask::Faults { on: DISK_HANG | too, off: disks, name },
            Self::DiskHeal => Ask::Faults { on: 0, off: disks, name },
            Self::KillXhad => Ask::Signal { role: Role::Xhad, stop: false, name },
            Self::StopXhad => Ask::Signal { role: Role::Xhad, stop: true, name },
            Self::KillAgent => Ask::Signal { role: Role::Agent, stop: false, name },
        }
    }
}

/// What of its kind a fault hits: of disks the heartbeat's and the database's, at least.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// The VMs' disks as well.
    pub also_vm_disks: bool,
    /// Only those in this folder, an SR of the lab.
    pub folder: Option<PathBuf>,
    /// Of the network only this link, as `pool-ha-status` counts them; 0 is the management network.
    pub link: Option<u8>,
}

/// Does it; the answer tells when it took effect.
pub fn inflict(lab: &Lab, host: &str, fault: Fault, reach: &Reach) -> anyhow::Result<Look> {
    let disk = matches!(fault, Fault::DiskEio | Fault::DiskHang);
    if (reach.also_vm_disks || reach.folder.is_some()) && !disk {
        bail!("--also-vm-disks and --sr go with disk-eio and disk-hang");
    }
    if reach.link.is_some() && !matches!(fault, Fault::NetCut | Fault::NetHeal) {
        bail!("--link goes with net-cut and net-heal");
    }
    if let Some(folder) = reach.folder.as_ref().filter(|folder| !folder.is_dir()) {
        bail!("{} is no folder; --sr wants that of an SR", folder.display());
    }
    if reach.also_vm_disks && matches!(lab.setting.hypervisor, Kind::Qemu | Kind::Mixed) {
        bail!("the disks of QEMU's machines know no faults; use --hypervisor process");
    }
    let host = lab.host(host)?;
    door::ask(&lab.machine_dir(&host.name), &fault.ask(reach))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_means_one_fault_and_back() {
        for (word, fault) in WORDS {
            assert_eq!(Fault::by_word(word), Some(fault));
            assert_eq!(fault.word(), word);
        }
        assert_eq!(Fault::by_word("power-of"), None);
    }

    #[test]
    fn a_network_fault_hits_one_link_or_all() {
        let ask = |fault: Fault, link| match fault.ask(&Reach { link, ..Reach::default() }) {
            Ask::Faults { on, off, .. } => (on, off),
            other => panic!("{other:?}"),
        };
        assert_eq!(ask(Fault::NetCut, None), (NET_CUT, 0));
        assert_eq!(ask(Fault::NetCut, Some(1)), (link_bit(1), 0));
        assert_eq!(ask(Fault::NetHeal, Some(1)), (0, link_bit(1)));
        let (on, off) = ask(Fault::NetHeal, None);
        assert!(on == 0 && [NET_CUT, link_bit(0), link_bit(3)].iter().all(|bit| off & bit != 0));
    }

    #[test]
    fn healing_a_disk_takes_every_disk_fault_away_and_nothing_else() {
        let Ask::Faults { on, off, .. } = Fault::DiskHeal.ask(&Reach::default()) else { panic!() };
        assert_eq!((on, off & NET_CUT), (0, 0));
        assert_eq!(off, DISK_EIO | DISK_HANG | VM_DISKS_TOO | FOLDER);
    }
}
