//! How many members each block of a list has, with prefix sums: a Fenwick tree (P. Fenwick, "A new data structure for
//! cumulative frequency tables", 1994). Changing a count, the total and finding the block of an offset take logarithmic time;
//! 50 million members are 12,208 blocks, so about fourteen steps.

/// Counts by block.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    counts: Vec<u32>,
    /// `tree[i]` is the sum of the counts of the `lowbit(i + 1)` blocks up to `i`.
    tree: Vec<u64>,
}

impl Counts {
    /// Blocks without an entry have no members.
    pub(super) fn new(counts: Vec<u32>) -> Self {
        let mut tree: Vec<u64> = counts.iter().map(|count| u64::from(*count)).collect();
        for i in 0..tree.len() {
            let parent = i | (i + 1);
            if parent < tree.len() {
                tree[parent] += tree[i];
            }
        }
        Self { counts, tree }
    }

    pub(super) fn get(&self, block: u32) -> u32 {
        self.counts.get(block as usize).copied().unwrap_or(0)
    }

    pub(super) fn set(&mut self, block: u32, count: u32) {
        let block = block as usize;
        if block >= self.counts.len() {
            if count == 0 {
                return;
            }
            let mut counts = std::mem::take(&mut self.counts);
            // Grow by half, so that a growing list is not built anew for every block.
            counts.resize((block + 1).max(counts.len() * 3 / 2), 0);
            *self = Self::new(counts);
        }
        let before = u64::from(std::mem::replace(&mut self.counts[block], count));
        let mut i = block;
        while let Some(sum) = self.tree.get_mut(i) {
            *sum = *sum - before + u64::from(count);
            i |= i + 1;
        }
    }

    /// Members of all blocks.
    pub(super) fn total(&self) -> u64 {
        self.before(self.counts.len() as u32)
    }

    /// Members of the blocks before this one.
    pub(super) fn before(&self, block: u32) -> u64 {
        let (mut i, mut sum) = ((block as usize).min(self.tree.len()), 0);
        while i > 0 {
            sum += self.tree[i - 1];
            i &= i - 1;
        }
        sum
    }

    /// The block that holds the member with `offset` members before it, and how many of these are in the same block.
    pub(super) fn find(&self, offset: u64) -> Option<(u32, u32)> {
        let (mut at, mut rest) = (0, offset);
        let mut step = self.tree.len().checked_next_power_of_two().unwrap_or(0);
        while step > 0 {
            if let Some(sum) = self.tree.get(at + step - 1)
                && *sum <= rest
            {
                rest -= sum;
                at += step;
            }
            step /= 2;
        }
        (at < self.counts.len()).then_some((at as u32, rest as u32))
    }

    /// The first block from this one on that has members.
    pub(super) fn next(&self, block: u32) -> Option<u32> {
        self.find(self.before(block)).map(|(block, _)| block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn prefix_sums_agree_with_adding(
            start in prop::collection::vec(0..4_u32, 0..20),
            changes in prop::collection::vec((0..40_u32, 0..4_u32), 0..20),
        ) {
            let mut counts = Counts::new(start.clone());
            let mut model = start;
            for (block, count) in changes {
                counts.set(block, count);
                if model.len() <= block as usize {
                    model.resize(block as usize + 1, 0);
                }
                model[block as usize] = count;
            }
            let members: Vec<(u32, u32)> = (0..).zip(&model).flat_map(|(b, n)| (0..*n).map(move |r| (b, r))).collect();
            prop_assert_eq!(counts.total(), members.len() as u64);
            for (offset, member) in members.iter().enumerate() {
                prop_assert_eq!(counts.find(offset as u64), Some(*member));
            }
            prop_assert_eq!(counts.find(members.len() as u64), None);
            for block in 0..45 {
                let sum: u32 = model.iter().take(block as usize).sum();
                prop_assert_eq!(counts.before(block), u64::from(sum));
                prop_assert_eq!(counts.get(block), model.get(block as usize).copied().unwrap_or(0));
                let next = members.iter().map(|(b, _)| *b).find(|b| *b >= block);
                prop_assert_eq!(counts.next(block), next);
            }
        }
    }
}
