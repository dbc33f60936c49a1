//! From the client's switches to something that carries calls.

use std::io::ErrorKind;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use super::dialect::{Switches, Target};
use super::errors::CliError;
use crate::client::http::{HttpTransport, unreachable};
use crate::client::{DatabaseRequest, Transport};

/// The agent's socket unless told otherwise.
pub const SOCKET: &str = "/var/lib/xcp/xapi";

/// Opens a database file inside this process (the agent's work, handed in by the binary).
pub type OpenDatabase = fn(&DatabaseRequest) -> anyhow::Result<Box<dyn Transport>>;

/// Connects to whom the switches name.
pub fn connect(
    switches: &Switches,
    open_database: OpenDatabase,
) -> Result<Box<dyn Transport>, CliError> {
    let traced = |transport: HttpTransport| -> Box<dyn Transport> {
        Box::new(transport.traced(switches.traceparent.clone()))
    };
    match &switches.target {
        Target::Database { file, write } => {
            let request = DatabaseRequest {
                file: file.clone(),
                host_memory: switches.host_memory.clone(),
                write: *write,
            };
            open_database(&request).map_err(|error| CliError::Text(format!("{error:#}")))
        }
        Target::StateDir(dir) => Ok(traced(local(&Path::new(dir).join("xapi.sock"))?)),
        Target::Server(server) if server == "127.0.0.1" => {
            if let Some(socket) = &switches.socket {
                return Ok(traced(local(Path::new(socket))?));
            }
            let port = switches.port.unwrap_or(80);
            match local(&PathBuf::from(SOCKET)) {
                Ok(transport) => Ok(traced(transport)),
                // Never TLS to this address.
                Err(_) => Ok(traced(HttpTransport::tcp(server, port, false)?)),
            }
        }
        Target::Server(server) => {
            let tls = !switches.plain;
            let port = switches.port.unwrap_or(if tls { 443 } else { 80 });
            Ok(traced(HttpTransport::tcp(server, port, tls)?))
        }
    }
}

/// The agent behind a socket that somebody listens on.
fn local(socket: &Path) -> Result<HttpTransport, CliError> {
    match UnixStream::connect(socket) {
        Ok(_) => Ok(HttpTransport::unix(socket)?),
        Err(error) if error.kind() == ErrorKind::PermissionDenied => Err(CliError::Text(format!(
            "Permission denied (calling connect {}); run xe as root or name a server with -s",
            socket.display()
        ))),
        Err(error) => Err(unreachable(&socket.display().to_string(), &error).into()),
    }
}

/// User and password after the password file, which beats both.
pub fn credentials(switches: &Switches) -> Result<(String, String), CliError> {
    let Some(file) = &switches.password_file else {
        return Ok((switches.username.clone(), switches.password.clone()));
    };
    let text = std::fs::read_to_string(file)
        .map_err(|_| CliError::Client(format!("Error opening password file '{file}'")))?;
    let mut lines = text.lines();
    match (lines.next(), lines.next()) {
        (Some(user), Some(password)) => Ok((user.to_owned(), password.to_owned())),
        _ => Err(CliError::Client(format!(
            "The password file '{file}' needs the user in line 1 and the password in line 2."
        ))),
    }
}
