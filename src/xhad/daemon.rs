//! The daemon's one loop: packets, disk cycles, requests, time.

use std::path::PathBuf;
use std::sync::mpsc::Sender;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::control::{
    Lease, Liveset, Mode, Phase, PoolState, Refused, RefusedKind, Request, Response, SOCKET,
    StartConfig,
};
use super::history::History;
use super::inbox::{self, Message, Outbox};
use super::session::{Session, Surroundings};
use super::{marker, server, storm};
use crate::heartbeat::liveset::Event;
use crate::heartbeat::node::Control;
use crate::host::clock::boottime_ns;
use crate::host::faults::Faults;
use crate::host::{boot_id, realtime, watchdog};

/// The daemon.
struct Daemon {
    around: Surroundings,
    outbox: Outbox,
    session: Option<Session>,
    last_config: Option<StartConfig>,
    subscribers: Vec<Sender<Response>>,
    next_session: u64,
    prepared: bool,
}

/// Runs the daemon of a state directory; returns only when it cannot run.
pub fn run(state_dir: PathBuf) -> anyhow::Result<()> {
    std::fs::create_dir_all(&state_dir)?;
    let (inbox, outbox) = inbox::pair()?;
    let faults = Faults::from_environment();
    let history = History::open(&state_dir);
    let around = Surroundings { state_dir, faults, inbox, history };
    finish_old_session(&around)?;
    server::listen(&around.state_dir.join(SOCKET), around.inbox.clone())?;
    let mut daemon = Daemon {
        around,
        outbox,
        session: None,
        last_config: None,
        subscribers: Vec::new(),
        next_session: 1,
        prepared: false,
    };
    loop {
        daemon.turn()?;
    }
}

/// R5.5: a daemon that starts in a boot with an unfinished armed session resets the host.
fn finish_old_session(around: &Surroundings) -> anyhow::Result<()> {
    let Some(mark) = marker::read(&around.state_dir) else { return Ok(()) };
    if mark.boot_id != boot_id::current(&around.faults)? {
        // Another boot: the watchdog or the operator has ended that session.
        storm::add(&around.state_dir, History::last(&around.state_dir).as_ref());
        note(around, "was-reset", "the last armed session of this host ended with its boot");
        marker::clear(&around.state_dir);
        return Ok(());
    }
    note(around, "reset", "an armed session of this boot did not end cleanly");
    around.history.flush(std::time::Duration::from_millis(100));
    if let Ok(mut dog) = watchdog::open(&mark.watchdog) {
        dog.reset_now();
    }
    anyhow::bail!("an armed session of this boot did not end cleanly; the watchdog resets the host")
}

fn note(around: &Surroundings, event: &str, why: &str) {
    around.history.add(Event {
        t_ns: boottime_ns(),
        event: event.to_owned(),
        why: why.to_owned(),
        host: None,
        epoch: 0,
    });
}

fn refusal(kind: RefusedKind, sentence: &str) -> Response {
    Response::Refused(Refused { kind, sentence: sentence.to_owned() })
}

impl Daemon {
    fn turn(&mut self) -> anyhow::Result<()> {
        self.wait()?;
        self.outbox.hush();
        if let Some(session) = &mut self.session {
            session.take_packets();
        }
        while let Some(message) = self.outbox.next() {
            self.take(message);
        }
        if let Some(session) = &mut self.session
            && boottime_ns() >= session.wake()
        {
            session.tick();
        }
        if self.session.as_ref().is_some_and(Session::may_rejoin) {
            let (unheard, _) = std::sync::mpsc::channel();
            self.rejoin(unheard);
        }
        if self.session.as_mut().is_some_and(|session| session.take_after().changed) {
            self.tell_subscribers();
        }
        Ok(())
    }

    fn wait(&self) -> anyhow::Result<()> {
        let wake = self.session.as_ref().map(Session::wake);
        let left = wake.map(|wake| wake.saturating_sub(boottime_ns()));
        let timeout = left.map(|left| Timespec {
            tv_sec: (left / 1_000_000_000) as _,
            tv_nsec: (left % 1_000_000_000) as _,
        });
        let bell = self.outbox.bell();
        let mut files = vec![PollFd::from_borrowed_fd(bell, PollFlags::IN)];
        if let Some(session) = &self.session {
            let sockets = session.links().iter().map(|link| link.socket());
            files.extend(sockets.map(|socket| PollFd::new(socket, PollFlags::IN)));
        }
        match poll(&mut files, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Request(request, reply) => self.request(*request, reply),
            Message::Cycle(id, done) => {
                if let Some(session) = self.session.as_mut().filter(|s| s.id() == id) {
                    session.take_cycle(done);
                }
            }
            Message::Kept(id, record) => {
                if let Some(session) = self.session.as_mut().filter(|s| s.id() == id) {
                    session.kept(record);
                }
            }
            Message::VmsStopped(id, outcome) => {
                if let Some(session) = self.session.as_mut().filter(|s| s.id() == id) {
                    session.vms_stopped(outcome);
                }
            }
            Message::FencedOff(id, host) => {
                if let Some(session) = self.session.as_mut().filter(|s| s.id() == id) {
                    session.fenced_off(host);
                }
            }
            Message::ProcessGone(pid) => {
                if let Some(session) = &mut self.session {
                    session.process_gone(pid);
                }
            }
        }
    }

    fn liveset(&self) -> Liveset {
        self.session.as_ref().map_or_else(Liveset::off, Session::liveset)
    }

