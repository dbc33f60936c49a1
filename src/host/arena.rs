//! One arena for all threads: the C library would give each thread one of its own, of which a
//! small daemon with many sleeping threads fills a few hundred bytes and holds a hundred times as
//! much. The loop takes no memory in its steady state, so it does not wait for the others there.

/// Makes all threads share one arena, which gives nothing back to the kernel. To be called before
/// the first thread is started.
pub fn share() {
    // SAFETY: `mallopt` takes two numbers; no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_TRIM_THRESHOLD, i32::MAX);
    }
}
