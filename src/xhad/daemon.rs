//! The daemon's one loop: packets, disk cycles, requests, time.

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::mpsc::{SyncSender, sync_channel};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::control::{
    Lease, Liveset, Mode, Phase, PoolState, Refused, RefusedKind, Request, Response, SOCKET,
    StartConfig,
};
use super::history::History;
use super::inbox::{self, Message, Outbox};
use super::session::{Session, Surroundings};
use super::wakes::Wakes;
use super::{marker, rehearsal, server, start, storm};
use crate::heartbeat::node::{Control, MOST_LINKS};
use crate::host::clock::boottime_ns;
use crate::host::faults::Faults;
use crate::host::{arena, boot_id, pages, realtime, watchdog};

/// The daemon.
struct Daemon {
    around: Surroundings,
    outbox: Outbox,
    session: Option<Session>,
    last_config: Option<StartConfig>,
    subscribers: Vec<SyncSender<Response>>,
    next_session: u64,
    /// What this daemon lacks to keep its times under load.
    lacks: Vec<String>,
    wakes: Wakes,
}

/// What has woken the loop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Rung {
    bell: bool,
    links: [bool; MOST_LINKS],
}

/// Runs the daemon of a state directory; returns only when it cannot run.
pub fn run(state_dir: PathBuf) -> anyhow::Result<()> {
    arena::share();
    std::fs::create_dir_all(&state_dir)?;
    let (inbox, outbox) = inbox::pair()?;
    let faults = Faults::from_environment();
    let history = History::open(&state_dir);
    let around = Surroundings { state_dir, faults, inbox, history };
    finish_old_session(&around)?;
    let socket = around.state_dir.join(SOCKET);
    let lacks = prepare(&around.history);
    server::listen(&socket, around.inbox.clone(), around.history.clone())?;
    let mut daemon = Daemon {
        around,
        outbox,
        session: None,
        last_config: None,
        subscribers: Vec::new(),
        next_session: 1,
        lacks,
        wakes: Wakes::default(),
    };
    loop {
        daemon.turn()?;
    }
}

/// Locks what is in use, and has everything used once that must not be cold later; gives what is
/// missing to keep times.
fn prepare(history: &History) -> Vec<String> {
    pages::forget_startup();
    let tried = [realtime::lock_memory(), realtime::round_robin(realtime::LOOP)];
    let lacks: Vec<String> = tried.into_iter().filter_map(Result::err).collect();
    for why in &lacks {
        history.note("not-real-time", why);
    }
    if let Err(why) = rehearsal::run() {
        history.note("rehearsal-failed", &why);
    }
    lacks
}

/// R5.5: a daemon that starts in a boot with an unfinished armed session resets the host.
fn finish_old_session(around: &Surroundings) -> anyhow::Result<()> {
    let Some(mark) = marker::read(&around.state_dir) else { return Ok(()) };
    if mark.boot_id != boot_id::current(&around.faults)? {
        // Another boot: the watchdog or the operator has ended that session.
        storm::add(&around.state_dir, History::last(&around.state_dir).as_ref());
        let why = "the last armed session of this host ended with its boot";
        around.history.note("was-reset", why);
        marker::clear(&around.state_dir);
        return Ok(());
    }
    let why = "an armed session of this boot did not end cleanly";
    around.history.note("reset", why);
    around.history.flush(std::time::Duration::from_millis(100));
    if let Ok(mut dog) = watchdog::open(&mark.watchdog) {
        dog.reset_now();
    }
    anyhow::bail!("{why}; the watchdog resets the host")
}

fn refusal(kind: RefusedKind, sentence: &str) -> Response {
    Response::Refused(Refused { kind, sentence: sentence.to_owned() })
}

impl Daemon {
    fn turn(&mut self) -> anyhow::Result<()> {
        let rung = self.wait()?;
        if let Some(session) = &mut self.session {
            for (link, _) in rung.links.iter().enumerate().filter(|(_, rung)| **rung) {
                session.take_packet(link);
            }
        }
        if rung.bell {
            self.outbox.hush();
            while let Some(message) = self.outbox.next() {
                self.take(message);
            }
        }
        if let Some(session) = &mut self.session
            && boottime_ns() >= session.wake()
        {
            session.tick();
        }
        if self.session.as_mut().is_some_and(|session| session.take_after().changed) {
            self.tell_subscribers();
        }
        Ok(())
    }

