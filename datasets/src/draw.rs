//! Stateless randomness: every draw is a pure function of a key such as (seed, epoch, sample id, purpose), never
//! of a thread's timing, so that a run may stop anywhere and go on bit for bit the same.

/// A small random number generator, seeded by hashing its key.
///
/// # Reference
/// xoshiro256++ 1.0 (Blackman and Vigna, "Scrambled linear pseudorandom number generators", 2021), its state filled
/// by BLAKE3 of the key.
#[derive(Clone, Debug)]
pub struct Draw {
    state: [u64; 4],
}

impl Draw {
    /// The generator of one key. Equal keys give equal sequences, different keys unrelated ones.
    pub fn new(seed: u64, epoch: u64, id: &str, purpose: &str) -> Self {
        let digest = key_digest(seed, epoch, &[id, purpose]);
        Self { state: digest.map(u64::from_le_bytes) }
    }

    /// The next 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        let s = &mut self.state;
        let result = s[0].wrapping_add(s[3]).rotate_left(23).wrapping_add(s[0]);
        let t = s[1] << 17;
        s[2] ^= s[0];
        s[3] ^= s[1];
        s[1] ^= s[2];
        s[0] ^= s[3];
        s[2] ^= t;
        s[3] = s[3].rotate_left(45);
        result
    }

    /// Uniform in `[0, 1)`.
    pub fn uniform(&mut self) -> f32 {
        (self.next_u64() >> 40) as f32 * (1.0 / (1u32 << 24) as f32)
    }

    /// Uniform between `low` and `high`.
    pub fn range(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.uniform()
    }

    /// Uniform in `0..n`.
    ///
    /// # Panics
    /// If `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        assert!(n > 0, "a draw below 0 does not exist");
        ((self.next_u64() as u128 * n as u128) >> 64) as usize
    }

    /// `k` different numbers below `n`, in the order drawn; all of them when `k >= n`.
    pub fn choose(&mut self, n: usize, k: usize) -> Vec<usize> {
        let mut numbers = (0..n).collect::<Vec<_>>();
        let k = k.min(n);
        for place in 0..k {
            let other = place + self.below(n - place);
            numbers.swap(place, other);
        }
        numbers.truncate(k);
        numbers
    }

    /// True with the given probability.
    pub fn chance(&mut self, probability: f32) -> bool {
        self.uniform() < probability
    }

    /// Two independent draws of the standard normal distribution (Box and Muller, 1958).
    pub fn normal_pair(&mut self) -> (f32, f32) {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        let (sin, cos) = (std::f32::consts::TAU * self.uniform()).sin_cos();
        (radius * cos, radius * sin)
    }
}

/// A permutation of `0..n` that is computed entry by entry, without a table.
///
/// # Reference
/// A Feistel network over the smallest power of 4 that holds `n`, with cycle walking (Black and Rogaway, "Ciphers
/// with arbitrary finite domains", 2002).
#[derive(Clone, Debug)]
pub struct Permutation {
    n: u64,
    half_bits: u32,
    keys: [u64; 6],
}

impl Permutation {
    /// The permutation of `0..n` that belongs to a seed and an epoch.
    pub fn new(n: u64, seed: u64, epoch: u64) -> Self {
        let n_bits = 64 - n.saturating_sub(1).leading_zeros();
        let mut draw = Draw::new(seed, epoch, "", "permutation");
        Self { n, half_bits: n_bits.div_ceil(2).max(1), keys: std::array::from_fn(|_| draw.next_u64()) }
    }

    /// Where the permutation sends `position`.
    ///
    /// # Panics
    /// If `position` is not below `n`.
    pub fn at(&self, position: u64) -> u64 {
        assert!(position < self.n, "position {position} is outside a permutation of {}", self.n);
        let mut value = self.network(position);
        while value >= self.n {
            value = self.network(value);
        }
        value
    }

    fn network(&self, value: u64) -> u64 {
        let mask = (1u64 << self.half_bits) - 1;
        let (mut left, mut right) = (value >> self.half_bits, value & mask);
        for key in self.keys {
            (left, right) = (right, left ^ (mix(right ^ key) & mask));
        }
        left << self.half_bits | right
    }
}

/// The finaliser of splitmix64 (Steele, Lea and Flood, 2014).
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Each part is framed by its length, so that no two keys run into one.
fn key_digest(seed: u64, epoch: u64, parts: &[&str]) -> [[u8; 8]; 4] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes()).update(&epoch.to_le_bytes());
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    let digest = hasher.finalize();
    std::array::from_fn(|i| std::array::from_fn(|k| digest.as_bytes()[i * 8 + k]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn permutation_is_a_bijection(n in 1u64..3000, seed: u64, epoch in 0u64..100) {
            let permutation = Permutation::new(n, seed, epoch);
            let mut seen = vec![false; n as usize];
            for position in 0..n {
                let value = permutation.at(position) as usize;
                prop_assert!(!seen[value], "{} is hit twice", value);
                seen[value] = true;
            }
        }

        #[test]
        fn draws_below_n_stay_below_n(n in 1usize..1000, seed: u64) {
            let mut draw = Draw::new(seed, 0, "a", "b");
            for _ in 0..50 {
                prop_assert!(draw.below(n) < n);
            }
        }
    }

    #[test]
    fn epochs_and_seeds_give_different_orders() {
        let order = |seed, epoch| {
            let permutation = Permutation::new(100, seed, epoch);
            (0..100).map(|i| permutation.at(i)).collect::<Vec<_>>()
        };
        assert_eq!(order(1, 2), order(1, 2));
        assert_ne!(order(1, 2), order(1, 3));
        assert_ne!(order(1, 2), order(2, 2));
        let fixed_points = order(1, 2).iter().enumerate().filter(|(i, v)| *i as u64 == **v).count();
        assert!(fixed_points < 10, "{fixed_points} fixed points of 100");
    }

    #[test]
    fn keys_do_not_run_into_each_other() {
        let first = |id: &str, purpose: &str| Draw::new(0, 0, id, purpose).next_u64();
        assert_ne!(first("ab", "c"), first("a", "bc"));
        assert_eq!(first("ab", "c"), first("ab", "c"));
    }

    #[test]
    fn normal_draws_have_zero_mean_and_unit_variance() {
        let mut draw = Draw::new(3, 0, "", "");
        let values: Vec<f32> = (0..20_000).flat_map(|_| <[f32; 2]>::from(draw.normal_pair())).collect();
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32;
        assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.03, "mean {mean}, variance {variance}");
    }
}
