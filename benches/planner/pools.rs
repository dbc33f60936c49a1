//! Pools by rule and seed: sizes, loads, and the load at which an answer changes.

use xe::plan::{Budget, Host, Outcome, Problem, Vm, tolerates};

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// How large VMs are.
#[derive(Clone, Copy, PartialEq)]
pub enum Sizes {
    /// Any number of MiB from 512 to 16 Ki.
    Uniform,
    /// Many small ones and few that are fifty times as large.
    Heavy,
    /// 1, 2, 4, 8 or 16 GiB.
    Classes,
}

pub const SIZES: [Sizes; 3] = [Sizes::Uniform, Sizes::Heavy, Sizes::Classes];

impl Sizes {
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Heavy => "heavy-tailed",
            Self::Classes => "classes",
        }
    }

    fn draw(self, random: &mut Random) -> u64 {
        match self {
            Self::Uniform => MIB * (512 + random.next() % 15_872),
            Self::Heavy => {
                let tail = (1.0 - random.unit() * 0.98).powf(0.9);
                (GIB as f64 * 0.5 / tail) as u64 / MIB * MIB
            }
            Self::Classes => GIB << (random.next() % 5),
        }
    }
}

/// Numbers that only depend on the seed.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        let mut random = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..8).for_each(|_| _ = random.next());
        random
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// VMs with their hosts, and what each host must hold at least.
pub struct Seeded {
    hosts: usize,
    vms: Vec<(u64, usize)>,
    used: Vec<u64>,
}

impl Seeded {
    /// Each VM goes to the emptier of two hosts.
    pub fn new(hosts: usize, vms: usize, sizes: Sizes, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let mut used = vec![0; hosts];
        let place = |_| {
            let size = sizes.draw(&mut random);
            let mut host = || (random.next() % hosts as u64) as usize;
            let (a, b) = (host(), host());
            let host = if used[a] <= used[b] { a } else { b };
            used[host] += size;
            (size, host)
        };
        let vms = (0..vms).map(place).collect();
        Self { hosts, vms, used }
    }

    /// The pool on equal hosts of which VMs use this part; one that holds more than that is full.
    pub fn at(&self, load: f64) -> Problem {
        let all: u64 = self.used.iter().sum();
        let total = (all as f64 / load / self.hosts as f64) as u64;
        let host = |host: usize| Host {
            id: format!("host-{host}"),
            total: total.max(self.used[host]),
            free: total.saturating_sub(self.used[host]),
            enabled: true,
            ..Host::default()
        };
        let vm = |(index, (memory, host)): (usize, &(u64, usize))| Vm {
            id: format!("vm-{index}"),
            memory: *memory,
            host: Some(*host),
            protected: true,
            ..Vm::default()
        };
        let vms = self.vms.iter().enumerate().map(vm).collect();
        Problem { hosts: (0..self.hosts).map(host).collect(), vms, ..Problem::default() }
    }

    /// About the largest load at which `r` failures are tolerated.
    pub fn edge(&self, r: usize) -> f64 {
        let (mut yes, mut no) = (0.3, 0.999);
        let budget = Budget::steps(4_000_000);
        for _ in 0..9 {
            let middle = f64::midpoint(yes, no);
            match tolerates(&self.at(middle), r, &budget) {
                Outcome::Yes { .. } => yes = middle,
                Outcome::No(_) | Outcome::NotProved { .. } => no = middle,
            }
        }
        yes
    }
}
