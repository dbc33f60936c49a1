//! The explorer: every order of events of a small pool within given bounds, over the daemons' own
//! rules, each situation looked at once.
//!
//! | to find | look in |
//! |---|---|
//! | which pools, faults and bounds | [`setup`] |
//! | a situation, and when two are the same | [`state`], [`same`] |
//! | what may happen next | [`action`] |
//! | how it happens | [`turn`], [`effects`] |
//! | what must hold | [`check`], with the world's own evidence in [`truth`] |
//! | the search and the shortest trace | [`search`], [`trace`] |
//! | the program `xe-sim explore` | [`program`] |
//!
//! Time runs in ticks of one beat. In a tick every host that runs takes its beat (mail, timer,
//! packets out), then the writes of its cycles land, then it reads; the order of hosts, or of
//! all these steps, is part of a [`setup::Setup`]. Faults happen between ticks.
//!
//! Not modelled: statefiles that go back in time or are torn, packets that overtake each other
//! or come twice, a witness, agents and mastership handed over, requests of administrators,
//! weights, more than one tick by which a clock falls behind within T.

pub mod action;
pub mod check;
pub mod effects;
pub mod program;
pub mod same;
pub mod search;
pub mod setup;
pub mod state;
pub mod trace;
pub mod truth;
pub mod turn;

#[cfg(test)]
mod tests;
