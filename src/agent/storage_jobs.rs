//! Jobs about SRs and disks.

use super::Agent;
use super::jobs::{Done, Job};
use crate::host::sr::file::FileSr;
use crate::host::sr::{METADATA, SrError, Volume};
use crate::host::system_word::system_word;
use crate::xenapi::Failure;
use crate::xenapi::failure::Answer;
use crate::xhad::statefile::{needed_bytes, volume_bytes};
use std::path::PathBuf;
use uuid::Uuid;

/// Does a job about an SR or a disk on this host.
pub fn run(agent: &Agent, job: &Job) -> Answer<Done> {
    let disk = |vdi: crate::host::sr::Vdi| Done::Vdi {
        uuid: vdi.uuid,
        size: vdi.virtual_size,
        used: vdi.utilisation,
    };
    let sr = |sr: &Uuid| agent.plugs.get(*sr);
    let done = match job {
        Job::PlugSr { sr, location, shared, create } => {
            let driver = FileSr::new(*sr, location, *shared);
            let made = if *create { driver.create() } else { Ok(()) };
            made.and_then(|()| agent.plugs.plug(driver)).map(|()| Done::Ok)
        }
        Job::UnplugSr { sr } => {
            agent.plugs.unplug(*sr);
            Ok(Done::Ok)
        }
        Job::ScanSr { sr: uuid } => sr(uuid).and_then(|sr| {
            let space = sr.space()?;
            let disks = sr.list()?;
            let disks = disks.into_iter().map(|v| (v.uuid, v.virtual_size, v.utilisation));
            Ok(Done::Sr { total: space.total, free: space.free, disks: disks.collect() })
        }),
        Job::CreateVdi { sr: uuid, vdi, format, size } => {
            sr(uuid).and_then(|sr| sr.create_vdi(*vdi, *format, *size)).map(disk)
        }
        Job::CopyVdi { sr: uuid, from, to } => {
            sr(uuid).and_then(|sr| sr.copy_vdi(*from, *to)).map(disk)
        }
        Job::ResizeVdi { sr: uuid, vdi, size } => {
            sr(uuid).and_then(|sr| sr.resize_vdi(*vdi, *size)).map(disk)
        }
        Job::DestroyVdi { sr: uuid, vdi } => {
            sr(uuid).and_then(|sr| sr.destroy_vdi(*vdi)).map(|()| Done::Ok)
        }
        Job::EnsureVolume { sr: uuid, metadata } => {
            let hosts = agent.store.read().table("host").len();
            let (volume, least, size) = match metadata {
                true => (Volume::Metadata, METADATA, METADATA),
                false => (Volume::Heartbeat, needed_bytes(hosts), volume_bytes(hosts)),
            };
            sr(uuid).and_then(|sr| sr.ensure_volume(volume, least, size)).map(disk)
        }
        _ => Ok(Done::Ok),
    };
    done.map_err(sr_failure)
}

/// An SR's refusal as the interface words it.
pub fn sr_failure(error: SrError) -> Failure {
    match &error {
        SrError::TooSmall { needed, free, .. } => {
            Failure::new("SR_FULL", [needed.to_string(), free.to_string()])
        }
        SrError::NoVdi { vdi, .. } => Failure::new("VDI_NOT_AVAILABLE", [vdi.to_string()]),
        SrError::NotPlugged { sr } => Failure::new("SR_HAS_NO_PBDS", [sr.to_string()]),
        _ => Failure::new("SR_BACKEND_FAILURE_40", ["", &system_word(&error), ""]),
    }
}

/// The image that holds a suspended VM: beside its SR's disks.
pub fn suspend_image(agent: &Agent, sr: Uuid, image: Uuid) -> Answer<PathBuf> {
    let sr = agent.plugs.get(sr).map_err(sr_failure)?;
    Ok(sr.directory().join(format!("{image}.suspend")))
}
