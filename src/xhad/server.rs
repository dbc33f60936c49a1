//! The control socket's threads: one accepts, one for each connection.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::channel;

use super::control::{Refused, RefusedKind, Request, Response};
use super::inbox::{Inbox, Message};

/// Opens the socket; only the daemon's own user may connect.
pub fn listen(socket: &Path, inbox: Inbox) -> std::io::Result<()> {
    if UnixStream::connect(socket).is_ok() {
        let text = format!("another heartbeat daemon listens at {}", socket.display());
        return Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, text));
    }
    if socket.exists() {
        std::fs::remove_file(socket)?;
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let inbox = inbox.clone();
            std::thread::spawn(move || {
                let _client_gone = serve(stream, &inbox);
            });
        }
    });
    Ok(())
}

fn serve(stream: UnixStream, inbox: &Inbox) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    for line in BufReader::new(stream).lines() {
        let line = line?;
        let request: Request = match serde_json::from_str(&line) {
            Ok(request) => request,
            Err(error) => {
                let sentence = format!("not a request: {error}");
                let refused = Refused { kind: RefusedKind::BadRequest, sentence };
                answer(&mut writer, &Response::Refused(refused))?;
                continue;
            }
        };
        let follows = request == Request::Subscribe;
        let (sender, answers) = channel();
        inbox.send(Message::Request(Box::new(request), sender));
        for response in &answers {
            answer(&mut writer, &response)?;
            if !follows {
                break;
            }
        }
    }
    Ok(())
}

fn answer(writer: &mut UnixStream, response: &Response) -> std::io::Result<()> {
    let mut text = serde_json::to_string(response)?;
    text.push('\n');
    writer.write_all(text.as_bytes())
}
