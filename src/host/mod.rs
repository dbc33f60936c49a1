//! The machine that a host is.

pub mod boot_id;
pub mod clock;
pub mod faults;
pub mod hypervisor;
pub mod sr;
