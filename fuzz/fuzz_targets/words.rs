//! Words of a command line and of its two lower layers.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::words(bytes));
