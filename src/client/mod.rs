//! A session with a XenAPI server, wherever it is.

pub mod database;
pub mod http;
pub mod session;
pub mod traced;

pub use database::DatabaseRequest;
pub use session::{Account, Session};

use crate::xenapi::{Failure, Value};

/// Why a call gave no value.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server answered with an error of the API.
    #[error(transparent)]
    Api(#[from] Failure),
    /// Nothing listens there.
    #[error("nothing listens at {address}: {reason}")]
    Unreachable {
        /// Where the client tried.
        address: String,
        /// The system's word for it.
        reason: String,
    },
    /// No address is known for this name.
    #[error("no host is called {server}")]
    UnknownHost {
        /// The name.
        server: String,
    },
    /// The connection broke, or the peer speaks something else.
    #[error("the connection to {address} failed: {reason}")]
    Broken {
        /// Where the client was connected.
        address: String,
        /// What happened, as the person at the command line is told.
        reason: String,
    },
}

/// Something that carries XenAPI calls to a server.
pub trait Transport: Send + Sync {
    /// One call: the method's full name (`VM.start`) and all parameters, session included.
    fn call(&self, method: &str, params: &[Value]) -> Result<Value, CallError>;

    /// Downloads what an HTTP path of the server holds (such as `/pool/xmldbdump?…`).
    fn download(&self, path: &str) -> Result<Vec<u8>, CallError>;

    /// Uploads a body to an HTTP path of the server.
    fn upload(&self, path: &str, body: &[u8]) -> Result<(), CallError>;
}

/// One transport that several commands share, each as if it were its own.
impl Transport for std::sync::Arc<dyn Transport> {
    fn call(&self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        (**self).call(method, params)
    }

    fn download(&self, path: &str) -> Result<Vec<u8>, CallError> {
        (**self).download(path)
    }

    fn upload(&self, path: &str, body: &[u8]) -> Result<(), CallError> {
        (**self).upload(path, body)
    }
}
