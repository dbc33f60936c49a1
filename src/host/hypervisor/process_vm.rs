//! A VM of the `process` driver, from the inside.
//!
//! The guest's whole life is one canary sector: it writes {uuid, run, counter} some 4.5 times a
//! second with O_DIRECT. It shares the process group of the agent that started it, but is nobody's
//! child (a launcher in between ends at once), so it outlives the agent and dies with the machine.
//! Its standard input is the lock of its directory; nothing is read from it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::host::faults::Faults;

use super::canary::{Canary, PERIOD};
use super::control::{self, Reply, Request};
use super::machine_dir::MachineDir;
use super::sector::{Sector, open_direct, write_first};
use super::system_process::SystemProcess;
use super::{ExitKind, MachineSpec, RunState};

/// How long a hand-over may take on each side.
const HAND_OVER: Duration = Duration::from_secs(30);

/// What passes from a source to a target, over TCP or through a suspend image.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Handover {
    vm: Uuid,
    run: u64,
    counter: u64,
}

/// Runs the program: `launch DIR MODE…` makes the VM's process, which is `run DIR MODE…`;
/// `exec DIR PROGRAM…` makes one that another program takes over.
pub fn main(words: Vec<String>) -> ExitCode {
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        ["launch", dir, mode @ ..] => launch("run", dir, mode),
        ["exec", dir, program @ ..] => launch("become", dir, program),
        ["become", dir, program, words @ ..] => Err(become_program(dir, program, words)),
        ["run", dir, mode @ ..] => run(Path::new(dir), mode),
        _ => Err(io::Error::other("only the process driver starts this program")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The driver reads the first line of standard output; there is nobody else to tell.
            let _ = writeln!(io::stdout(), "{error}");
            ExitCode::FAILURE
        }
    }
}

/// Makes the VM's process and ends, so that it is nobody's child.
fn launch(task: &str, dir: &str, words: &[&str]) -> io::Result<()> {
    let log = File::create(Path::new(dir).join("log"))?;
    Command::new("/proc/self/exe")
        .args(["xe-process-vm", task, dir])
        .args(words)
        .stdin(Stdio::inherit())
        .stdout(Stdio::inherit())
        .stderr(log)
        .spawn()
        .map(drop)
}

/// Turns this process into another program; pid and start time, which are written down before,
/// stay what they are. Closing standard output without a word says that it worked.
fn become_program(dir: &str, program: &str, words: &[&str]) -> io::Error {
    let record = |process| MachineDir::at(dir).set_process(&process);
    match SystemProcess::current().and_then(record) {
        Ok(()) => Command::new(program).args(words).stdout(Stdio::null()).exec(),
        Err(error) => error,
    }
}

fn run(path: &Path, mode: &[&str]) -> io::Result<()> {
    let dir = MachineDir::at(path);
    // First of all, so that a VM that hangs in the opening of its disk can be killed.
    dir.set_process(&SystemProcess::current()?)?;
    let machine = dir.machine()?.ok_or_else(|| io::Error::other("no machine.json"))?;
    let faults = Faults::from_environment();
    let guest = Arc::new(Guest::new(dir, machine.spec, move || faults.check_vm_disk())?);
    match mode {
        ["running"] => guest.lock().turn(RunState::Running),
        ["paused"] => guest.lock().turn(RunState::Paused),
        ["receive", address] => guest.listen(address)?,
        ["resume", image] => guest.take_image(Path::new(image))?,
        _ => return Err(io::Error::other("unknown way to start")),
    }
    // The driver has made the VM's directory the working directory: a socket address is short.
    let control = UnixListener::bind(control::SOCKET)?;
    writeln!(io::stdout(), "ready")?;
    let writer = Arc::clone(&guest);
    std::thread::spawn(move || writer.live());
    for stream in control.incoming() {
        let (guest, stream) = (Arc::clone(&guest), stream?);
        std::thread::spawn(move || guest.serve(stream));
    }
    Ok(())
}

/// What the disk does before a write: the seam for the lab's disk faults.
type DiskFault = Box<dyn Fn() -> io::Result<()> + Send + Sync>;

struct Guest {
    dir: MachineDir,
    spec: MachineSpec,
    disk: Option<File>,
    disk_fault: DiskFault,
    life: Mutex<Life>,
    /// The state once more, readable while a hung disk holds `life`.
    state: Arc<AtomicU8>,
    listens: Mutex<Option<SocketAddr>>,
}

/// Held during every write: whoever holds it knows that nothing is being written.
struct Life {
    state: RunState,
    counter: u64,
    sector: Box<Sector>,
    shown: Arc<AtomicU8>,
}

impl Life {
    fn turn(&mut self, state: RunState) {
        self.state = state;
        self.shown.store(state as u8, Ordering::SeqCst);
    }
}

