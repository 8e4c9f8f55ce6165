//! Random numbers that are the same in every run.

/// Numbers from a seed, by a linear congruential generator.
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Those of that seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next one, below that.
    pub const fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }
}
