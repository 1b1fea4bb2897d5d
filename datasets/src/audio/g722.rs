//! G.722, the wide-band codec of telephony: two bytes' worth of samples in every byte, no header.

use super::{AudioError, Waveform};

const RATE_HZ: u32 = 16_000;

// The tables of the recommendation: inverse quantisers of 6, 4 and 2 bits, the scale factors' logarithms and steps, and
// the synthesis filter.
const QUANTISER_6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232, -9360,
    -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776, -2400, -2032, -1688,
    -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280, 11192, 10232, 9360, 8576, 7856,
    7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776, 2400, 2032, 1688, 1360, 1040, 728, 432, 136,
    -432, -136,
];
const QUANTISER_4: [i32; 16] =
    [0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584, 1200, 0];
const QUANTISER_2: [i32; 4] = [-7408, -1616, 7408, 1616];
const LOW_STEPS: [i32; 16] =
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];
const HIGH_STEPS: [i32; 4] = [798, -214, 798, -214];
const POWERS: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834, 2896,
    2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];
const SYNTHESIS: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];
const RECONSTRUCTED_MAX: i32 = 16_383;

/// Decodes G.722 at 64 kbit/s: a byte is two samples at 16 kHz.
///
/// # Errors
/// An empty file. Any byte is a valid code, so that nothing else can be wrong.
///
/// # Reference
/// ITU-T Recommendation G.722 (09/2012), sections 4 to 6.
pub fn decode_g722(bytes: &[u8]) -> Result<Waveform, AudioError> {
    if bytes.is_empty() {
        return Err(AudioError::Empty);
    }
    let (mut low, mut high) = (Band::new(32), Band::new(8));
    let mut history = [0i32; 24];
    let mut samples = Vec::with_capacity(bytes.len() * 2);
    for &byte in bytes {
        let (low_code, high_code) = (usize::from(byte & 0x3f), usize::from(byte >> 6));
        let whole = low.predicted + ((low.scale * QUANTISER_6[low_code]) >> 15);
        let low_sample = whole.clamp(-RECONSTRUCTED_MAX - 1, RECONSTRUCTED_MAX);
        let coarse = low_code >> 2;
        low.adapt((low.scale * QUANTISER_4[coarse]) >> 15);
        low.rescale(LOW_STEPS[coarse], 18_432, 8);

        let difference = (high.scale * QUANTISER_2[high_code]) >> 15;
        let high_sample = (high.predicted + difference).clamp(-RECONSTRUCTED_MAX - 1, RECONSTRUCTED_MAX);
        high.adapt(difference);
        high.rescale(HIGH_STEPS[high_code], 22_528, 10);

        history.copy_within(2.., 0);
        history[22] = low_sample + high_sample;
        history[23] = low_sample - high_sample;
        let (mut first, mut second) = (0, 0);
        for (pair, (ahead, behind)) in
            history.chunks_exact(2).zip(SYNTHESIS.iter().zip(SYNTHESIS.iter().rev()))
        {
            second += pair[0] * ahead;
            first += pair[1] * behind;
        }
        samples.extend([first, second].map(|sum| saturate(sum >> 11) as f32 / 32_768.0));
    }
    Ok(Waveform { samples, rate_hz: RATE_HZ })
}

/// One of the two sub-bands: an adaptive predictor with two poles and six zeros.
struct Band {
    /// The predictor's guess of the next sample.
    predicted: i32,
    /// What the zeros contribute to it.
    from_zeros: i32,
    /// The quantiser's step, and its logarithm.
    scale: i32,
    log_scale: i32,
    /// The last reconstructed samples and partial ones, the newest first.
    samples: [i32; 2],
    partials: [i32; 2],
    /// The last differences, the newest first.
    differences: [i32; 6],
    poles: [i32; 2],
    zeros: [i32; 6],
}

impl Band {
    fn new(scale: i32) -> Self {
        Self {
            predicted: 0,
            from_zeros: 0,
            scale,
            log_scale: 0,
            samples: [0; 2],
            partials: [0; 2],
            differences: [0; 6],
            poles: [0; 2],
            zeros: [0; 6],
        }
    }

    /// Takes a quantised difference in, and predicts the next sample (blocks RECONS to PREDIC of section 6.2).
    fn adapt(&mut self, difference: i32) {
        let sample = saturate(self.predicted + difference);
        let partial = saturate(self.from_zeros + difference);
        let is_same = |a: i32, b: i32| (a < 0) == (b < 0);
        let [old_first, old_second] = self.poles;

        let slope = saturate(old_first << 2);
        let slope = if is_same(partial, self.partials[0]) { (-slope).min(32_767) } else { slope };
        let push = if is_same(partial, self.partials[1]) { 128 } else { -128 };
        let second = (push + (slope >> 7) + ((old_second * 32_512) >> 15)).clamp(-12_288, 12_288);
        let push = if is_same(partial, self.partials[0]) { 192 } else { -192 };
        let limit = saturate(15_360 - second);
        let first = saturate(push + ((old_first * 32_640) >> 15)).clamp(-limit, limit);
        self.poles = [first, second];

        let push = if difference == 0 { 0 } else { 128 };
        for (zero, old) in self.zeros.iter_mut().zip(self.differences) {
            let push = if is_same(old, difference) { push } else { -push };
            *zero = saturate(push + ((*zero * 32_640) >> 15));
        }
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        self.samples = [sample, self.samples[0]];
        self.partials = [partial, self.partials[0]];

        let product = |coefficient: i32, value: i32| (coefficient * saturate(2 * value)) >> 15;
        let from_poles: i32 = self.poles.iter().zip(self.samples).map(|(pole, r)| product(*pole, r)).sum();
        let from_zeros: i32 =
            self.zeros.iter().zip(self.differences).map(|(zero, d)| product(*zero, d)).sum();
        self.from_zeros = saturate(from_zeros);
        self.predicted = saturate(saturate(from_poles) + self.from_zeros);
    }

    /// The next step size (blocks LOGSCL and SCALEL, LOGSCH and SCALEH).
    fn rescale(&mut self, step: i32, max: i32, shift: i32) {
        self.log_scale = (((self.log_scale * 127) >> 7) + step).clamp(0, max);
        let power = POWERS[((self.log_scale >> 6) & 31) as usize];
        let shift = shift - (self.log_scale >> 11);
        self.scale = (if shift < 0 { power << -shift } else { power >> shift }) << 2;
    }
}

fn saturate(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The first bytes and every sample of them, as FFmpeg decodes them; `tests/golden/g722.py` made the file.
    #[test]
    fn samples_are_those_of_the_reference() {
        let golden: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/golden/g722.json")).expect("it is JSON");
        let numbers = |key: &str| -> Vec<i64> {
            golden[key].as_array().expect("a list").iter().filter_map(serde_json::Value::as_i64).collect()
        };
        let bytes: Vec<u8> = numbers("bytes").into_iter().map(|byte| byte as u8).collect();
        let decoded = decode_g722(&bytes).expect("any byte is valid");
        let got: Vec<i64> = decoded.samples.iter().map(|sample| (sample * 32_768.0) as i64).collect();
        assert_eq!(got, numbers("samples"));
    }

    proptest! {
        #[test]
        fn any_bytes_decode_to_twice_as_many_samples(bytes in prop::collection::vec(any::<u8>(), 1..2000)) {
            let decoded = decode_g722(&bytes).expect("any byte is valid");
            prop_assert_eq!(decoded.samples.len(), 2 * bytes.len());
            prop_assert!(decoded.samples.iter().all(|sample| (-1.0..1.0).contains(sample)));
        }
    }
}
