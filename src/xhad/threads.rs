//! The daemon's threads: each with a small stack of a fixed size. What a thread never touches of
//! its stack takes no memory; what it touches is locked.

use std::thread::Builder;

/// Enough for a request of the deepest nesting that is read, in a build without optimisation too.
const STACK: usize = 256 << 10;

/// Starts a thread. Without room for one more, its work is not done and the caller is not held
/// up; false then.
pub fn start(name: &str, work: impl FnOnce() + Send + 'static) -> bool {
    Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work).is_ok()
}
