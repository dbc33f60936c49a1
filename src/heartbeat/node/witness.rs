//! The witness as a host sees it: an acceptor beside an even number of others, and the answer to
//! "who is cut off?" where everything else is equal (R3.2, R3.3).

use std::sync::Arc;

use super::Node;
use crate::heartbeat::packet::Packet;
use crate::heartbeat::report::Report;
use crate::heartbeat::timing::Nanos;
use crate::heartbeat::view::Life;
use crate::heartbeat::vote::Vote;

/// What is known of the witness.
#[derive(Debug, Clone, Default)]
pub struct Witness {
    life: Life,
    seq: u64,
    /// When the own packet was sent that its newest echo names.
    pub evidence: Option<Nanos>,
    /// Its newest report.
    pub report: Option<Arc<Report>>,
    /// When that was taken.
    pub report_at: Nanos,
    /// What it has promised and accepted.
    pub vote: Option<Arc<Vote>>,
}

impl Node {
    /// Takes a packet of the witness, whose view has been adopted already.
    pub(super) fn take_witness(&mut self, now: Nanos, packet: &Packet) {
        let report = &packet.report;
        let known = (self.witness.life, self.witness.seq);
        if !self.cfg.acceptors.witness || (report.life, report.seq) <= known {
            return;
        }
        (self.witness.life, self.witness.seq) = (report.life, report.seq);
        self.witness.report = Some(Arc::clone(report));
        self.witness.report_at = now;
        self.witness.vote.clone_from(&packet.vote);
        let echo = report.peers.get(self.me().index());
        let sent = echo.filter(|echo| echo.echo_life == self.life);
        if let Some(date) = sent.and_then(|echo| self.sent_at(echo.echo_seq)) {
            self.witness.evidence = self.witness.evidence.max(Some(date));
        }
        self.after_votes(now);
    }
}
