//! The machine that a host is: its clock and disks, its watchdog, what runs its VMs.

pub mod arena;
pub mod bonds;
pub mod boot_id;
pub mod clock;
pub mod confine;
pub mod direct_io;
pub mod faults;
pub mod fork;
pub mod hypervisor;
pub mod interface;
pub mod neighbour;
pub mod pages;
pub mod pipes;
pub mod privileges;
pub mod realtime;
pub mod rolling;
pub mod shared_word;
pub mod signals;
pub mod sr;
pub mod system_word;
pub mod udp;
pub mod watchdog;
