//! The program itself against servers on loopback and a unix socket: bytes, codes, addresses.

#![expect(clippy::unwrap_used, reason = "a helper of tests may fail loudly")]

#[path = "support/skip.rs"]
mod skip;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Output;
use std::thread;

use assert_cmd::Command;
use xe::xenapi::{Failure, Value, xmlrpc};

/// What the little server knows: one host, and that a wrong password is wrong.
fn answer(method: &str, params: &[Value]) -> Result<Value, Failure> {
    match method {
        "session.login_with_password" if params[1] == "wrong".into() => {
            Err(Failure::bare("SESSION_AUTHENTICATION_FAILED"))
        }
        "session.login_with_password" => Ok("OpaqueRef:s".into()),
        "session.logout" => Ok(Value::void()),
        "host.get_all_records_where" => {
            let host = Value::text_map([("uuid", "u-1"), ("name_label", "h1")]);
            Ok(Value::Struct([("OpaqueRef:h".to_owned(), host)].into()))
        }
        _ => Err(Failure::new("MESSAGE_METHOD_UNKNOWN", [method])),
    }
}

/// Answers the requests of one connection until it is closed.
fn serve(mut stream: impl Read + Write, reply: fn(&[u8]) -> Vec<u8>) {
    let mut bytes = Vec::new();
    let mut chunk = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head
                .to_lowercase()
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok())
                .unwrap_or(0usize);
            if body.len() >= length {
                let _ = stream.write_all(&reply(&body.as_bytes()[..length]));
                bytes.clear();
                continue;
            }
        }
        match stream.read(&mut chunk) {
            Ok(0) | Err(_) => return,
            Ok(count) => bytes.extend_from_slice(&chunk[..count]),
        }
    }
}

fn http(status: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes =
        format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len()).into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

fn xenapi(body: &[u8]) -> Vec<u8> {
    let (method, params) = xmlrpc::decode_call(body).unwrap();
    http("200 OK", &xmlrpc::encode_response(&answer(&method, &params)))
}

fn on_socket(path: &Path, reply: fn(&[u8]) -> Vec<u8>) {
    let listener = UnixListener::bind(path).unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream, reply));
        }
    });
}

fn on_port(reply: fn(&[u8]) -> Vec<u8>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream, reply));
        }
    });
    port
}

fn xe(words: &[&str]) -> Output {
    let mut command = Command::cargo_bin("xe").unwrap();
    command.env_clear().env("HOME", "/nonexistent").args(words);
    command.output().unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn the_socket_of_a_state_directory() {
    let dir = tempfile::tempdir().unwrap();
    on_socket(&dir.path().join("xapi.sock"), xenapi);
    let state = dir.path().to_str().unwrap();
    let done = xe(&["--state-dir", state, "host-list", "--minimal"]);
    assert_eq!((out(&done), err(&done), done.status.code()), ("u-1\n", "", Some(0)));
    let done = xe(&["--state-dir", state, "pool-ha-disable"]);
    assert_eq!((out(&done), done.status.code()), ("", Some(1)));
    assert!(err(&done).ends_with("\nmethod: pool.disable_ha\n"), "{}", err(&done));
    let done = xe(&["--state-dir", state, "--debug-on-fail", "pool-ha-disable"]);
    let (_, debug) = err(&done).split_once("Debug info:\n").unwrap();
    assert!(debug.starts_with("session.login_with_password: ok"), "{debug}");
}

#[test]
fn plain_tcp_and_login() {
    let port = on_port(xenapi).to_string();
    let words = ["--nossl", "-s", "localhost", "-p", &port];
    let done = xe(&[&words[..], &["-u", "root", "-pw", "x", "host-list", "--minimal"]].concat());
    assert_eq!((out(&done), err(&done)), ("u-1\n", ""));
    let done = xe(&[&words[..], &["-pw", "wrong", "host-list"]].concat());
    assert_eq!(err(&done), "Authentication failed\nFor usage run: 'xe help'\n");
    assert_eq!(done.status.code(), Some(1));

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "root\nwrong\n").unwrap();
    let done = xe(&[&words[..], &["-pwf", file.path().to_str().unwrap(), "host-list"]].concat());
    assert!(err(&done).starts_with("Authentication failed\n"), "{}", err(&done));
    let done = xe(&[&words[..], &["-pwf", "/nonexistent", "host-list"]].concat());
    assert_eq!(err(&done), "Error opening password file '/nonexistent'\n");
}

