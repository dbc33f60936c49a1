//! A second process of this program, for work that the first may not do.

use std::io;

/// Runs `work` in a child, which ends with it. To be called while this process has one thread:
/// the child has the memory of all of it and the threads of none. Gives the child's number.
pub fn child(work: impl FnOnce()) -> io::Result<u32> {
    // SAFETY: there is one thread, so no lock is held by a thread that the child lacks.
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            work();
            std::process::exit(0);
        }
        number => Ok(number.unsigned_abs()),
    }
}
