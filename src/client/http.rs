//! XenAPI over HTTP: a unix socket, plain TCP, or TLS.

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Once;

use reqwest::StatusCode;
use reqwest::blocking::{Client, ClientBuilder, Response};
use reqwest::header::LOCATION;
use reqwest::redirect::Policy;

use super::{CallError, Transport};
use crate::xenapi::{Value, xmlrpc};

/// How often a transfer may be sent on to another address.
const REDIRECTS: usize = 5;

/// What a peer that speaks something else makes us say.
pub const STRANGER: &str = "No management agent answers there; is it running?\n\
                            To reach another server, name it with -s SERVER.";

/// A server behind HTTP.
pub struct HttpTransport {
    client: Client,
    base: String,
    /// What errors call the server.
    server: String,
    traceparent: Option<String>,
}

/// The cryptography of TLS is chosen once in a process.
fn use_ring() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Somebody else's choice is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

impl HttpTransport {
    /// The agent behind a unix socket.
    pub fn unix(socket: &Path) -> Result<Self, CallError> {
        let server = socket.display().to_string();
        let builder = Client::builder().unix_socket(socket);
        Self::build(builder, "http://localhost".to_owned(), server)
    }

    /// A server by name; `tls` checks no certificate, as the peer's client does by default.
    pub fn tcp(server: &str, port: u16, tls: bool) -> Result<Self, CallError> {
        let scheme = if tls { "https" } else { "http" };
        let bare = server.trim_start_matches('[').trim_end_matches(']');
        let host = if bare.contains(':') { format!("[{bare}]") } else { bare.to_owned() };
        let builder = Client::builder().tls_danger_accept_invalid_certs(true).no_proxy();
        Self::build(builder, format!("{scheme}://{host}:{port}"), server.to_owned())
    }

    fn build(builder: ClientBuilder, base: String, server: String) -> Result<Self, CallError> {
        use_ring();
        let client = builder
            // A call may wait as long as its task takes.
            .timeout(None)
            .redirect(Policy::none())
            .user_agent(concat!("xe/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| CallError::Broken {
                address: server.clone(),
                reason: format!("Error: {error}"),
            })?;
        Ok(Self { client, base, server, traceparent: None })
    }

    /// Sends this trace parent with every call.
    pub fn traced(mut self, traceparent: Option<String>) -> Self {
        self.traceparent = traceparent;
        self
    }

    fn broken(&self, reason: &str) -> CallError {
        CallError::Broken { address: self.server.clone(), reason: reason.to_owned() }
    }

    fn failed(&self, error: &reqwest::Error) -> CallError {
        if !error.is_connect() {
            return self.broken("Lost connection to the server.");
        }
        let mut cause = error.source();
        while let Some(inner) = cause {
            if inner.to_string().contains("dns error") {
                return CallError::UnknownHost { server: self.server.clone() };
            }
            if let Some(error) = inner.downcast_ref::<io::Error>()
                && error.raw_os_error().is_some()
            {
                return unreachable(&self.server, error);
            }
            cause = inner.source();
        }
        self.broken("Unable to contact server. Please check server and port settings.")
    }

    /// Follows redirections, which may point to another host of the pool.
    fn transfer(
        &self,
        path: &str,
        send: impl Fn(&str) -> reqwest::Result<Response>,
    ) -> Result<Vec<u8>, CallError> {
        let mut url = format!("{}{path}", self.base);
        for _ in 0..REDIRECTS {
            let response = send(&url).map_err(|error| self.failed(&error))?;
            if response.status().is_redirection()
                && let Some(next) = response.headers().get(LOCATION)
            {
                url = next.to_str().unwrap_or("").to_owned();
                continue;
            }
            if !response.status().is_success() {
                let status = response.status();
                let said = response.text().unwrap_or_default();
                let why = said.lines().next().filter(|line| is_readable(line));
                let why = why.map_or_else(|| status.to_string(), str::to_owned);
                return Err(self.broken(&format!("Operation failed. Error: {why}")));
            }
            return Ok(response.bytes().map_err(|error| self.failed(&error))?.to_vec());
        }
        Err(self.broken("Operation failed. Error: too many redirections"))
    }
}

/// Whether a person should see what a server says beside a status: one line of text, no page.
fn is_readable(line: &str) -> bool {
    !line.is_empty()
        && line.len() < 1000
        && !line.starts_with('<')
        && !line.contains(char::is_control)
}

/// Nothing listens: the reason in the system's words, without Rust's number behind it.
pub fn unreachable(server: &str, error: &io::Error) -> CallError {
    let text = error.to_string();
    let reason = match error.kind() {
        // No socket file means the same as a socket without an agent: it is not running.
        io::ErrorKind::NotFound => "Connection refused",
        _ => text.split(" (os error").next().unwrap_or(&text),
    };
    CallError::Unreachable { address: server.to_owned(), reason: reason.to_owned() }
}

impl Transport for HttpTransport {
    fn call(&self, method: &str, params: &[Value]) -> Result<Value, CallError> {
        let mut request = self
            .client
            .post(format!("{}/", self.base))
            .header("content-type", "text/xml")
            .body(xmlrpc::encode_call(method, params));
        if let Some(traceparent) = &self.traceparent {
            request = request.header("traceparent", traceparent);
        }
        let response = request.send().map_err(|error| self.failed(&error))?;
        if response.status() != StatusCode::OK {
            return Err(self.broken("Server internal error."));
        }
        let body = response.bytes().map_err(|error| self.failed(&error))?;
        match xmlrpc::decode_response(&body) {
            Ok(answer) => Ok(answer?),
            Err(_) => Err(self.broken(STRANGER)),
        }
    }

    fn download(&self, path: &str) -> Result<Vec<u8>, CallError> {
        self.transfer(path, |url| self.client.get(url).send())
    }

    fn upload(&self, path: &str, body: &[u8]) -> Result<(), CallError> {
        self.transfer(path, |url| self.client.put(url).body(body.to_vec()).send()).map(drop)
    }
}
