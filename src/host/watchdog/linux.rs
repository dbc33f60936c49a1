//! The Linux watchdog device (`/dev/watchdog`), in whole seconds.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use super::{Watchdog, WatchdogError};

const NAME: &str = "linux";

/// What the device tells of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its name, such as `Software Watchdog`.
    pub name: String,
    /// Whether it can be closed without a reset.
    pub magic_close: bool,
}

/// The calls that a watchdog device understands; a fake stands in for it in tests.
pub trait Device: Send {
    /// Who is it?
    fn identity(&mut self) -> std::io::Result<Identity>;
    /// Sets the time-out in seconds and gives what was really set.
    fn set_timeout(&mut self, seconds: i32) -> std::io::Result<i32>;
    /// The time-out in seconds.
    fn timeout(&mut self) -> std::io::Result<i32>;
    /// Begins a new period.
    fn keep_alive(&mut self) -> std::io::Result<()>;
    /// Stops the device.
    fn disable(&mut self) -> std::io::Result<()>;
}

/// A Linux watchdog.
pub struct LinuxWatchdog<D = RealDevice> {
    path: std::path::PathBuf,
    device: Option<D>,
    allow_software: bool,
    software: bool,
    cut: bool,
    open: fn(&Path) -> std::io::Result<D>,
}

impl LinuxWatchdog<RealDevice> {
    /// Checks that the device is there. Opening a watchdog device starts it, so it stays
    /// closed until it is armed.
    pub fn open(path: &Path, allow_software: bool) -> Result<Self, WatchdogError> {
        LinuxWatchdog::with(path, allow_software, RealDevice::open)
    }
}

impl<D: Device> LinuxWatchdog<D> {
    fn with(
        path: &Path,
        allow_software: bool,
        open: fn(&Path) -> std::io::Result<D>,
    ) -> Result<Self, WatchdogError> {
        if !path.exists() {
            let reason = format!("{} does not exist", path.display());
            return Err(WatchdogError::unusable(NAME, reason));
        }
        let path = path.to_owned();
        Ok(LinuxWatchdog { path, device: None, allow_software, software: false, cut: false, open })
    }

    fn device(&mut self) -> Result<&mut D, WatchdogError> {
        self.device.as_mut().ok_or_else(|| WatchdogError::unusable(NAME, "not armed"))
    }

    fn failed(error: std::io::Error) -> WatchdogError {
        WatchdogError::unusable(NAME, error)
    }

    /// A fresh device is stopped again when it turns out unusable.
    fn admit(&mut self, mut device: D) -> Result<D, WatchdogError> {
        let identity = device.identity().map_err(Self::failed)?;
        self.software = identity.name.to_lowercase().contains("software");
        let refused = if self.software && !self.allow_software {
            Some("it is a software watchdog, which a hung kernel stops")
        } else if !identity.magic_close {
            Some("it cannot be stopped again")
        } else {
            None
        };
        match refused {
            None => Ok(device),
            Some(why) => {
                device.disable().map_err(Self::failed)?;
                Err(WatchdogError::unusable(NAME, format!("{}: {why}", identity.name)))
            }
        }
    }
}

impl<D: Device> Watchdog for LinuxWatchdog<D> {
    fn arm(&mut self, remaining: Duration) -> Result<(), WatchdogError> {
        if self.device.is_none() {
            let device = (self.open)(&self.path).map_err(Self::failed)?;
            self.device = Some(self.admit(device)?);
        }
        self.set_remaining(remaining)
    }

    fn set_remaining(&mut self, remaining: Duration) -> Result<(), WatchdogError> {
        if self.cut {
            return Err(WatchdogError::unusable(NAME, "it was cut short for good"));
        }
        let wanted = i32::try_from(remaining.as_secs()).unwrap_or(i32::MAX);
        if wanted < 1 {
            return Err(WatchdogError::unusable(NAME, "less than one second is left"));
        }
        let device = self.device()?;
        let set = device.set_timeout(wanted).map_err(Self::failed)?;
        if set > wanted {
            let reason = format!("asked for {wanted} s, it took {set} s");
            return Err(WatchdogError::unusable(NAME, reason));
        }
        device.keep_alive().map_err(Self::failed)
    }

    fn read_back(&mut self) -> Result<Duration, WatchdogError> {
        let seconds = self.device()?.timeout().map_err(Self::failed)?;
        Ok(Duration::from_secs(u64::try_from(seconds).unwrap_or(0)))
    }

    fn cut_to_minimum(&mut self) -> Result<Duration, WatchdogError> {
        self.set_remaining(Duration::from_secs(1))?;
        self.cut = true;
        self.read_back()
    }

    fn disarm(&mut self) -> Result<(), WatchdogError> {
        match self.device.take() {
            None => Ok(()),
            Some(_) if self.cut => Err(WatchdogError::unusable(NAME, "it was cut for good")),
            Some(mut device) => device.disable().map_err(Self::failed),
        }
    }

    fn step(&self) -> Duration {
        Duration::from_secs(1)
    }

    fn trusted(&self) -> bool {
        !self.software
    }

    fn reset_now(&mut self) {
        // The kernel's own quick way; the armed device is the fall-back.
        let _refused = std::fs::write("/proc/sysrq-trigger", "b");
    }
}

