//! VMs as processes: started, stopped, moved, found again; never two of one VM.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bench;
mod every;
mod mixed;
mod process;
mod qemu;
#[path = "../support/skip.rs"]
mod skip;
