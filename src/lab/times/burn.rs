//! A small T on a computer whose processors are all busy: nobody may be reset.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::disturb::worst_gap;
use super::rig::{Build, Rig};
use super::trial::load;

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Burn {
    /// How many threads kept the processors busy, at normal priority.
    pub threads: usize,
    /// For how long, in seconds.
    pub seconds: f64,
    /// How many hosts were reset.
    pub fenced: usize,
    /// The worst gap that a host has seen of another, as a share of S.
    pub worst_gap: f64,
    /// What joined the hosts.
    pub network: &'static str,
}

/// Keeps every processor busy for that long beside a rig.
pub fn run(build: &Build, how_long: Duration) -> anyhow::Result<Burn> {
    let threads = std::thread::available_parallelism().map_or(2, |count| count.get());
    let rig = Rig::start(build)?;
    rig.form()?;
    let (end, began) = (AtomicBool::new(false), Instant::now());
    let mut burn =
        Burn { threads, seconds: 0.0, fenced: 0, worst_gap: 0.0, network: rig.network.word() };
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while !end.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
        }
        let mut told = 0;
        while began.elapsed() < how_long && burn.fenced == 0 {
            std::thread::sleep(Duration::from_secs(1).min(how_long));
            burn.worst_gap = burn.worst_gap.max(worst_gap(&rig));
            burn.fenced = rig.resets_but(&[]);
            let minutes = began.elapsed().as_secs() / 60;
            if minutes > told {
                told = minutes;
                eprintln!("{minutes} min: worst gap {:.2} S, load {:.2}", burn.worst_gap, load());
            }
        }
        end.store(true, Ordering::Relaxed);
    });
    burn.seconds = began.elapsed().as_secs_f64();
    Ok(burn)
}

impl Burn {
    /// For scripts.
    pub fn object(&self, build: &Build) -> Value {
        json!({
            "burn": self.threads, "timeout": build.timeout_s, "hosts": build.hosts,
            "seconds": self.seconds, "fenced": self.fenced, "worst_gap_share": self.worst_gap,
            "network": self.network, "load": load(),
        })
    }

    /// For a person.
    pub fn show(&self, build: &Build) -> String {
        format!(
            "T={}, {} hosts, {} busy threads at normal priority for {:.0} s: fenced {}, worst gap \
             {:.2} S, load {:.2}",
            build.timeout_s,
            build.hosts,
            self.threads,
            self.seconds,
            self.fenced,
            self.worst_gap,
            load()
        )
    }
}