    /// Waits for a message, a packet or the time of the next step; the room for the question
    /// is on the stack.
    fn wait(&mut self) -> anyhow::Result<Rung> {
        let wake = self.session.as_ref().map(Session::wake);
        let asked = boottime_ns();
        let left = wake.map(|wake| wake.saturating_sub(asked));
        let timeout = left.map(|left| Timespec {
            tv_sec: (left / 1_000_000_000) as _,
            tv_nsec: (left % 1_000_000_000) as _,
        });
        let links = self.session.as_ref().map_or(&[][..], Session::links);
        let bell = self.outbox.bell();
        let mut files: [PollFd<'_>; MOST_LINKS + 1] = std::array::from_fn(|place| {
            let link = place.checked_sub(1).and_then(|link| links.get(link));
            let file = link.map_or(bell, |link| link.socket().as_fd());
            PollFd::from_borrowed_fd(file, PollFlags::IN)
        });
        let mut rung = Rung::default();
        match poll(&mut files[..=links.len()], timeout.as_ref()) {
            Ok(_) => {
                let ready = |file: &PollFd<'_>| !file.revents().is_empty();
                rung.bell = ready(&files[0]);
                for (place, file) in rung.links.iter_mut().zip(&files[1..=links.len()]) {
                    *place = ready(file);
                }
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some(wake) = wake.filter(|wake| *wake > asked) {
            self.woken(wake);
        }
        Ok(rung)
    }

    /// Measures how late the loop woke, whatever woke it.
    fn woken(&mut self, wanted: u64) {
        let now = boottime_ns();
        let late = self.wakes.take(wanted, now);
        let Some(beat) = self.session.as_ref().map(Session::beat) else { return };
        if self.wakes.tells(now, late, beat) {
            let why = format!("the daemon woke {} ms too late", late / 1_000_000);
            self.around.history.note("woken-late", &why);
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
        let mut liveset = self.session.as_ref().map_or_else(Liveset::off, Session::liveset);
        liveset.not_real_time.clone_from(&self.lacks);
        liveset.worst_wake_ms = self.wakes.worst() / 1_000_000;
        liveset
    }

    fn tell_subscribers(&mut self) {
        if self.subscribers.is_empty() {
            return;
        }
        let liveset = self.liveset();
        self.subscribers.retain(|subscriber| {
            subscriber.try_send(Response::Liveset(Box::new(liveset.clone()))).is_ok()
        });
    }

    fn request(&mut self, request: Request, reply: SyncSender<Response>) {
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
        let _client_gone = reply.try_send(response);
    }

    /// Requests that the running session answers.
    fn control(&mut self, request: Request, reply: SyncSender<Response>) {
        let Some(session) = &mut self.session else {
            let _client_gone =
                reply.try_send(refusal(RefusedKind::WrongState, "nothing runs here"));
            return;
        };
        let unknown = "no such host in this session";
        let control = match request {
            Request::ProposeMaster => Control::ProposeMaster,
            Request::GiveUpMastership { to: None } => Control::GiveUpMastership(None),
            Request::GiveUpMastership { to: Some(uuid) } => match session.slot(uuid) {
                Some(slot) => Control::GiveUpMastership(Some(slot)),
                None => {
                    let _gone = reply.try_send(refusal(RefusedKind::BadRequest, unknown));
                    return;
                }
            },
            Request::DeclareDead { host } => match session.slot(host) {
                Some(slot) => Control::DeclareDead(slot),
                None => {
                    let _gone = reply.try_send(refusal(RefusedKind::BadRequest, unknown));
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
                    let _gone = reply.try_send(refusal(RefusedKind::BadRequest, why));
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

    fn start(&mut self, config: StartConfig, reply: SyncSender<Response>) {
        if !self.idle() {
            let why = "a session runs already";
            let _client_gone = reply.try_send(refusal(RefusedKind::WrongState, why));
            return;
        }
        if let Err(refused) = start::check_real_time(&config, &self.lacks) {
            let _client_gone = reply.try_send(Response::Refused(refused));
            return;
        }
        self.session = None;
        let id = self.next_session;
        self.next_session += 1;
        match Session::start(id, config.clone(), self.around.clone()) {
            Ok(mut session) => {
                session.control(Control::Started, reply);
                self.last_config = Some(config);
                self.session = Some(session);
            }
            Err(refused) => {
                let _client_gone = reply.try_send(Response::Refused(refused));
            }
        }
    }

    fn rejoin(&mut self, reply: SyncSender<Response>) {
        match self.last_config.clone() {
            Some(config) => self.start(StartConfig { form: false, ..config }, reply),
            None => {
                let why = "no session has run here to rejoin";
                let _client_gone = reply.try_send(refusal(RefusedKind::WrongState, why));
            }
        }
    }

    fn stop(&mut self, reply: SyncSender<Response>) {
        let phase = self.session.as_ref().map_or(Phase::Off, Session::phase);
        let response = match phase {
            Phase::Armed | Phase::Fencing => {
                let why = "this host is armed; switch HA off, exclude it or disarm it first";
                refusal(RefusedKind::WrongState, why)
            }
            Phase::Waiting => {
                if let Some(session) = &mut self.session {
                    let (unheard, _) = sync_channel(1);
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
        let _client_gone = reply.try_send(response);
        self.tell_subscribers();
    }
}