impl Guest {
    fn new(
        dir: MachineDir,
        spec: MachineSpec,
        disk_fault: impl Fn() -> io::Result<()> + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let open = |path: &PathBuf| {
            let named = |e| io::Error::other(format!("disk {}: {e}", path.display()));
            open_direct(path, true).map_err(named)
        };
        let disk = spec.canary_disk().map(|disk| open(&disk.path)).transpose()?;
        let state = RunState::Receiving;
        let shown = Arc::new(AtomicU8::new(state as u8));
        let sector = Sector::zeroed();
        let life = Life { state, counter: 0, sector, shown: Arc::clone(&shown) };
        Ok(Self {
            dir,
            spec,
            disk,
            disk_fault: Box::new(disk_fault),
            life: Mutex::new(life),
            state: shown,
            listens: Mutex::new(None),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Life> {
        self.life.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The guest's life: a write, a nap. A failed write is tried again with the next counter, as
    /// an operating system would keep trying.
    fn live(&self) {
        loop {
            {
                let mut life = self.lock();
                if life.state == RunState::Running {
                    life.counter += 1;
                    let canary =
                        Canary { vm: self.spec.vm, run: self.spec.run, counter: life.counter };
                    life.sector.0 = canary.to_bytes();
                    if let (Some(disk), Ok(())) = (&self.disk, (self.disk_fault)()) {
                        let _ = write_first(disk, &life.sector);
                    }
                }
            }
            std::thread::sleep(PERIOD);
        }
    }

    fn serve(&self, stream: UnixStream) {
        let mut line = String::new();
        if BufReader::new(&stream).read_line(&mut line).is_err() {
            return;
        }
        let Ok(request) = serde_json::from_str::<Request>(&line) else { return };
        let result = self.obey(&request);
        let reply = Reply {
            error: result.err().map(|error| error.to_string()),
            state: shown(self.state.load(Ordering::SeqCst)),
            listens: *self.listens.lock().unwrap_or_else(PoisonError::into_inner),
        };
        if let Ok(mut bytes) = serde_json::to_vec(&reply) {
            bytes.push(b'\n');
            // An agent that went away asks again.
            let _ = (&stream).write_all(&bytes);
        }
    }

    fn obey(&self, request: &Request) -> io::Result<()> {
        use RunState::{Paused, Running};
        match request {
            Request::State => Ok(()),
            Request::Pause => self.turn(&[Running, Paused], Paused),
            Request::Continue(from) => self.turn(&[*from, Running], Running),
            Request::Shutdown | Request::Finish => self.end(ExitKind::Killed),
            Request::GuestShutdown => self.end(ExitKind::GuestShutdown),
            Request::GuestReboot => self.end(ExitKind::GuestReboot),
            Request::Suspend(image) => self.suspend(image),
            Request::Migrate(target) => self.migrate(*target),
        }
    }

    fn turn(&self, from: &[RunState], to: RunState) -> io::Result<()> {
        let mut life = self.lock();
        if !from.contains(&life.state) {
            return Err(io::Error::other(format!("it is {:?}", life.state)));
        }
        life.turn(to);
        Ok(())
    }

    /// Ends the process; the driver sees it go, so there is no answer.
    fn end(&self, kind: ExitKind) -> io::Result<()> {
        self.dir.set_exit(kind)?;
        std::process::exit(0)
    }

    fn handover(&self, life: &Life) -> Handover {
        Handover { vm: self.spec.vm, run: self.spec.run, counter: life.counter }
    }

    fn suspend(&self, image: &Path) -> io::Result<()> {
        let life = self.lock();
        if !matches!(life.state, RunState::Running | RunState::Paused) {
            return Err(io::Error::other(format!("it is {:?}", life.state)));
        }
        let mut file = File::create(image)?;
        file.write_all(&serde_json::to_vec(&self.handover(&life))?)?;
        file.sync_all()?;
        self.end(ExitKind::Killed)
    }

    fn take_image(&self, image: &Path) -> io::Result<()> {
        let handed: Handover = serde_json::from_slice(&fs::read(image)?)?;
        self.take(handed, RunState::Running)
    }

    fn take(&self, handed: Handover, state: RunState) -> io::Result<()> {
        if handed.vm != self.spec.vm {
            return Err(io::Error::other(format!("this is VM {}", handed.vm)));
        }
        let mut life = self.lock();
        life.counter = handed.counter;
        life.turn(state);
        Ok(())
    }

    /// Stops, sends everything, waits for the receipt; on any error the VM goes on here, which is
    /// safe because a target never runs before it is told to.
    fn migrate(&self, target: SocketAddr) -> io::Result<()> {
        let mut life = self.lock();
        let before = life.state;
        if !matches!(before, RunState::Running | RunState::Paused) {
            return Err(io::Error::other(format!("it is {before:?}")));
        }
        life.turn(RunState::Stopped);
        let sent = send(target, self.handover(&life));
        if sent.is_err() {
            life.turn(before);
        }
        sent
    }

    fn listen(self: &Arc<Self>, address: &str) -> io::Result<()> {
        let address: IpAddr = address.parse().map_err(io::Error::other)?;
        let listener = TcpListener::bind((address, 0))?;
        let here = listener.local_addr()?;
        *self.listens.lock().unwrap_or_else(PoisonError::into_inner) = Some(here);
        let guest = Arc::clone(self);
        std::thread::spawn(move || {
            // A caller that is not the source, or a source that broke off, may be followed by it.
            while guest.lock().state == RunState::Receiving {
                if let Ok((stream, _)) = listener.accept() {
                    let _ = guest.accept(stream);
                }
            }
        });
        Ok(())
    }

    fn accept(&self, stream: TcpStream) -> io::Result<()> {
        stream.set_read_timeout(Some(HAND_OVER))?;
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line)?;
        self.take(serde_json::from_str(&line)?, RunState::Received)?;
        (&stream).write_all(b"taken\n")
    }
}

fn send(target: SocketAddr, handover: Handover) -> io::Result<()> {
    let mut stream = TcpStream::connect_timeout(&target, HAND_OVER)?;
    stream.set_read_timeout(Some(HAND_OVER))?;
    let mut line = serde_json::to_vec(&handover)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    if answer == "taken\n" { Ok(()) } else { Err(io::Error::other("the target refused")) }
}

fn shown(number: u8) -> RunState {
    use RunState::{Paused, Received, Receiving, Running, Stopped};
    let known = [Running, Paused, Receiving, Received, Stopped];
    known.into_iter().find(|state| *state as u8 == number).unwrap_or(Running)
}
