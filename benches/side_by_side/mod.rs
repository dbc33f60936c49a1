//! What we do and what bounds it, measured in one run on one machine, with the ratio of the two.

use std::cell::Cell;
use std::time::{Duration, Instant};

use criterion::{BenchmarkGroup, Criterion, measurement::WallTime};

/// Measures the bound and then ours; prints by how much ours takes longer.
pub fn compare(
    criterion: &mut Criterion,
    what: &str,
    (bound_name, mut bound): (&str, impl FnMut()),
    (our_name, mut ours): (&str, impl FnMut()),
) {
    let mut group = criterion.benchmark_group(what);
    group.sample_size(20).measurement_time(Duration::from_secs(3));
    let bound_mean = mean(&mut group, bound_name, &mut bound);
    let our_mean = mean(&mut group, our_name, &mut ours);
    group.finish();
    // Both are missing when criterion was only asked to list or test.
    if let (Some(bound_mean), Some(our_mean)) = (bound_mean, our_mean) {
        println!("ratio: {what}: {our_name} takes {:.2} x {bound_name}", our_mean / bound_mean);
    }
}

fn mean(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    run: &mut impl FnMut(),
) -> Option<f64> {
    let (spent, rounds) = (Cell::new(Duration::ZERO), Cell::new(0));
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|count| {
            let began = Instant::now();
            for _ in 0..count {
                run();
            }
            let took = began.elapsed();
            spent.set(spent.get() + took);
            rounds.set(rounds.get() + count);
            took
        });
    });
    (rounds.get() > 0).then(|| spent.get().as_secs_f64() / rounds.get() as f64)
}
