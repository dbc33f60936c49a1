//! The language that client and server both speak.

pub mod codes;
pub mod errors;
pub mod failure;
pub mod ha_view;
pub mod model;
mod model_files;
pub mod roles;
pub mod settings;
pub mod types;
pub mod value;
pub mod xmlrpc;

pub use failure::Failure;
pub use model::Model;
pub use value::Value;

/// The null reference of every class.
pub const NULL_REF: &str = "OpaqueRef:NULL";