#[test]
fn nobody_listens_or_nobody_is_called_so() {
    let done = xe(&["--state-dir", "/nonexistent", "vm-list"]);
    let refused = "Error: Connection refused (calling connect )\n";
    assert_eq!((out(&done), err(&done), done.status.code()), ("", refused, Some(1)));
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let done = xe(&["--nossl", "-s", "localhost", "-p", &free.to_string(), "vm-list"]);
    assert_eq!((err(&done), done.status.code()), (refused, Some(1)));
    let done = xe(&["-s", "no-such-host.invalid", "vm-list"]);
    assert_eq!(err(&done), "Host 'no-such-host.invalid' not found.\n");
}

#[test]
fn peers_that_speak_otherwise() {
    let say = |reply: fn(&[u8]) -> Vec<u8>| {
        let port = on_port(reply).to_string();
        let done = xe(&["--nossl", "-s", "localhost", "-p", &port, "vm-list"]);
        assert_eq!((out(&done), done.status.code()), ("", Some(1)));
        err(&done).to_owned()
    };
    assert_eq!(say(|_| http("500 Internal Server Error", b"")), "Server internal error.\n");
    assert_eq!(say(|_| http("200 OK", b"hello")).lines().count(), 2);
}

#[test]
fn a_connection_that_breaks_half_way() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n<?xml");
        }
    });
    let done = xe(&["--nossl", "-s", "localhost", "-p", &port, "vm-list"]);
    assert_eq!((err(&done), done.status.code()), ("Lost connection to the server.\n", Some(1)));
}

#[test]
fn a_database_that_cannot_be_opened_is_named() {
    let done = xe(&["--database", "/nonexistent/dump.xml", "vm-list"]);
    assert_eq!(done.status.code(), Some(1));
    assert!(err(&done).starts_with("Error: ") && err(&done).contains("/nonexistent/dump.xml"));
}

#[test]
fn links_make_every_command_a_program() {
    let dir = tempfile::tempdir().unwrap();
    let done = xe(&["install-links", dir.path().to_str().unwrap()]);
    assert_eq!(done.status.code(), Some(0), "{}", err(&done));
    let program = dir.path().join("pool-ha-enable");
    let mut command = std::process::Command::new(program);
    let done = command.env_clear().args(["--state-dir", "/nonexistent"]).output().unwrap();
    assert_eq!(err(&done), "Error: Connection refused (calling connect )\n");
    let again = xe(&["install-links", dir.path().to_str().unwrap()]);
    assert_eq!(again.status.code(), Some(0), "links of an earlier time are replaced");
}

#[test]
fn the_manual_page_is_the_one_made_from_the_table() {
    let written = include_str!("../man/xe.1");
    assert_eq!(written, xe::cli::man::page().unwrap(), "run: xe man man");
}

#[test]
fn bash_completes_values_behind_an_equals_sign() {
    let xe = assert_cmd::cargo::cargo_bin!("xe");
    let script = format!(
        "source completions/xe.bash; COMP_WORDS=({})
         for COMP_LINE in 'xe vbd-create type=C' 'xe pool-ha-enable hea'; do
             COMP_POINT=${{#COMP_LINE}}; _xe 2>/dev/null; printf '%s\\n' \"${{COMPREPLY[@]}}\"
         done",
        xe.display()
    );
    let Ok(done) = std::process::Command::new("bash").args(["-c", &script]).output() else {
        skip::skipped("there is no bash");
        return;
    };
    assert_eq!(out(&done), "CD\nheartbeat-sr-uuids=\n", "{}", err(&done));
}
