//! Blocks of the statefile, with and without the right key.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::block(bytes));
