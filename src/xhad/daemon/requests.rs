//! What clients of the control socket ask for.

use std::sync::mpsc::{SyncSender, sync_channel};

use super::Daemon;
use crate::heartbeat::node::Control;
use crate::xhad::control::{
    Lease, Mode, Phase, PoolState, Refused, RefusedKind, Request, Response, StartConfig,
};
use crate::xhad::session::Session;
use crate::xhad::{start, upgrade};

fn refusal(kind: RefusedKind, sentence: &str) -> Response {
    Response::Refused(Refused { kind, sentence: sentence.to_owned() })
}

impl Daemon {
    pub(super) fn request(&mut self, request: Request, reply: SyncSender<Response>) {
        let off = || Lease { epoch: 0, act: false, act_until_ns: 0, admitted: 0 };
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

    pub(super) fn start(&mut self, mut config: StartConfig, reply: SyncSender<Response>) {
        if !self.idle() {
            let why = "a session runs already";
            let _client_gone = reply.try_send(refusal(RefusedKind::WrongState, why));
            return;
        }
        if let Err(refused) = start::check_real_time(&config, &self.lacks) {
            let _client_gone = reply.try_send(Response::Refused(refused));
            return;
        }
        config.fresh |= self.session.as_ref().is_some_and(Session::left_empty);
        self.session = None;
        upgrade::forget(&self.around.state_dir);
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

    pub(super) fn rejoin(&mut self, reply: SyncSender<Response>) {
        match self.last_config.clone() {
            Some(config) => {
                let agent_pid = self.session.as_ref().map_or(config.agent_pid, Session::agent);
                self.start(StartConfig { form: false, agent_pid, ..config }, reply);
            }
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
