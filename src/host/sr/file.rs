//! The `file` driver: an SR is a directory, a VDI is a file in it.
//!
//! `<uuid>.raw` and `<uuid>.qcow2` are disks, `<uuid>.heartbeat` and `<uuid>.metadata` the volumes
//! of HA. The file `sr.uuid` names the SR, so that a directory that was not mounted is not taken
//! for an empty SR.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::{Format, MIB, Space, SrError, Stored, Vdi, VdiKind, Volume, image};

const NAME_FILE: &str = "sr.uuid";

/// An SR in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSr {
    uuid: Uuid,
    directory: PathBuf,
    shared: bool,
}

impl FileSr {
    /// An SR by its records: uuid, `device-config:location`, `shared`.
    pub fn new(uuid: Uuid, directory: impl Into<PathBuf>, shared: bool) -> Self {
        Self { uuid, directory: directory.into(), shared }
    }

    /// The SR's uuid.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Its directory.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether all hosts see the same directory.
    pub fn shared(&self) -> bool {
        self.shared
    }

    /// Makes a new SR: the directory when absent, and its name in it.
    pub fn create(&self) -> Stored {
        if let Ok(Some(other)) = Self::probe(&self.directory)
            && other != self.uuid
        {
            return Err(self.not_this(format!("it is SR {other}")));
        }
        fs::create_dir_all(&self.directory)
            .and_then(|()| fs::write(self.directory.join(NAME_FILE), format!("{}\n", self.uuid)))
            .map_err(system("creation of the SR's directory"))
    }

