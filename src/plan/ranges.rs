//! Which classes of VMs the bounds are asked about: few wide ones, split where they stay open.

use std::collections::VecDeque;

use super::classes::{Class, ClassBound, Coming, Sums};
use super::field::Field;
use super::pack::gcd;
use super::tables::{Table, tables, top};

/// Classes to begin with, for each tie.
const FIRST: usize = 12;

/// The sizes of the VMs that may fail, by tie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sizes {
    /// One of the VMs, and the distinct sizes, smallest first.
    by_tie: Vec<(usize, Vec<u64>)>,
    /// Every size, smallest first, with what it and all larger ones are multiples of.
    grains: Vec<(u64, u64)>,
}

impl Sizes {
    pub fn new(field: &Field, hosts: &[usize]) -> Self {
        let census = &field.census;
        let mut by_tie = vec![(usize::MAX, Vec::new()); census.ties()];
        for vm in hosts.iter().flat_map(|host| &field.load[*host]) {
            let (like, sizes) = &mut by_tie[census.tie(*vm)];
            *like = (*like).min(*vm);
            sizes.push(census.need(*vm).memory);
        }
        for (_, sizes) in &mut by_tie {
            sizes.sort_unstable();
            sizes.dedup();
        }
        let mut all: Vec<u64> = by_tie.iter().flat_map(|(_, sizes)| sizes).copied().collect();
        all.sort_unstable();
        all.dedup();
        let mut grain = 0;
        let mut grains: Vec<(u64, u64)> = Vec::with_capacity(all.len());
        for size in all.into_iter().rev() {
            grain = gcd(grain, size);
            grains.push((size, grain.max(1)));
        }
        grains.reverse();
        Self { by_tie, grains }
    }

    /// Sizes of all ties, smallest first, with their grains.
    pub fn all(&self) -> &[(u64, u64)] {
        &self.grains
    }

    /// What all sizes from this one on are multiples of.
    fn grain(&self, lo: u64) -> u64 {
        let at = self.grains.partition_point(|(size, _)| *size < lo);
        self.grains.get(at).map_or(1, |(_, grain)| *grain)
    }

    fn class(&self, tie: usize, from: usize, to: usize, how: Coming) -> Class {
        let (like, sizes) = &self.by_tie[tie];
        let (lo, hi) = (sizes[from], sizes[to - 1]);
        let grain = if how == Coming::Together { self.grain(lo) } else { self.grain(0) };
        Class { lo, hi, tie, like: *like, grain }
    }
}

/// A class that no bound closes for all sets, with both of its tables.
pub type Open = (Class, [Table; 2]);

/// What the bounds say about all sets of `r` hosts.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Proof {
    pub closed: Vec<(Class, Table)>,
    pub open: Vec<Open>,
}

/// The bound in numbers.
pub fn bound(class: &Class, table: &Table, r: usize) -> ClassBound {
    ClassBound {
        sizes: (class.lo, class.hi),
        like: class.like,
        scale: table.scale,
        worst: top(&table.weights, r),
        limit: table.limit,
    }
}

/// Closes what can be closed. The work is limited: classes that are left wide stay open.
pub fn prove(
    field: &Field,
    hosts: &[usize],
    sums: &Sums,
    sizes: &Sizes,
    (r, how): (usize, Coming),
) -> Proof {
    let mut queue = VecDeque::new();
    for (tie, (_, sizes)) in sizes.by_tie.iter().enumerate() {
        let parts = FIRST.min(sizes.len());
        queue.extend(
            (0..parts)
                .map(|part| (tie, sizes.len() * part / parts, sizes.len() * (part + 1) / parts)),
        );
    }
    let mut looks = (200_000 / hosts.len().max(1)).clamp(48, 400);
    let mut proof = Proof::default();
    while let Some((tie, from, to)) = queue.pop_front() {
        let class = sizes.class(tie, from, to, how);
        let both = tables(field, hosts, sums, &class, how);
        looks = looks.saturating_sub(1);
        if let Some(table) = both.iter().find(|table| top(&table.weights, r) < table.limit) {
            proof.closed.push((class, table.clone()));
        } else if to - from > 1 && looks > queue.len() {
            let middle = usize::midpoint(from, to);
            queue.extend([(tie, from, middle), (tie, middle, to)]);
        } else {
            proof.open.push((class, both));
        }
    }
    proof
}
