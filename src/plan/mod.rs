//! The failover planner, pure.

pub mod case;