    fn tell_subscribers(&mut self) {
        if self.subscribers.is_empty() {
            return;
        }
        let liveset = self.liveset();
        self.subscribers.retain(|subscriber| {
            subscriber.send(Response::Liveset(Box::new(liveset.clone()))).is_ok()
        });
    }

    fn request(&mut self, request: Request, reply: Sender<Response>) {
        let off = || Lease { epoch: 0, act: false, act_until_ns: 0 };
        let response = match request {
            Request::Start(config) => return self.start(*config, reply),
            Request::Rejoin => return self.rejoin(reply),
            Request::Stop => return self.stop(reply),
            Request::QueryLiveset => Response::Liveset(Box::new(self.liveset())),
            Request::Subscribe => {
                self.subscribers.push(reply.clone());
                Response::Liveset(Box::new(self.liveset()))
            }
            Request::AgentLease { pid } => {
                if let Some(session) = &mut self.session {
                    session.agent_lease(pid);
                }
                Response::Lease(self.session.as_ref().map_or_else(off, Session::lease))
            }
            Request::CheckLease => {
                Response::Lease(self.session.as_ref().map_or_else(off, Session::lease))
            }
            other => return self.control(other, reply),
        };
        let _client_gone = reply.send(response);
    }

    /// Requests that the running session answers.
    fn control(&mut self, request: Request, reply: Sender<Response>) {
        let Some(session) = &mut self.session else {
            let _client_gone = reply.send(refusal(RefusedKind::WrongState, "nothing runs here"));
            return;
        };
        let unknown = "no such host in this session";
        let control = match request {
            Request::ProposeMaster => Control::ProposeMaster,
            Request::GiveUpMastership { to: None } => Control::GiveUpMastership(None),
            Request::GiveUpMastership { to: Some(uuid) } => match session.slot(uuid) {
                Some(slot) => Control::GiveUpMastership(Some(slot)),
                None => {
                    let _gone = reply.send(refusal(RefusedKind::BadRequest, unknown));
                    return;
                }
            },
            Request::DeclareDead { host } => match session.slot(host) {
                Some(slot) => Control::DeclareDead(slot),
                None => {
                    let _gone = reply.send(refusal(RefusedKind::BadRequest, unknown));
                    return;
                }
            },
            Request::ReleaseBrake => Control::ReleaseBrake,
            Request::DisarmFencing { force } => Control::Disarm { force },
            Request::SetExcluded => Control::Leave,
            Request::ClearExcluded if session.phase() == Phase::Disarmed => {
                return self.rejoin(reply);
            }
            Request::ClearExcluded => Control::Stay,
            Request::SetPoolState { state } => match state {
                PoolState::Active => Control::SetMode(Mode::Disk),
                PoolState::OffPending => Control::SetMode(Mode::OffPending),
                PoolState::Off => Control::SetMode(Mode::Off),
                PoolState::Init => {
                    let why = "the initial state is written by preparing the statefile";
                    let _gone = reply.send(refusal(RefusedKind::BadRequest, why));
                    return;
                }
            },
            _ => return,
        };
        session.control(control, reply);
    }

    fn idle(&self) -> bool {
        let phase = self.session.as_ref().map_or(Phase::Off, Session::phase);
        matches!(phase, Phase::Off | Phase::Disarmed)
    }

    fn start(&mut self, mut config: StartConfig, reply: Sender<Response>) {
        if !self.idle() {
            let why = "a session runs already";
            let _client_gone = reply.send(refusal(RefusedKind::WrongState, why));
            return;
        }
        config.fresh |= self.session.as_ref().is_some_and(Session::left_empty);
        self.session = None;
        if !self.prepared {
            self.prepared = true;
            for refused in realtime::prepare() {
                note(&self.around, "not-real-time", &refused);
            }
        }
        let id = self.next_session;
        self.next_session += 1;
        match Session::start(id, config.clone(), self.around.clone()) {
            Ok(mut session) => {
                session.control(Control::Started, reply);
                self.last_config = Some(config);
                self.session = Some(session);
            }
            Err(refused) => {
                let _client_gone = reply.send(Response::Refused(refused));
            }
        }
    }

    fn rejoin(&mut self, reply: Sender<Response>) {
        match self.last_config.clone() {
            Some(config) => {
                let agent_pid = self.session.as_ref().map_or(config.agent_pid, Session::agent);
                self.start(StartConfig { form: false, agent_pid, ..config }, reply);
            }
            None => {
                let why = "no session has run here to rejoin";
                let _client_gone = reply.send(refusal(RefusedKind::WrongState, why));
            }
        }
    }

    fn stop(&mut self, reply: Sender<Response>) {
        let phase = self.session.as_ref().map_or(Phase::Off, Session::phase);
        let response = match phase {
            Phase::Armed | Phase::Fencing => {
                let why = "this host is armed; switch HA off, exclude it or disarm it first";
                refusal(RefusedKind::WrongState, why)
            }
            Phase::Waiting => {
                if let Some(session) = &mut self.session {
                    let (unheard, _) = std::sync::mpsc::channel();
                    session.control(Control::Leave, unheard);
                }
                self.session = None;
                Response::Done
            }
            Phase::Off | Phase::Starting | Phase::Disarmed => {
                self.session = None;
                Response::Done
            }
        };
        let _client_gone = reply.send(response);
        self.tell_subscribers();
    }
}
