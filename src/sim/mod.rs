//! The simulator: the daemons' own rules in a world of simulated time, made from a seed.
//!
//! | to find | look in |
//! |---|---|
//! | machines, links, statefiles, VMs, what must hold | [`world`] |
//! | what can be done to them, as text | [`script`] |
//! | random schedules of faults | [`schedules`], [`campaign`] |
//! | scenarios: a script with what is expected | [`scenario`] |
//! | the program `xe-sim` | [`program`] |

pub mod campaign;
mod perform;
pub mod program;
pub mod scenario;
pub mod schedules;
pub mod script;
pub mod world;

#[cfg(test)]
mod scenarios;
