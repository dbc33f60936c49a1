//! The control socket's threads: one accepts, one for each connection.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::mpsc::sync_channel;

use rustix::net::sockopt::socket_peercred;

use super::control::{LONGEST_LINE, Refused, RefusedKind, Request, Response};
use super::history::History;
use super::inbox::{Inbox, Message};
use super::threads;

/// So many answers wait for a client that follows; one that is slower than that must ask again.
const FOLLOWS: usize = 32;

/// Opens the socket; only root and the daemon's own user may connect.
pub fn listen(socket: &Path, inbox: Inbox, history: History) -> std::io::Result<()> {
    if UnixStream::connect(socket).is_ok() {
        let text = format!("another heartbeat daemon listens at {}", socket.display());
        return Err(std::io::Error::new(std::io::ErrorKind::AddrInUse, text));
    }
    if socket.exists() {
        std::fs::remove_file(socket)?;
    }
    let listener = UnixListener::bind(socket)?;
    std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
    threads::start("control", move || {
        for stream in listener.incoming().flatten() {
            let (inbox, history) = (inbox.clone(), history.clone());
            threads::start("client", move || {
                let _client_gone = serve(stream, &inbox, &history);
            });
        }
    });
    Ok(())
}

/// Whether that user may speak to a daemon of that user.
fn may_speak(theirs: u32, own: u32) -> bool {
    theirs == 0 || theirs == own
}

/// The socket's mode keeps others out; a mode can be changed, what the kernel says of the client
/// cannot.
fn check_client(stream: &UnixStream) -> Result<(), String> {
    let client = socket_peercred(stream).map_err(|error| format!("unknown client: {error}"))?;
    let (theirs, own) = (client.uid.as_raw(), rustix::process::geteuid().as_raw());
    match may_speak(theirs, own) {
        true => Ok(()),
        false => Err(format!("user {theirs} may not speak to the heartbeat daemon")),
    }
}

fn serve(stream: UnixStream, inbox: &Inbox, history: &History) -> std::io::Result<()> {
    let mut writer = stream.try_clone()?;
    if let Err(sentence) = check_client(&stream) {
        history.note("control-refused", &sentence);
        let refused = Refused { kind: RefusedKind::BadRequest, sentence };
        return answer(&mut writer, &Response::Refused(refused));
    }
    let mut reader = BufReader::with_capacity(1024, stream);
    let mut line = Vec::new();
    while next_line(&mut reader, &mut line)? {
        match Request::read(&line) {
            Ok(request) => pass_on(request, inbox, &mut writer)?,
            Err(refused) => answer(&mut writer, &Response::Refused(refused))?,
        }
        if line.len() > LONGEST_LINE {
            break;
        }
    }
    Ok(())
}

/// The next line, or as much of it as shows that it is too long; false at the end.
fn next_line(reader: &mut BufReader<UnixStream>, line: &mut Vec<u8>) -> std::io::Result<bool> {
    line.clear();
    reader.take(LONGEST_LINE as u64 + 1).read_until(b'\n', line)?;
    Ok(!line.is_empty())
}

fn pass_on(request: Request, inbox: &Inbox, writer: &mut UnixStream) -> std::io::Result<()> {
    let follows = request == Request::Subscribe;
    let (sender, answers) = sync_channel(if follows { FOLLOWS } else { 1 });
    inbox.send(Message::Request(Box::new(request), sender));
    for response in &answers {
        answer(writer, &response)?;
        if !follows {
            return Ok(());
        }
    }
    // The daemon answers no more: it ended, or this client did not read for too long. Either way
    // the client notices by the end of the connection.
    Err(std::io::ErrorKind::ConnectionAborted.into())
}

fn answer(writer: &mut UnixStream, response: &Response) -> std::io::Result<()> {
    let mut text = serde_json::to_string(response)?;
    text.push('\n');
    writer.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_the_own_user_may_speak_and_nobody_else() {
        assert!(may_speak(0, 77) && may_speak(77, 77));
        assert!(!may_speak(78, 77) && !may_speak(77, 0));
        let (near, _far) = UnixStream::pair().unwrap();
        assert_eq!(check_client(&near), Ok(()));
    }

    #[test]
    fn deep_and_long_lines_are_refused_before_they_are_read() {
        let deep = [b"{\"do\":".as_slice(), &b"[".repeat(500_000)].concat();
        let refusal = Request::read(&deep).unwrap_err();
        assert!(refusal.sentence.contains("nested"), "{refusal}");
        let long = vec![b' '; LONGEST_LINE + 1];
        assert!(Request::read(&long).unwrap_err().sentence.contains("longer"));
        assert_eq!(Request::read(br#"{"do":"stop"}"#), Ok(Request::Stop));
    }

    #[test]
    fn the_deepest_request_fits_on_a_small_stack() {
        let deep = [b"{\"do\":\"start\",\"x\":".as_slice(), &b"[".repeat(14)].concat();
        let deep = [deep, b"]".repeat(14), b"}".to_vec()].concat();
        let (sender, done) = sync_channel(1);
        threads::start("client", move || sender.send(Request::read(&deep).is_err()).unwrap());
        assert!(done.recv().unwrap());
    }
}
