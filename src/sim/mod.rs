//! The simulator: the daemons' own rules in a world of simulated time, made from a seed.
//!
//! | to find | look in |
//! |---|---|
//! | machines, links, the disk, faults, what must hold | [`world`] |
//! | random schedules of faults | [`campaign`] |
//! | the program `xe-sim` | [`program`] |

pub mod campaign;
pub mod program;
pub mod world;

#[cfg(test)]
mod scenarios;