    /// The SR that lives in a directory, if any.
    pub fn probe(directory: &Path) -> io::Result<Option<Uuid>> {
        match fs::read_to_string(directory.join(NAME_FILE)) {
            Ok(text) => Ok(Uuid::parse_str(text.trim()).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the directory is there and is this SR's.
    pub fn check(&self) -> Stored {
        match Self::probe(&self.directory) {
            Ok(Some(uuid)) if uuid == self.uuid => Ok(()),
            Ok(Some(other)) => Err(self.not_this(format!("it is SR {other}"))),
            Ok(None) => Err(self.not_this(format!("it holds no {NAME_FILE}"))),
            Err(error) => Err(self.not_this(error.to_string())),
        }
    }

    fn not_this(&self, reason: String) -> SrError {
        SrError::NotThisSr { sr: self.uuid, directory: self.directory.clone(), reason }
    }

    /// The file system's space.
    pub fn space(&self) -> Stored<Space> {
        let stat = rustix::fs::statvfs(&self.directory)
            .map_err(|errno| system("size of the SR")(errno.into()))?;
        let block = stat.f_frsize;
        Ok(Space { total: stat.f_blocks * block, free: stat.f_bavail * block })
    }

    /// All VDIs by uuid. An image that cannot be read is left out with a line in the log.
    pub fn list(&self) -> Stored<Vec<Vdi>> {
        let entries = fs::read_dir(&self.directory).map_err(system("list of the SR"))?;
        let mut vdis = Vec::new();
        for entry in entries {
            let entry = entry.map_err(system("list of the SR"))?;
            let Some((uuid, kind)) = entry.file_name().to_str().and_then(image::by_name) else {
                continue;
            };
            match image::inspect(&entry.path(), uuid, kind) {
                Ok(vdi) => vdis.push(vdi),
                Err(error) => tracing::warn!("VDI {uuid} of SR {} is skipped: {error}", self.uuid),
            }
        }
        vdis.sort_by_key(|vdi| vdi.uuid);
        Ok(vdis)
    }

    /// One VDI.
    pub fn find(&self, vdi: Uuid) -> Stored<Vdi> {
        let found = self.list()?.into_iter().find(|found| found.uuid == vdi);
        found.ok_or(SrError::NoVdi { sr: self.uuid, vdi })
    }

    /// Makes a disk, rounded up to whole mebibytes.
    pub fn create_vdi(&self, vdi: Uuid, format: Format, virtual_size: u64) -> Stored<Vdi> {
        let size = whole_mebibytes(vdi, virtual_size)?;
        let kind = VdiKind::Disk(format);
        let path = self.path(vdi, kind);
        match format {
            Format::Raw => image::create_sparse(&path, size)
                .map_err(system(format!("creation of VDI {vdi}")))?,
            Format::Qcow2 => {
                let (path, size) = (path.to_string_lossy(), size.to_string());
                image::qemu_img(&["create", "-q", "-f", "qcow2", &path, &size])?;
            }
        }
        self.inspect(&path, vdi, kind)
    }

    /// Copies a disk under a new uuid.
    pub fn copy_vdi(&self, from: Uuid, to: Uuid) -> Stored<Vdi> {
        let source = self.find(from)?;
        let free = self.space()?.free;
        if source.utilisation > free {
            return Err(SrError::TooSmall { sr: self.uuid, needed: source.utilisation, free });
        }
        let path = self.path(to, source.kind);
        fs::copy(&source.path, &path).map_err(system(format!("copy of VDI {from}")))?;
        self.inspect(&path, to, source.kind)
    }

    /// Makes a disk bigger; smaller is refused, for it would cut off the guest's data.
    pub fn resize_vdi(&self, vdi: Uuid, virtual_size: u64) -> Stored<Vdi> {
        let found = self.find(vdi)?;
        let size = whole_mebibytes(vdi, virtual_size)?;
        if size < found.virtual_size {
            let reason = format!("it has {} bytes and cannot shrink", found.virtual_size);
            return Err(SrError::Refused { vdi, reason });
        }
        match found.kind {
            VdiKind::Volume(_) => {
                return Err(SrError::Refused { vdi, reason: "its size is fixed".to_owned() });
            }
            VdiKind::Disk(Format::Raw) => fs::OpenOptions::new()
                .write(true)
                .open(&found.path)
                .and_then(|file| file.set_len(size))
                .map_err(system(format!("resize of VDI {vdi}")))?,
            VdiKind::Disk(Format::Qcow2) => {
                let (path, size) = (found.path.to_string_lossy(), size.to_string());
                image::qemu_img(&["resize", "-q", "-f", "qcow2", &path, &size])?;
            }
        }
        self.inspect(&found.path, vdi, found.kind)
    }

    /// Removes a disk or a volume.
    pub fn destroy_vdi(&self, vdi: Uuid) -> Stored {
        let found = self.find(vdi)?;
        fs::remove_file(&found.path).map_err(system(format!("removal of VDI {vdi}")))
    }

    /// The HA volume of this purpose: one of at least so many bytes is found again, a new one is
    /// made of that size. The heartbeat volume's blocks are
    /// all allocated, since a host that cannot write its heartbeat must reset.
    pub fn ensure_volume(&self, volume: Volume, least: u64, size: u64) -> Stored<Vdi> {
        if !self.shared {
            return Err(SrError::Local { sr: self.uuid });
        }
        self.check()?;
        let kind = VdiKind::Volume(volume);
        let whole = |vdi: &Vdi| vdi.kind == kind && vdi.virtual_size >= least;
        if let Some(found) = self.list()?.into_iter().find(whole) {
            return Ok(found);
        }
        let free = self.space()?.free;
        if free < size {
            return Err(SrError::TooSmall { sr: self.uuid, needed: size, free });
        }
        let uuid = Uuid::new_v4();
        let path = self.path(uuid, kind);
        let made = match volume {
            Volume::Heartbeat => image::create_full(&path, size),
            Volume::Metadata => image::create_sparse(&path, size),
        };
        made.map_err(system(format!("creation of the {} volume", image::ending(kind))))?;
        self.inspect(&path, uuid, kind)
    }

    fn path(&self, vdi: Uuid, kind: VdiKind) -> PathBuf {
        self.directory.join(format!("{vdi}.{}", image::ending(kind)))
    }

    fn inspect(&self, path: &Path, vdi: Uuid, kind: VdiKind) -> Stored<Vdi> {
        image::inspect(path, vdi, kind).map_err(system(format!("look at VDI {vdi}")))
    }
}

fn whole_mebibytes(vdi: Uuid, size: u64) -> Stored<u64> {
    match size.checked_next_multiple_of(MIB) {
        Some(size @ 1..) if i64::try_from(size).is_ok() => Ok(size),
        _ => Err(SrError::Refused { vdi, reason: format!("{size} bytes is no size for a disk") }),
    }
}

fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> SrError {
    let what = what.into();
    move |source| SrError::System { what, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::sr::{METADATA, Plugs};

    fn sr(shared: bool) -> (tempfile::TempDir, FileSr) {
        let dir = tempfile::tempdir().unwrap();
        let sr = FileSr::new(Uuid::from_u128(9), dir.path().join("sr"), shared);
        sr.create().unwrap();
        (dir, sr)
    }

    #[test]
    fn a_raw_disk_is_made_grown_listed_and_removed() {
        let (_dir, sr) = sr(false);
        let uuid = Uuid::from_u128(1);
        assert_eq!(sr.create_vdi(uuid, Format::Raw, 5).unwrap().virtual_size, MIB);
        assert!(sr.create_vdi(uuid, Format::Raw, 5).is_err(), "the uuid is taken");
        assert_eq!(sr.resize_vdi(uuid, 3 * MIB).unwrap().virtual_size, 3 * MIB);
        assert!(matches!(sr.resize_vdi(uuid, MIB), Err(SrError::Refused { .. })));
        let copy = Uuid::from_u128(2);
        assert_eq!(sr.copy_vdi(uuid, copy).unwrap().virtual_size, 3 * MIB);
        sr.destroy_vdi(uuid).unwrap();
        assert_eq!(sr.list().unwrap().iter().map(|v| v.uuid).collect::<Vec<_>>(), [copy]);
        assert!(matches!(sr.destroy_vdi(uuid), Err(SrError::NoVdi { .. })));
    }

    #[test]
    fn a_qcow2_disk_tells_its_virtual_size() {
        let (_dir, sr) = sr(false);
        let uuid = Uuid::from_u128(1);
        let mut header = [0; 512];
        header[..4].copy_from_slice(b"QFI\xfb");
        header[24..32].copy_from_slice(&(7 * MIB).to_be_bytes());
        fs::write(sr.path(uuid, VdiKind::Disk(Format::Qcow2)), header).unwrap();
        assert_eq!(sr.find(uuid).unwrap().virtual_size, 7 * MIB);
        let made = sr.create_vdi(Uuid::from_u128(2), Format::Qcow2, 2 * MIB);
        match made {
            Ok(vdi) => assert_eq!(vdi.virtual_size, 2 * MIB),
            Err(error) => assert!(matches!(error, SrError::NoQemuImg { .. }), "{error}"),
        }
    }

    #[test]
    fn volumes_are_made_once_and_found_again() {
        let (_dir, sr) = sr(true);
        let heartbeat = sr.ensure_volume(Volume::Heartbeat, MIB, 4 * MIB).unwrap();
        assert_eq!(heartbeat.virtual_size, 4 * MIB);
        assert!(heartbeat.utilisation > 0, "no block of it may be missing later");
        let metadata = sr.ensure_volume(Volume::Metadata, METADATA, METADATA).unwrap();
        assert_eq!(metadata.virtual_size, 256 * MIB);
        assert_eq!(sr.ensure_volume(Volume::Heartbeat, MIB, 4 * MIB).unwrap(), heartbeat);
        assert_eq!(sr.ensure_volume(Volume::Metadata, METADATA, METADATA).unwrap(), metadata);
        let larger = sr.ensure_volume(Volume::Heartbeat, 5 * MIB, 6 * MIB).unwrap();
        assert_eq!((larger.virtual_size, larger.uuid == heartbeat.uuid), (6 * MIB, false));
    }

    #[test]
    fn what_does_not_fit_is_said_with_what_is_needed_and_free() {
        let (_dir, sr) = sr(true);
        let needed = u64::MAX / 2;
        let refused = sr.ensure_volume(Volume::Heartbeat, MIB, needed).unwrap_err();
        assert!(matches!(refused, SrError::TooSmall { needed: n, free: 1.., .. } if n == needed));
    }

    #[test]
    fn what_cannot_hold_a_volume_says_why() {
        let (_dir, local) = sr(false);
        assert!(matches!(
            local.ensure_volume(Volume::Heartbeat, MIB, MIB),
            Err(SrError::Local { .. })
        ));
        let (_dir, shared) = sr(true);
        let other = FileSr::new(Uuid::from_u128(10), shared.directory(), true);
        assert!(matches!(other.check(), Err(SrError::NotThisSr { .. })));
        let plugs = Plugs::default();
        assert!(matches!(plugs.get(shared.uuid()), Err(SrError::NotPlugged { .. })));
        plugs.plug(shared.clone()).unwrap();
        assert_eq!(*plugs.get(shared.uuid()).unwrap(), shared);
        assert!(plugs.unplug(shared.uuid()));
        assert!(plugs.plug(other).is_err());
    }

    #[test]
    fn sizes_that_no_disk_has_are_refused() {
        let (_dir, sr) = sr(false);
        for size in [0, u64::MAX, i64::MAX as u64] {
            let refused = sr.create_vdi(Uuid::from_u128(3), Format::Raw, size);
            assert!(matches!(refused, Err(SrError::Refused { .. })), "{size}");
        }
    }
}
