//! Reads and writes of a shared disk past every cache, aligned as O_DIRECT demands.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::faults::{Faults, folder_bits};

/// The alignment and granularity of all accesses, in bytes.
pub const ALIGN: usize = 4096;

/// A file or block device opened for direct, synchronous access.
#[derive(Debug)]
pub struct DirectFile {
    file: File,
    path: PathBuf,
    faults: Faults,
    /// The folder that faults may be limited to.
    folder: u64,
}

impl DirectFile {
    /// Opens a file or device that exists. A file system without O_DIRECT is an error, since a
    /// cache would answer for the disk.
    pub fn open(path: &Path, faults: Faults) -> io::Result<Self> {
        let folder = path.parent().map_or(0, folder_bits);
        faults.check_disk(folder)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_DIRECT | libc::O_DSYNC | libc::O_CLOEXEC)
            .open(path)?;
        Ok(DirectFile { file, path: path.to_owned(), faults, folder })
    }

    /// Where it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads `length` bytes at `offset`; both must be multiples of [`ALIGN`].
    pub fn read(&self, offset: u64, length: usize) -> io::Result<Vec<u8>> {
        let mut room = Aligned::new(length);
        self.read_into(offset, room.room(length))?;
        Ok(room.room(length).to_vec())
    }

    /// Fills a part of an aligned room from `offset`; its length must be a multiple of [`ALIGN`].
    pub fn read_into(&self, offset: u64, room: &mut [u8]) -> io::Result<()> {
        self.faults.check_disk(self.folder)?;
        self.file.read_exact_at(room, offset)?;
        // A disk that broke while the answer was under way did not answer.
        self.faults.check_disk(self.folder)
    }

    /// Writes at `offset`; it and the length must be multiples of [`ALIGN`]. Durable when it
    /// returns.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut room = Aligned::new(bytes.len());
        room.room(bytes.len()).copy_from_slice(bytes);
        self.write_from(offset, room.room(bytes.len()))
    }

    /// The same, of bytes that stand in an aligned room.
    pub fn write_from(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.faults.check_disk(self.folder)?;
        self.file.write_all_at(bytes, offset)?;
        self.faults.check_disk(self.folder)
    }
}

/// A room for bytes that begins at a multiple of [`ALIGN`].
#[derive(Debug, Default)]
pub struct Aligned {
    bytes: Vec<u8>,
    start: usize,
}

impl Aligned {
    /// A room for so many bytes.
    pub fn new(length: usize) -> Self {
        let bytes = vec![0; length + ALIGN];
        let start = bytes.as_ptr().align_offset(ALIGN);
        Aligned { bytes, start }
    }

    /// Its first bytes; at most as many as it was made for.
    pub fn room(&mut self, length: usize) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::faults::{DISK_EIO, DISK_HANG, FaultChannel};
    use std::time::Duration;

    fn disk(faults: Faults) -> (tempfile::NamedTempFile, DirectFile) {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(4 * ALIGN as u64).unwrap();
        let direct = DirectFile::open(file.path(), faults).unwrap();
        (file, direct)
    }

    #[test]
    fn what_is_written_is_read() {
        let (_file, disk) = disk(Faults::none());
        disk.write(ALIGN as u64, &[7; ALIGN]).unwrap();
        let read = disk.read(0, 3 * ALIGN).unwrap();
        assert!(read[..ALIGN].iter().all(|byte| *byte == 0));
        assert!(read[ALIGN..2 * ALIGN].iter().all(|byte| *byte == 7));
    }

    #[test]
    fn the_lab_can_break_and_hang_it() {
        let channel = FaultChannel::create().unwrap();
        let (_file, disk) = disk(channel.reader());
        channel.set(DISK_EIO).unwrap();
        assert!(disk.read(0, ALIGN).is_err());
        channel.set(DISK_HANG).unwrap();
        let (done, ended) = std::sync::mpsc::channel();
        std::thread::spawn(move || done.send(disk.read(0, ALIGN).is_ok()));
        assert!(ended.recv_timeout(Duration::from_millis(200)).is_err());
        channel.set(0).unwrap();
        assert!(ended.recv().unwrap());
    }
}
