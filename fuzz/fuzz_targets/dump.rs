//! The XML of a pool database.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::dump(bytes));
