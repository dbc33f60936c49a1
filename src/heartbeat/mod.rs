//! The heartbeat protocol, pure.
