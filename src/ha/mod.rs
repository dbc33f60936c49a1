//! The switch of HA, pure.
