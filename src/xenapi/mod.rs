//! The language that client and server both speak.

pub mod failure;
pub mod value;

pub use failure::Failure;
pub use value::Value;

/// The null reference of every class.
pub const NULL_REF: &str = "OpaqueRef:NULL";
