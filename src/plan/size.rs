//! What a VM takes and what a host has left, in each dimension.

/// Bytes, virtual CPUs and a number of VMs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Size {
    pub memory: u64,
    pub vcpus: u64,
    pub vms: u64,
}

impl Size {
    /// Whether this much is left in `room`, in every dimension.
    pub fn fits(self, room: Self) -> bool {
        self.memory <= room.memory && self.vcpus <= room.vcpus && self.vms <= room.vms
    }

    /// What is left of a room after this was taken; nothing where there was less.
    pub fn out_of(self, room: Self) -> Self {
        Self {
            memory: room.memory.saturating_sub(self.memory),
            vcpus: room.vcpus.saturating_sub(self.vcpus),
            vms: room.vms.saturating_sub(self.vms),
        }
    }

    pub fn plus(self, other: Self) -> Self {
        Self {
            memory: self.memory.saturating_add(other.memory),
            vcpus: self.vcpus.saturating_add(other.vcpus),
            vms: self.vms.saturating_add(other.vms),
        }
    }
}

/// The dimensions of [`Size`], for what is counted in each of them alike.
pub const DIMENSIONS: [fn(&Size) -> u64; 3] =
    [|size| size.memory, |size| size.vcpus, |size| size.vms];
