//! Storage repositories: where disks and the two HA volumes live.
//!
//! One driver so far: [`file`], images in a directory, local or shared. Images are opened without
//! the file system's locks, which outlive a dead host on NFS; an [`Owner`] per VDI, kept in the
//! pool database, says instead which host may use it.

pub mod file;
mod image;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::hypervisor::Format;

/// One mebibyte; virtual sizes are whole ones.
pub const MIB: u64 = 1 << 20;

/// Which run of which VM on which boot of which host holds a VDI.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The VM.
    pub vm: Uuid,
    /// The host that runs it.
    pub host: Uuid,
    /// That host's boot.
    pub boot_id: String,
    /// The epoch of the master that wrote this.
    pub epoch: u64,
    /// The VM's run.
    pub run: u64,
}

/// What a volume of fixed size is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Volume {
    /// The statefile: heartbeats and decided views.
    Heartbeat,
    /// The pool database's journal and snapshots.
    Metadata,
}

/// Bytes of the metadata volume. Those of the heartbeat volume depend on the number of hosts.
pub const METADATA: u64 = 256 * MIB;

/// What a VDI is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VdiKind {
    /// A disk for VMs.
    Disk(Format),
    /// A volume of HA.
    Volume(Volume),
}

/// One VDI as it lies on the SR.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vdi {
    /// Its uuid.
    pub uuid: Uuid,
    /// What it is.
    pub kind: VdiKind,
    /// The image.
    pub path: PathBuf,
    /// Bytes that a VM sees.
    pub virtual_size: u64,
    /// Bytes that the image occupies.
    pub utilisation: u64,
}

/// The space of an SR in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What can still be written.
    pub free: u64,
}

/// Why an SR did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SrError {
    /// It has not enough room.
    #[error("SR {sr} has {free} bytes free, {needed} are needed")]
    TooSmall {
        /// The SR.
        sr: Uuid,
        /// Bytes that are needed.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// Only one host sees it, so it cannot carry what all hosts must see.
    #[error("SR {sr} is local to one host")]
    Local {
        /// The SR.
        sr: Uuid,
    },
    /// This host has not plugged it.
    #[error("SR {sr} is not plugged on this host")]
    NotPlugged {
        /// The SR.
        sr: Uuid,
    },
    /// The directory is missing or belongs to another SR.
    #[error("{} is not the directory of SR {sr}: {reason}", directory.display())]
    NotThisSr {
        /// The SR.
        sr: Uuid,
        /// Where it was looked for.
        directory: PathBuf,
        /// What is there instead.
        reason: String,
    },
    /// No VDI of that uuid is there.
    #[error("SR {sr} has no VDI {vdi}")]
    NoVdi {
        /// The SR.
        sr: Uuid,
        /// The VDI.
        vdi: Uuid,
    },
    /// The request makes no sense for this VDI.
    #[error("VDI {vdi}: {reason}")]
    Refused {
        /// The VDI.
        vdi: Uuid,
        /// Why.
        reason: String,
    },
    /// qcow2 images are made by qemu-img.
    #[error("qcow2 images need the program qemu-img: {reason}")]
    NoQemuImg {
        /// The system's word for it.
        reason: String,
    },
    /// The system refused something on the way.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// The system's word for it.
        source: std::io::Error,
    },
}

/// What an SR call gives back.
pub type Stored<T = ()> = Result<T, SrError>;

/// The SRs that this host has plugged.
#[derive(Debug, Default)]
pub struct Plugs {
    plugged: RwLock<BTreeMap<Uuid, Arc<file::FileSr>>>,
}

impl Plugs {
    /// Plugs an SR; again is no error.
    pub fn plug(&self, sr: file::FileSr) -> Stored {
        sr.check()?;
        let mut plugged = self.plugged.write().unwrap_or_else(PoisonError::into_inner);
        plugged.insert(sr.uuid(), Arc::new(sr));
        Ok(())
    }

    /// Forgets an SR; whether it was plugged.
    pub fn unplug(&self, sr: Uuid) -> bool {
        self.plugged.write().unwrap_or_else(PoisonError::into_inner).remove(&sr).is_some()
    }

    /// Every plugged SR.
    pub fn all(&self) -> Vec<Arc<file::FileSr>> {
        let plugged = self.plugged.read().unwrap_or_else(PoisonError::into_inner);
        plugged.values().cloned().collect()
    }

    /// A plugged SR.
    pub fn get(&self, sr: Uuid) -> Stored<Arc<file::FileSr>> {
        let plugged = self.plugged.read().unwrap_or_else(PoisonError::into_inner);
        plugged.get(&sr).cloned().ok_or(SrError::NotPlugged { sr })
    }
}
