//! The wish of the system that this process ends, as something to wait on beside sockets.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};

/// The signal that asks a process to end, taken as a file that becomes readable.
#[derive(Debug)]
pub struct Termination(OwnedFd);

impl Termination {
    /// From now on the signal no longer ends this process. To be called while it has one thread;
    /// those that it starts inherit it, programs that it starts do not.
    pub fn take() -> io::Result<Self> {
        // SAFETY: all-zero is a valid value of this plain structure.
        let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
        // SAFETY: all three calls work on a live set and on this thread's mask.
        let file = unsafe {
            libc::sigemptyset(&raw mut set);
            libc::sigaddset(&raw mut set, libc::SIGTERM);
            if libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
            libc::signalfd(-1, &raw const set, libc::SFD_NONBLOCK | libc::SFD_CLOEXEC)
        };
        if file < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the file was opened just now, and nobody else knows its number.
        Ok(Termination(unsafe { OwnedFd::from_raw_fd(file) }))
    }

    /// What to wait on.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// Whether the signal has come since the last call.
    pub fn asked(&self) -> bool {
        let mut record = [0; size_of::<libc::signalfd_siginfo>()];
        rustix::io::read(&self.0, &mut record).is_ok_and(|length| length > 0)
    }
}
