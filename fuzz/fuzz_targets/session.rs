//! Configurations of heartbeat sessions.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::session(bytes));
