//! Hypervisor drivers.

pub mod process_vm;
