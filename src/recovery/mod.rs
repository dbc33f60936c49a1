//! The recovery policy, pure.
