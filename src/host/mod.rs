//! The machine that a host is: its clock and disks, its watchdog, what runs its VMs.

pub mod boot_id;
pub mod clock;
pub mod direct_io;
pub mod faults;
pub mod hypervisor;
pub mod realtime;
pub mod sr;
pub mod udp;
pub mod watchdog;
