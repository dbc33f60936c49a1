//! The machine that a host is.

pub mod hypervisor;
pub mod sr;
