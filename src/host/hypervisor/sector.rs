//! The one sector that a process guest writes, past the page cache.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::OFlags;

/// Bytes of a sector as guests see it.
pub const SECTOR: usize = 512;

/// A sector in memory, aligned as O_DIRECT wants it.
#[repr(C, align(4096))]
pub struct Sector(pub [u8; SECTOR]);

impl Sector {
    /// A sector of zeros, on the heap so that it keeps its place.
    pub fn zeroed() -> Box<Self> {
        Box::new(Self([0; SECTOR]))
    }
}

/// Opens an image with O_DIRECT and, for writing, O_DSYNC; never creates it, takes no lock.
pub fn open_direct(path: &Path, write: bool) -> io::Result<File> {
    let mut flags = OFlags::DIRECT;
    if write {
        flags |= OFlags::DSYNC;
    }
    let flags = flags.bits() as i32;
    OpenOptions::new().read(true).write(write).custom_flags(flags).open(path)
}

/// Reads sector 0.
pub fn read_first(file: &File, sector: &mut Sector) -> io::Result<()> {
    file.read_exact_at(&mut sector.0, 0)
}

/// Writes sector 0.
pub fn write_first(file: &File, sector: &Sector) -> io::Result<()> {
    file.write_all_at(&sector.0, 0)
}
