//! Times and the rows of a markdown table.

use std::hint::black_box;
use std::time::{Duration, Instant};

use xe::plan::Outcome;

/// The answer and the median of a few runs; one run when it takes long.
pub fn timed<T>(mut run: impl FnMut() -> T) -> (T, Duration) {
    let once = |run: &mut dyn FnMut() -> T| {
        let began = Instant::now();
        let answer = black_box(run());
        (answer, began.elapsed())
    };
    let (answer, first) = once(&mut run);
    let more = if first > Duration::from_millis(100) { 0 } else { 4 };
    let mut times: Vec<Duration> = (0..more).map(|_| once(&mut run).1).collect();
    times.push(first);
    times.sort_unstable();
    (answer, times[times.len() / 2])
}

/// Milliseconds, with as many digits as mean something.
pub fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        ms if ms >= 100.0 => format!("{ms:.0} ms"),
        ms if ms >= 1.0 => format!("{ms:.1} ms"),
        ms => format!("{ms:.3} ms"),
    }
}

pub fn ratio(theirs: Duration, ours: Duration) -> String {
    format!("{:.2}", theirs.as_secs_f64() / ours.as_secs_f64())
}

pub fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Yes { .. } => "yes",
        Outcome::No(_) => "no",
        Outcome::NotProved { .. } => "given up",
    }
}

pub fn row(cells: &[&str]) {
    println!("| {} |", cells.join(" | "));
}

pub fn head(cells: &[&str]) {
    println!();
    row(cells);
    row(&vec!["---"; cells.len()]);
}

/// The load of the machine, which the times depend on.
pub fn machine() -> String {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    format!("{cpus} CPUs, load {}", load.split(' ').take(3).collect::<Vec<_>>().join(" "))
}
