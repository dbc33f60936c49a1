//! When two situations are the same: a fingerprint of all that decides what may follow.
//!
//! Everything that the rules or the properties look at goes in, dates as ages and sequences as
//! ranks (see the fingerprint of a node). Left out are the number of the tick and the lag of
//! a clock, which nothing depends on, the numbers of cycles (a host has one in flight for each
//! statefile), and the story so far except the views it has decided.

use std::hash::{Hash, Hasher};

use super::setup::Setup;
use super::state::{Host, Job, Mail, State, Statefile};
use super::truth::{Dated, Truth};
use crate::heartbeat::node::{Frame, Ranks};

/// A hash of 128 bits: of ten million situations two differing ones share theirs with a chance
/// of one in 10^24.
#[derive(Debug)]
pub struct Wide {
    one: u64,
    two: u64,
}

impl Default for Wide {
    fn default() -> Self {
        Wide { one: 0x9E37_79B9_7F4A_7C15, two: 0xC2B2_AE3D_27D4_EB4F }
    }
}

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    (product as u64) ^ (product >> 64) as u64
}

impl Wide {
    /// Both halves.
    pub fn value(&self) -> u128 {
        let one = fold(self.one ^ 0xD6E8_FEB8_6659_FD93, self.two | 1);
        let two = fold(self.two ^ 0xA076_1D64_78BD_642F, self.one | 1);
        u128::from(one) << 64 | u128::from(two)
    }
}

impl Hasher for Wide {
    fn finish(&self) -> u64 {
        self.value() as u64
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, n: u8) {
        self.write_u64(u64::from(n));
    }

    fn write_u16(&mut self, n: u16) {
        self.write_u64(u64::from(n));
    }

    fn write_u32(&mut self, n: u32) {
        self.write_u64(u64::from(n));
    }

    fn write_u64(&mut self, n: u64) {
        self.one = fold(self.one ^ n, 0xE703_7ED1_A0B4_28DB).wrapping_add(n);
        self.two = fold(self.two.rotate_left(23) ^ n, 0x8EBC_6AF0_9C88_C6E3) ^ self.one;
    }

    fn write_usize(&mut self, n: usize) {
        self.write_u64(n as u64);
    }
}

/// The fingerprint of a situation.
pub fn fingerprint(setup: &Setup, state: &State) -> u128 {
    let hosts = state.hosts.len();
    let writes = (0..hosts).map(|host| state.writes(host)).collect();
    let ranks = Ranks::new(hosts);
    let same = Same { state, ranks, writes, cap: Frame::oldest(&setup.timing()) };
    same.all(&mut Nothing);
    same.ranks.collected();
    let mut out = Wide::default();
    same.all(&mut out);
    out.value()
}

/// Hears nothing: for the first pass, which collects.
struct Nothing;

impl Hasher for Nothing {
    fn finish(&self) -> u64 {
        0
    }

    fn write(&mut self, _bytes: &[u8]) {}
}

struct Same<'a> {
    state: &'a State,
    ranks: Ranks,
    writes: Vec<Vec<u64>>,
    cap: u64,
}

impl Same<'_> {
    fn all<H: Hasher>(&self, out: &mut H) {
        let state = self.state;
        (state.open, state.links, state.net, state.all_cut).hash(out);
        (state.lossy, state.slow_links, state.left, &state.chain).hash(out);
        for (number, host) in state.hosts.iter().enumerate() {
            self.host(number, host, out);
        }
        for (number, disk) in state.disks.iter().enumerate() {
            self.statefile(number, disk, out);
        }
        for mail in state.mail.iter().chain(&state.later) {
            mail.len().hash(out);
            mail.iter().for_each(|mail| self.mail(mail, out));
        }
    }

    /// As seen by the clock of a host.
    fn frame(&self, host: usize) -> Frame<'_> {
        let (now, cap) = (self.state.clock(host), self.cap);
        Frame { now, cap, ranks: &self.ranks, writes: &self.writes }
    }

    fn host<H: Hasher>(&self, number: usize, it: &Host, out: &mut H) {
        let Host {
            boot,
            alive,
            paused,
            disk_cut,
            lag: _,
            node,
            watchdog,
            leased,
            epoch,
            kept,
            keeping,
            jobs,
            late,
            truth,
            writes: _,
            done,
        } = it;
        let frame = self.frame(number);
        (boot, alive, paused, disk_cut, leased, epoch, done).hash(out);
        (watchdog.map(|end| frame.left(end)), self.left(*late), kept).hash(out);
        keeping.len().hash(out);
        keeping.iter().for_each(|(_, what)| what.hash(out));
        jobs.len().hash(out);
        jobs.iter().for_each(|job| self.job(number, job, out));
        self.truth(number, truth, out);
        node.is_some().hash(out);
        if let Some(node) = node {
            node.fingerprint(&frame, out);
        }
    }

    fn left(&self, tick: Option<u64>) -> Option<u64> {
        tick.map(|tick| tick.saturating_sub(self.state.tick))
    }

    fn job<H: Hasher>(&self, host: usize, job: &Job, out: &mut H) {
        let Job { boot, id: _, disk, begun, beat, decision, own_before, written, lands_by } = job;
        let frame = self.frame(host);
        let lands_by = self.left(Some(*lands_by).filter(|by| *by > 0));
        (boot, disk, frame.age(*begun), frame.ages(*written), lands_by).hash(out);
        for report in [beat, own_before] {
            report.is_some().hash(out);
            if let Some(report) = report {
                frame.report(host, report, 0, out);
            }
        }
        decision.is_some().hash(out);
        if let Some(decision) = decision {
            frame.decision(host, *disk, decision, out);
        }
    }

    /// A date on the clock of a host, in whichever of its boots.
    fn dated(&self, host: usize, date: Option<Dated>) -> Option<(u32, u64)> {
        date.map(|date| (date.boot, self.frame(host).age(date.at)))
    }

    fn truth<H: Hasher>(&self, host: usize, truth: &Truth, out: &mut H) {
        let Truth { taken, trip, lost, cycle } = truth;
        for other in 0..self.state.hosts.len() {
            self.dated(other, taken[other]).hash(out);
            (self.dated(host, trip[other]), self.dated(host, lost[other])).hash(out);
        }
        cycle.iter().for_each(|date| self.frame(host).ages(*date).hash(out));
    }

    fn mail<H: Hasher>(&self, mail: &Mail, out: &mut H) {
        let Mail { from, sent, proof, packet } = mail;
        (from, self.dated(*from, Some(*sent)), proof.lost).hash(out);
        for (other, date) in proof.taken.iter().enumerate().take(self.state.hosts.len()) {
            self.dated(other, *date).hash(out);
        }
        self.frame(*from).report(*from, &packet.report, 0, out);
        (&packet.view, &packet.bid, &packet.vote).hash(out);
    }

    fn statefile<H: Hasher>(&self, number: usize, disk: &Statefile, out: &mut H) {
        for (host, beat) in disk.beats.iter().enumerate() {
            beat.is_some().hash(out);
            if let Some(beat) = beat {
                self.frame(host).report(host, beat, 0, out);
            }
        }
        for (host, copies) in disk.decisions.iter().enumerate() {
            // Which copy is the next is known by its number: the newer one goes first.
            let mut copies: Vec<_> = copies.iter().flatten().collect();
            copies.sort_by_key(|copy| std::cmp::Reverse(copy.writes));
            copies.len().hash(out);
            copies.iter().for_each(|copy| self.frame(host).decision(host, number, copy, out));
        }
    }
}
