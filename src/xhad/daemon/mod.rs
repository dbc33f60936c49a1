//! The daemon's one loop: packets, disk cycles, requests, time.

mod ending;
mod requests;

use std::os::fd::AsFd;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::control::{Liveset, Response, SOCKET, StartConfig};
use super::history::History;
use super::inbox::{self, Message, Outbox};
use super::kept::Keeper;
use super::session::{Session, Surroundings};
use super::{agent, marker, rehearsal, server, spawner, storm};
use crate::heartbeat::liveset::Event;
use crate::heartbeat::node::MOST_LINKS;
use crate::heartbeat::recent::Recent;
use crate::heartbeat::timing::Nanos;
use crate::host::clock::boottime_ns;
use crate::host::faults::Faults;
use crate::host::signals::Termination;
use crate::host::system_word::system_word;
use crate::host::{arena, boot_id, confine, pages, privileges, realtime, watchdog};

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
    /// By how much the loop woke after the time that it had asked for: a gap that the scheduler
    /// made is one that no network and no disk explains.
    late: Recent<Nanos>,
    /// The last that was written down of an armed session that ended with an earlier boot.
    last_end: Option<Event>,
    termination: Termination,
    ending: Option<Ending>,
}

/// The daemon was asked to end, and waits until the others know that its host is unarmed.
struct Ending {
    outcome: Receiver<Response>,
    /// When it says that it still waits.
    says_at: Option<u64>,
    /// Whether there is a session to go on with.
    was_armed: bool,
}

/// What has woken the loop.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Rung {
    bell: bool,
    termination: bool,
    links: [bool; MOST_LINKS],
}

/// Runs the daemon of a state directory; returns only when it cannot run.
pub fn run(state_dir: PathBuf) -> anyhow::Result<()> {
    // What needs a process of one thread comes first.
    arena::share();
    std::fs::create_dir_all(&state_dir)?;
    let faults = Faults::from_environment();
    let termination = Termination::take()?;
    let spawner = spawner::fork()?;
    let unprivileged = privileges::give_up();
    let confined = confine::confine();
    let (inbox, outbox) = inbox::pair()?;
    let history = History::open(&state_dir);
    if let Err(error) = unprivileged {
        let why = format!("all privileges are kept: {}", system_word(&error));
        history.note("not-confined", &why);
    }
    if let Err(error) = confined {
        history.note("not-confined", &format!("all system calls are open: {error}"));
    }
    let spawner = spawner.listen()?;
    let keeper = Keeper::start(&state_dir, inbox.clone());
    let watched = agent::Watched::default();
    let around = Surroundings { state_dir, faults, inbox, history, spawner, keeper, watched };
    let last_end = finish_old_session(&around)?;
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
        late: Recent::default(),
        last_end,
        termination,
        ending: None,
    };
    daemon.take_up();
    while !daemon.has_ended() {
        daemon.turn()?;
    }
    daemon.around.history.flush(LAST_WORDS);
    Ok(())
}

/// How long the last lines of the history are waited for.
const LAST_WORDS: Duration = Duration::from_secs(1);

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

/// R5.5: a daemon that starts in a boot with an unfinished armed session resets the host. Of one
/// that ended with its boot it gives the last that was written down.
fn finish_old_session(around: &Surroundings) -> anyhow::Result<Option<Event>> {
    let mark = marker::read(&around.state_dir).map_err(anyhow::Error::msg)?;
    let Some(mark) = mark else { return Ok(None) };
    if mark.boot_id != boot_id::current(&around.faults)? {
        // Another boot: the watchdog or the operator has ended that session.
        let last = History::last(&around.state_dir);
        storm::add(&around.state_dir, last.as_ref(), mark.began_ns);
        let told = last.as_ref().map_or(String::new(), |last| {
            format!("; the last that it wrote down: {}: {}", last.event, last.why)
        });
        let why = format!("the last armed session of this host ended with its boot{told}");
        around.history.note("was-reset", &why);
        marker::clear(&around.state_dir);
        return Ok(last);
    }
    let why = "an armed session of this boot did not end cleanly";
    around.history.note("reset", why);
    around.history.flush(Duration::from_millis(100));
    let told = mark.speaker.is_some_and(|speaker| speaker.speak(&mark.watchdog, &around.faults));
    if told {
        // The last line is what the next boot is told: it has the cause as well.
        let why = format!("{why}; the statefile says that this host ends now");
        around.history.note("reset", &why);
        around.history.flush(Duration::from_millis(20));
    }
    if let Ok(mut dog) = watchdog::open(&mark.watchdog) {
        dog.reset_now();
    }
    anyhow::bail!("{why}; the watchdog resets the host")
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
        if rung.termination && self.termination.asked() {
            self.end();
        }
        if let Some(session) = &mut self.session {
            session.look_around();
            if boottime_ns() >= session.wake() {
                session.tick();
            }
        }
        if self.session.as_ref().is_some_and(Session::may_rejoin) {
            let (unheard, _) = std::sync::mpsc::sync_channel(1);
            self.rejoin(unheard);
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
        let termination = self.termination.file();
        let mut files: [PollFd<'_>; MOST_LINKS + 2] = std::array::from_fn(|place| {
            let link = place.checked_sub(2).and_then(|link| links.get(link));
            let other = if place == 0 { bell } else { termination };
            let file = link.map_or(other, |link| link.socket().as_fd());
            PollFd::from_borrowed_fd(file, PollFlags::IN)
        });
        let mut rung = Rung::default();
        match poll(&mut files[..links.len() + 2], timeout.as_ref()) {
            Ok(_) => {
                let ready = |file: &PollFd<'_>| !file.revents().is_empty();
                (rung.bell, rung.termination) = (ready(&files[0]), ready(&files[1]));
                for (place, file) in rung.links.iter_mut().zip(&files[2..links.len() + 2]) {
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
        let late = now.saturating_sub(wanted);
        self.late.take(now, late);
        let Some(beat) = self.session.as_ref().map(Session::beat) else { return };
        if self.late.tells(now, late > beat) {
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
            Message::FenceDevice(id, slot, life, word) => {
                if let Some(session) = self.session.as_mut().filter(|s| s.id() == id) {
                    session.fence_word(slot, life, word);
                }
            }
            Message::AgentStarted(id, outcome) => {
                if let Some(session) = self.session.as_mut().filter(|s| s.id() == id) {
                    session.agent_started(outcome);
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
        liveset.worst_wake_ms = self.late.worst() / 1_000_000;
        liveset.last_end.clone_from(&self.last_end);
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
}
