//! The journal, as found after a crash and as sealed by somebody else's version.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::journal(bytes));
