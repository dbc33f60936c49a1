//! The configuration that a foreign toolstack writes.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::toolstack(bytes));
