//! Calls and answers of the API.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::xmlrpc(bytes));
