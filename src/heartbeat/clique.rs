//! Which hosts stay together: the largest set in which everybody reaches everybody (R3.3).

use super::view::Slot;

/// How many steps the exact search may take before a fixed greedy answer is used.
const BUDGET: usize = 200_000;

/// The best fully connected set of `nodes` (sorted): the largest, then the heaviest, then the
/// one with the lowest slots. Exact within a budget of steps, then a fixed greedy answer, so
/// that equal inputs give equal answers everywhere.
pub fn best_set(
    nodes: &[Slot],
    connected: impl Fn(Slot, Slot) -> bool,
    weight: impl Fn(Slot) -> u64,
) -> Vec<Slot> {
    let mut search =
        Search { nodes, connected: &connected, weight: &weight, best: None, left: BUDGET };
    let mut chosen = Vec::new();
    search.extend(0, &mut chosen);
    search.best.map(|(set, _)| set).unwrap_or_default()
}

struct Search<'a, C, W> {
    nodes: &'a [Slot],
    connected: &'a C,
    weight: &'a W,
    best: Option<(Vec<Slot>, u64)>,
    left: usize,
}

impl<C: Fn(Slot, Slot) -> bool, W: Fn(Slot) -> u64> Search<'_, C, W> {
    /// Tries every set in the order of its lowest slots: the first of equals stays. The first
    /// descent always takes the next node that fits, which is the greedy answer.
    fn extend(&mut self, from: usize, chosen: &mut Vec<Slot>) {
        if self.left == 0 {
            return;
        }
        self.left -= 1;
        let best_len = self.best.as_ref().map_or(0, |(set, _)| set.len());
        if chosen.len() + (self.nodes.len() - from) < best_len {
            return;
        }
        let weight = chosen.iter().map(|slot| (self.weight)(*slot)).sum();
        let better = match &self.best {
            None => !chosen.is_empty(),
            Some((set, heaviest)) => (chosen.len(), weight) > (set.len(), *heaviest),
        };
        if better {
            self.best = Some((chosen.clone(), weight));
        }
        for next in from..self.nodes.len() {
            let node = self.nodes[next];
            if chosen.iter().all(|other| (self.connected)(*other, node)) {
                chosen.push(node);
                self.extend(next + 1, chosen);
                chosen.pop();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(numbers: &[u16]) -> Vec<Slot> {
        numbers.iter().map(|n| Slot(*n)).collect()
    }

    fn best(count: u16, cut: &[(u16, u16)], weights: &[u64]) -> Vec<Slot> {
        let nodes = slots(&(0..count).collect::<Vec<_>>());
        let connected = |a: Slot, b: Slot| !cut.contains(&(a.0, b.0)) && !cut.contains(&(b.0, a.0));
        best_set(&nodes, connected, |slot| weights.get(slot.index()).copied().unwrap_or(0))
    }

    #[test]
    fn size_wins_then_weight_then_the_lowest_uuid() {
        assert_eq!(best(3, &[], &[]), slots(&[0, 1, 2]));
        assert_eq!(best(3, &[(0, 1), (0, 2)], &[9, 0, 0]), slots(&[1, 2]));
        assert_eq!(best(2, &[(0, 1)], &[]), slots(&[0]));
        assert_eq!(best(2, &[(0, 1)], &[0, 1]), slots(&[1]));
        assert_eq!(best(3, &[(0, 2)], &[]), slots(&[0, 1]));
        let halves = [(0, 1), (0, 3), (2, 1), (2, 3)];
        assert_eq!(best(4, &halves, &[]), slots(&[0, 2]));
        assert_eq!(best(4, &halves, &[0, 1, 0, 0]), slots(&[1, 3]));
    }

    #[test]
    fn the_budget_bounds_the_work_and_leaves_an_answer() {
        let cut: Vec<(u16, u16)> = (0..16).map(|n| (2 * n, 2 * n + 1)).collect();
        assert_eq!(best(32, &cut, &[]).len(), 16);
    }
}
