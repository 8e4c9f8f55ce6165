//! Random numbers that are the same in every run.

/// Numbers from a seed, by a linear congruential generator.
#[derive(Debug, Clone)]
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

    /// A version made of one to eight of those pieces.
    pub fn version(&mut self, pieces: &[&str]) -> String {
        (0..=self.below(8)).map(|_| pieces[self.below(pieces.len())]).collect()
    }

    /// The text with one piece put in, or one byte of ASCII taken out.
    pub fn mutated(&mut self, text: &str, pieces: &[&str]) -> String {
        let places: Vec<usize> = (0..text.len()).filter(|at| text.is_char_boundary(*at)).collect();
        let at = places[self.below(places.len())];
        let (before, behind) = text.split_at(at);
        if self.below(2) == 0 && text.len() > 1 && behind.as_bytes()[0].is_ascii() {
            return format!("{before}{}", &behind[1..]);
        }
        format!("{before}{}{behind}", pieces[self.below(pieces.len())])
    }

    /// Pairs of versions made of those pieces: the one of half of them is made of the other
    /// by a change.
    pub fn pairs(&mut self, count: usize, pieces: &[&str]) -> Vec<(String, String)> {
        let mut pairs = Vec::with_capacity(count);
        for number in 0..count {
            let a = self.version(pieces);
            let b = match number % 2 {
                0 => self.version(pieces),
                _ => self.mutated(&a, pieces),
            };
            pairs.push((a, b));
        }
        pairs
    }
}
