//! The machine that a host is.

pub mod boot_id;
pub mod clock;
pub mod direct_io;
pub mod faults;
pub mod hypervisor;
pub mod realtime;
pub mod udp;
pub mod watchdog;