/// The device itself.
#[derive(Debug)]
pub struct RealDevice(File);

impl RealDevice {
    fn open(path: &Path) -> std::io::Result<Self> {
        Ok(RealDevice(OpenOptions::new().write(true).open(path)?))
    }
}

impl Device for RealDevice {
    fn identity(&mut self) -> std::io::Result<Identity> {
        ioctl::identity(&self.0)
    }

    fn set_timeout(&mut self, seconds: i32) -> std::io::Result<i32> {
        ioctl::set_timeout(&self.0, seconds)
    }

    fn timeout(&mut self) -> std::io::Result<i32> {
        ioctl::timeout(&self.0)
    }

    fn keep_alive(&mut self) -> std::io::Result<()> {
        ioctl::keep_alive(&self.0)
    }

    fn disable(&mut self) -> std::io::Result<()> {
        // The magic character says that closing is meant.
        self.0.write_all(b"V")
    }
}

/// The four calls of the kernel's watchdog interface.
mod ioctl {
    use std::fs::File;
    use std::io;
    use std::os::fd::AsRawFd;

    use super::Identity;

    const GET_SUPPORT: libc::c_ulong = 0x8028_5700;
    const KEEP_ALIVE: libc::c_ulong = 0x8004_5705;
    const SET_TIMEOUT: libc::c_ulong = 0xC004_5706;
    const GET_TIMEOUT: libc::c_ulong = 0x8004_5707;
    const MAGIC_CLOSE: u32 = 0x0100;

    #[repr(C)]
    #[derive(Default)]
    struct Info {
        options: u32,
        firmware: u32,
        identity: [u8; 32],
    }

    fn call<T>(file: &File, request: libc::c_ulong, value: &mut T) -> io::Result<()> {
        // SAFETY: every request of this module reads or writes exactly a `T`, which lives
        // through the call.
        let code =
            unsafe { libc::ioctl(file.as_raw_fd(), request as _, std::ptr::from_mut(value)) };
        if code < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }

    pub fn identity(file: &File) -> io::Result<Identity> {
        let mut info = Info::default();
        call(file, GET_SUPPORT, &mut info)?;
        let end = info.identity.iter().position(|byte| *byte == 0).unwrap_or(32);
        let name = String::from_utf8_lossy(&info.identity[..end]).into_owned();
        Ok(Identity { name, magic_close: info.options & MAGIC_CLOSE != 0 })
    }

    pub fn set_timeout(file: &File, mut seconds: i32) -> io::Result<i32> {
        call(file, SET_TIMEOUT, &mut seconds)?;
        Ok(seconds)
    }

    pub fn timeout(file: &File) -> io::Result<i32> {
        let mut seconds = 0i32;
        call(file, GET_TIMEOUT, &mut seconds)?;
        Ok(seconds)
    }

    pub fn keep_alive(file: &File) -> io::Result<()> {
        call(file, KEEP_ALIVE, &mut 0i32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A device that takes anything up to a minute.
    struct Fake {
        name: &'static str,
        timeout: i32,
    }

    impl Device for Fake {
        fn identity(&mut self) -> std::io::Result<Identity> {
            Ok(Identity { name: self.name.to_owned(), magic_close: true })
        }

        fn set_timeout(&mut self, seconds: i32) -> std::io::Result<i32> {
            self.timeout = if self.name == "stubborn" { 60 } else { seconds.min(60) };
            Ok(self.timeout)
        }

        fn timeout(&mut self) -> std::io::Result<i32> {
            Ok(self.timeout)
        }

        fn keep_alive(&mut self) -> std::io::Result<()> {
            Ok(())
        }

        fn disable(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn watchdog(open: fn(&Path) -> std::io::Result<Fake>) -> LinuxWatchdog<Fake> {
        LinuxWatchdog::with(Path::new("/dev/null"), false, open).unwrap()
    }

    #[test]
    fn times_are_rounded_down_and_read_back() {
        let mut dog = watchdog(|_| Ok(Fake { name: "iron", timeout: 0 }));
        dog.arm(Duration::from_millis(8900)).unwrap();
        assert_eq!(dog.read_back().unwrap(), Duration::from_secs(8));
        assert!(dog.set_remaining(Duration::from_millis(900)).is_err());
        assert_eq!(dog.cut_to_minimum().unwrap(), Duration::from_secs(1));
        assert!(dog.set_remaining(Duration::from_secs(5)).is_err(), "never set again");
        assert!(dog.disarm().is_err(), "nor stopped");
    }

    #[test]
    fn software_watchdogs_and_stubborn_ones_are_refused() {
        let mut soft = watchdog(|_| Ok(Fake { name: "Software Watchdog", timeout: 0 }));
        assert!(soft.arm(Duration::from_secs(8)).unwrap_err().to_string().contains("software"));
        let mut stubborn = watchdog(|_| Ok(Fake { name: "stubborn", timeout: 0 }));
        let refusal = stubborn.arm(Duration::from_secs(8)).unwrap_err();
        assert!(refusal.to_string().contains("took 60 s"));
    }

    #[test]
    fn a_missing_device_is_refused() {
        assert!(LinuxWatchdog::open(Path::new("/dev/nowhere"), false).is_err());
    }
}
