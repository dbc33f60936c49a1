//! Faults for the lab: a channel that only the lab can hand to the processes it starts.
//!
//! The channel is a memory file with a sealed size and a mark in it, inherited as an open file
//! whose number stands in `XE_LAB_FAULTS_FD`. The variable alone switches nothing on: without
//! such a file behind the number, every check says "no fault".

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::shared_word::SharedWord;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};

/// The variable that names the inherited file's number.
pub const VARIABLE: &str = "XE_LAB_FAULTS_FD";
/// The network is cut, both ways and on every link.
pub const NET_CUT: u64 = 1 << 0;
/// Disk accesses of the heartbeat and metadata volumes fail at once.
pub const DISK_EIO: u64 = 1 << 1;
/// Disk accesses of the heartbeat and metadata volumes hang until this heals.
pub const DISK_HANG: u64 = 1 << 2;
/// The two disk faults hit the VMs' disks too.
pub const VM_DISKS_TOO: u64 = 1 << 3;
/// Not a fault but a broken rule: this host takes every host that is not in its view for dead at
/// once. With it the lab shows that its checks find what the rules prevent.
pub const EARLY_EXCLUSION: u64 = 1 << 4;

/// Where the bits stand that cut single links of the heartbeat.
const LINKS_AT: u32 = 8;
/// Those bits.
pub const LINKS: u64 = 0xff << LINKS_AT;

/// The bit that cuts one link; 0 is the management network, over which the agents talk as well.
pub fn link_bit(number: u8) -> u64 {
    (1 << LINKS_AT << number) & LINKS
}

/// Where the bits stand that name the one folder whose volumes the disk faults hit; zero: all.
const FOLDER_AT: u32 = 32;
/// Those bits.
pub const FOLDER: u64 = 0xffff_ffff << FOLDER_AT;

/// The bits that name a folder.
pub fn folder_bits(folder: &Path) -> u64 {
    let sum = crc32c::crc32c(folder.as_os_str().as_encoded_bytes()).max(1);
    u64::from(sum) << FOLDER_AT
}

const MAGIC: &[u8; 16] = b"xe lab faults 1\n";
const LENGTH: u64 = 24;
/// Where the bits stand, in words of eight bytes.
const BITS_AT: usize = 2;

/// What a process sees of the channel.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    channel: Option<Arc<SharedWord>>,
}

impl Faults {
    /// No channel: no fault, ever.
    pub fn none() -> Self {
        Faults::default()
    }

    /// The channel that the environment names, if it truly is one; else none.
    pub fn from_environment() -> Self {
        let number = std::env::var(VARIABLE).ok().and_then(|text| text.parse::<RawFd>().ok());
        number.map_or_else(Faults::none, Faults::from_number)
    }

    /// The channel behind an inherited file number, if it truly is one.
    fn from_number(number: RawFd) -> Self {
        // A copy is opened by its path, so that no file of this process is ever taken over.
        let Ok(path) = std::fs::read_link(format!("/proc/self/fd/{number}")) else {
            return Faults::none();
        };
        if number < 3 || !path.to_string_lossy().starts_with("/memfd:xe-lab-faults") {
            return Faults::none();
        }
        let Ok(file) = File::open(format!("/proc/self/fd/{number}")) else {
            return Faults::none();
        };
        Faults::from_file(file)
    }

    fn from_file(file: File) -> Self {
        let wanted = SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL;
        let sealed = fcntl_get_seals(&file).is_ok_and(|seals| seals.contains(wanted));
        let length = file.metadata().map_or(0, |data| data.len());
        let mut magic = [0; 16];
        let marked = file.read_exact_at(&mut magic, 0).is_ok() && &magic == MAGIC;
        let word = (sealed && length == LENGTH && marked).then(|| SharedWord::map(&file, BITS_AT));
        Faults { channel: word.and_then(Result::ok).map(Arc::new) }
    }

    /// Whether the lab started this process and handed it a channel.
    pub fn is_lab(&self) -> bool {
        self.channel.is_some()
    }

    /// The faults that are on now, as bits.
    pub fn bits(&self) -> u64 {
        self.channel.as_ref().map_or(0, |word| word.read())
    }

    /// Whether the management network is cut.
    pub fn net_cut(&self) -> bool {
        self.link_cut(0)
    }

    /// Whether the network of that link is cut.
    pub fn link_cut(&self, number: u8) -> bool {
        self.bits() & (NET_CUT | link_bit(number)) != 0
    }

