//! A real agent on a loopback address, with its state in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use xe::client::http::HttpTransport;
use xe::client::{CallError, Transport};
use xe::xenapi::{Failure, Value};

/// Root's password on every machine of the tests.
pub const PASSWORD: &str = "loopback only";
/// The port of the API with TLS.
pub const HTTPS: u16 = 7443;
/// The port of the API without.
pub const HTTP: u16 = 7080;

/// A host and its agent. The agent ends with this value.
pub struct Machine {
    /// The state directory.
    pub dir: PathBuf,
    /// The address of the agent.
    pub address: String,
    agent: Option<Child>,
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits for something that must come.
pub fn wait_for(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn words(output: &[u8]) -> &str {
    std::str::from_utf8(output).unwrap()
}

/// What a command printed.
pub fn out(output: &Output) -> &str {
    words(&output.stdout)
}

/// What a command complained of.
pub fn err(output: &Output) -> &str {
    words(&output.stderr)
}

impl Machine {
    /// Sets a host up under `parent` and starts its agent.
    pub fn new(parent: &Path, name: &str, address: &str) -> Self {
        let machine = Self { dir: parent.join(name), address: address.to_owned(), agent: None };
        let file = parent.join(format!("{name}.password"));
        std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
        let socket = machine.socket();
        let init = Command::new(env!("CARGO_BIN_EXE_xe"))
            .args(["xe-agent", "--state-dir"])
            .arg(&machine.dir)
            .args(["init", "--address", address, "--name", name, "--memory", "8589934592"])
            .args(["--hypervisor", "sim", "--https-port", &HTTPS.to_string()])
            .args(["--http-port", &HTTP.to_string(), "--socket"])
            .arg(&socket)
            .arg("--password-file")
            .arg(&file)
            .output()
            .unwrap();
        assert!(init.status.success(), "{}", err(&init));
        let mut machine = machine;
        machine.start();
        machine
    }

    fn socket(&self) -> PathBuf {
        self.dir.join("xapi.sock")
    }

    /// Where the agent logs.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.with_extension("log")).unwrap_or_default()
    }

    /// Starts the agent and waits until it answers.
    pub fn start(&mut self) {
        let log = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.dir.with_extension("log"))
            .unwrap();
        let _ = std::fs::remove_file(self.socket());
        let agent = Command::new(env!("CARGO_BIN_EXE_xe"))
            .args(["xe-agent", "--state-dir"])
            .arg(&self.dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        self.agent = Some(agent);
        wait_for("the agent's answer", || {
            let call = self.root().call("session.login_with_password", &["root".into(), "".into()]);
            // A host without a master answers too: with what is wrong.
            !matches!(call, Err(CallError::Unreachable { .. } | CallError::Broken { .. }))
        });
    }

    /// Ends the agent as a crash would.
    pub fn kill(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            agent.kill().unwrap();
            agent.wait().unwrap();
        }
    }

    /// The agent by its socket, as root of this host.
    pub fn root(&self) -> HttpTransport {
        HttpTransport::unix(&self.socket()).unwrap()
    }

    /// The agent by its address.
    pub fn remote(&self) -> HttpTransport {
        HttpTransport::tcp(&self.address, HTTPS, true).unwrap()
    }

    /// A session of root over the socket.
    pub fn session(&self) -> String {
        let login = self.root().call("session.login_with_password", &["root".into(), "".into()]);
        login.unwrap().as_str().unwrap().to_owned()
    }

    /// One call over the socket in a session.
    pub fn call(&self, session: &str, method: &str, params: &[Value]) -> Result<Value, Failure> {
        call(&self.root(), session, method, params)
    }

    /// Runs a command of the command line on this host.
    pub fn xe(&self, words: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xe"));
        command.env_clear().env("HOME", "/nonexistent").stdin(Stdio::null());
        command.arg("--state-dir").arg(&self.dir).args(words).output().unwrap()
    }

    /// The same, which must succeed; gives what it printed without the line end.
    pub fn done(&self, words: &[&str]) -> String {
        let output = self.xe(words);
        assert!(output.status.success(), "{words:?}: {}", err(&output));
        out(&output).trim_end().to_owned()
    }

    /// Joins the pool of another machine and waits until the new member follows it.
    pub fn join(&self, master: &Machine) {
        let address = format!("master-address={}", master.address);
        let password = format!("master-password={PASSWORD}");
        self.done(&["pool-join", &address, "master-username=root", &password]);
        let uuid = |machine: &Machine| machine.xe(&["pool-list", "--minimal"]).stdout;
        wait_for("the member", || {
            let there = uuid(self);
            !there.is_empty() && there == uuid(master)
        });
        wait_for("the member's database", || {
            let sync = master.xe(&["pool-sync-database"]);
            sync.status.success()
        });
    }
}

/// One call in a session; the transport itself must not fail.
pub fn call(
    transport: &dyn Transport,
    session: &str,
    method: &str,
    params: &[Value],
) -> Result<Value, Failure> {
    let mut all = vec![Value::from(session)];
    all.extend_from_slice(params);
    plain(transport, method, &all)
}

/// One call without a session.
pub fn plain(transport: &dyn Transport, method: &str, params: &[Value]) -> Result<Value, Failure> {
    transport.call(method, params).map_err(|error| match error {
        CallError::Api(failure) => failure,
        other => panic!("{method}: {other}"),
    })
}
