//! Lines of the heartbeat daemon's control socket.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| readers::control(bytes));