    /// To be called before each access to a heartbeat or metadata volume, with the bits of its
    /// folder: waits while the disk hangs, fails while it fails.
    pub fn check_disk(&self, folder: u64) -> std::io::Result<()> {
        self.check(false, folder)
    }

    /// The same for a VM's disk, which faults hit only with [`VM_DISKS_TOO`].
    pub fn check_vm_disk(&self) -> std::io::Result<()> {
        self.check(true, 0)
    }

    fn check(&self, vm: bool, folder: u64) -> std::io::Result<()> {
        loop {
            let bits = self.bits();
            let here = bits & FOLDER == 0 || bits & FOLDER == folder;
            let hit = (!vm || bits & VM_DISKS_TOO != 0) && here;
            if hit && bits & DISK_EIO != 0 {
                return Err(std::io::Error::from_raw_os_error(libc::EIO));
            }
            if !hit || bits & DISK_HANG == 0 {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The lab's end of a channel.
#[derive(Debug)]
pub struct FaultChannel {
    file: File,
}

impl FaultChannel {
    /// A new channel with no fault on. Its file is kept open across exec.
    pub fn create() -> std::io::Result<Self> {
        let file = File::from(memfd_create("xe-lab-faults", MemfdFlags::ALLOW_SEALING)?);
        file.set_len(LENGTH)?;
        file.write_all_at(MAGIC, 0)?;
        fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
        Ok(FaultChannel { file })
    }

    /// The channel behind an open file, for a lab process that finds it at another process of
    /// the lab (`/proc/PID/fd/NUMBER`, opened for writing).
    pub fn from_fd(fd: OwnedFd) -> Option<Self> {
        let file = File::from(fd);
        let check = Faults::from_file(file.try_clone().ok()?);
        check.is_lab().then_some(FaultChannel { file })
    }

    /// Switches exactly these faults on.
    pub fn set(&self, bits: u64) -> std::io::Result<()> {
        self.file.write_all_at(&bits.to_le_bytes(), 16)
    }

    /// The faults that are on.
    pub fn bits(&self) -> u64 {
        self.reader().bits()
    }

    /// The number that a child inherits; it goes into [`VARIABLE`].
    pub fn number(&self) -> RawFd {
        self.file.as_fd().as_raw_fd()
    }

    /// The reading end within the same process, for tests.
    pub fn reader(&self) -> Faults {
        self.file.try_clone().map_or_else(|_| Faults::none(), Faults::from_file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lab_switches_faults_on_and_off() {
        let channel = FaultChannel::create().unwrap();
        let faults = channel.reader();
        assert!(faults.is_lab() && !faults.net_cut());
        channel.set(NET_CUT | DISK_EIO).unwrap();
        assert!(faults.net_cut());
        assert_eq!(faults.check_disk(0).unwrap_err().raw_os_error(), Some(libc::EIO));
        assert!(faults.check_vm_disk().is_ok());
        channel.set(DISK_EIO | VM_DISKS_TOO).unwrap();
        assert!(faults.check_vm_disk().is_err());
        channel.set(link_bit(1)).unwrap();
        assert!(faults.link_cut(1) && !faults.net_cut() && faults.check_disk(0).is_ok());
        channel.set(0).unwrap();
        assert!(faults.check_disk(0).is_ok());
    }

    #[test]
    fn a_number_without_a_channel_behind_it_switches_nothing_on() {
        let file = tempfile::tempfile().unwrap();
        let mut content = MAGIC.to_vec();
        content.extend_from_slice(&u64::MAX.to_le_bytes());
        file.write_all_at(&content, 0).unwrap();
        for number in [0, 1, 2, 999_999, file.as_raw_fd()] {
            let faults = Faults::from_number(number);
            assert!(!faults.is_lab() && faults.bits() == 0, "{number}");
        }
    }

    #[test]
    fn a_memory_file_that_anybody_could_resize_is_no_channel() {
        let loose = File::from(memfd_create("xe-lab-faults", MemfdFlags::empty()).unwrap());
        loose.write_all_at(MAGIC, 0).unwrap();
        loose.write_all_at(&u64::MAX.to_le_bytes(), 16).unwrap();
        assert!(!Faults::from_number(loose.as_raw_fd()).is_lab());
        let channel = FaultChannel::create().unwrap();
        assert!(Faults::from_number(channel.number()).is_lab());
    }
}
