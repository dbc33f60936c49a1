//! What happens to a program whose output nobody reads any more.

/// From now on a write to a pipe without a reader ends this process quietly, as with other tools
/// whose output is piped into `head`. Rust's own start-up has it ignored, and printing panics.
pub fn end_with_their_reader() {
    // SAFETY: the default action is no code of ours, and no other thread runs yet.
    unsafe {
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
    }
}
