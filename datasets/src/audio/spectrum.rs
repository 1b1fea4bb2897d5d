//! Power spectra of several frames at once, one in each lane of a vector.
//!
//! Frames do not mix, so that vectors of any width give the same bits: there are no sums across lanes, and products are
//! fused with sums in all widths or in none. On processors without fused operations those are slow.

use std::f64::consts::TAU;

use pulp::Simd;

/// A transform of real frames of one even length, by a complex one of half the length.
///
/// In place, by decimation in frequency with radices 4, 2 and 5; the order that this leaves is undone by a table.
pub(super) struct PowerSpectrum {
    stages: Vec<Stage>,
    /// Where each frequency of the complex transform stands after the last stage.
    places: Vec<usize>,
    /// `exp(-2 pi i k / n_fft)` for the lower half of the bins.
    turns: Vec<Turn>,
}

struct Stage {
    radix: usize,
    /// Distance of the values that a butterfly takes.
    stride: usize,
    /// For each place in a block those of its outputs but the first.
    turns: Vec<Turn>,
}

/// A complex number of length 1.
#[derive(Clone, Copy)]
struct Turn {
    re: f32,
    im: f32,
}

impl Turn {
    /// `exp(-2 pi i k / n)`.
    fn new(k: usize, n: usize) -> Self {
        let angle = -TAU * (k % n) as f64 / n as f64;
        Self { re: angle.cos() as f32, im: angle.sin() as f32 }
    }
}

impl PowerSpectrum {
    /// Plans the transform.
    ///
    /// # Panics
    /// If `n_fft` is odd, or half of it has other prime factors than 2 and 5.
    pub(super) fn new(n_fft: usize) -> Self {
        assert!(n_fft > 0 && n_fft.is_multiple_of(2), "frames of {n_fft} samples have no half");
        let half = n_fft / 2;
        let mut stages = Vec::new();
        let mut block = half;
        while block > 1 {
            let radix = [4, 2, 5].into_iter().find(|radix| block.is_multiple_of(*radix));
            let radix = radix.unwrap_or_else(|| panic!("{n_fft} has other prime factors than 2 and 5"));
            let stride = block / radix;
            let turns = (0..stride).flat_map(|j| (1..radix).map(move |q| Turn::new(j * q, block))).collect();
            stages.push(Stage { radix, stride, turns });
            block = stride;
        }
        let place = |k: usize| {
            let digits = stages.iter().scan(k, |rest, stage| {
                let digit = *rest % stage.radix;
                *rest /= stage.radix;
                Some(digit * stage.stride)
            });
            digits.sum()
        };
        let places = (0..half).map(place).collect();
        Self { stages, places, turns: (0..=half / 2).map(|k| Turn::new(k, n_fft)).collect() }
    }

    /// Length of the complex transform: half the samples of a frame, and one less than its bins.
    pub(super) fn half(&self) -> usize {
        self.places.len()
    }

    /// The squared magnitudes of the bins, divided by nothing.
    ///
    /// # Shapes
    /// `even` and `odd` are the frames' samples of even and odd number, `[half]` each, and are overwritten; `power` is
    /// `[half + 1]`.
    #[inline(always)]
    pub(super) fn power<S: Simd>(
        &self,
        simd: S,
        even: &mut [S::f32s],
        odd: &mut [S::f32s],
        power: &mut [S::f32s],
    ) {
        let half = self.half();
        let (even, odd, power) = (&mut even[..half], &mut odd[..half], &mut power[..half + 1]);
        for stage in &self.stages {
            match stage.radix {
                4 => stage.apply(
                    simd,
                    even,
                    odd,
                    #[inline(always)]
                    |values| butterfly_4(simd, values),
                ),
                2 => stage.apply(
                    simd,
                    even,
                    odd,
                    #[inline(always)]
                    |values| butterfly_2(simd, values),
                ),
                _ => stage.apply(
                    simd,
                    even,
                    odd,
                    #[inline(always)]
                    |values| butterfly_5(simd, values),
                ),
            }
        }
        let quarter = simd.splat_f32s(0.25);
        for (k, turn) in self.turns.iter().enumerate() {
            let (here, mirrored) = (self.places[k], self.places[(half - k) % half]);
            let a = Complex::<S> { re: even[here], im: odd[here] };
            let b = Complex::<S> { re: even[mirrored], im: odd[mirrored] };
            // twice the transforms of the even and of the odd samples, and twice the bins k and half - k
            let of_even = Complex::<S> { re: simd.add_f32s(a.re, b.re), im: simd.sub_f32s(a.im, b.im) };
            let of_odd = Complex::<S> { re: simd.add_f32s(a.im, b.im), im: simd.sub_f32s(b.re, a.re) };
            let of_odd = of_odd.turned(simd, *turn);
            power[k] = simd.mul_f32s(quarter, of_even.plus(simd, of_odd).squared(simd));
            power[half - k] = simd.mul_f32s(quarter, of_even.minus(simd, of_odd).squared(simd));
        }
    }
}

impl Stage {
    #[inline(always)]
    fn apply<S: Simd, const RADIX: usize>(
        &self,
        simd: S,
        re: &mut [S::f32s],
        im: &mut [S::f32s],
        butterfly: impl Fn([Complex<S>; RADIX]) -> [Complex<S>; RADIX],
    ) {
        let block = self.stride * RADIX;
        for (re, im) in re.chunks_exact_mut(block).zip(im.chunks_exact_mut(block)) {
            for (j, turns) in self.turns.chunks_exact(RADIX - 1).enumerate() {
                // a loop, as closures that are not always inlined would lack the vectors
                let mut values = [Complex::<S> { re: re[j], im: im[j] }; RADIX];
                for (k, value) in values.iter_mut().enumerate() {
                    let place = j + k * self.stride;
                    *value = Complex { re: re[place], im: im[place] };
                }
                let mut values = butterfly(values);
                if j > 0 {
                    for (value, turn) in values[1..].iter_mut().zip(turns) {
                        *value = value.turned(simd, *turn);
                    }
                }
                for (q, value) in values.into_iter().enumerate() {
                    let place = j + q * self.stride;
                    (re[place], im[place]) = (value.re, value.im);
                }
            }
        }
    }
}

#[inline(always)]
fn butterfly_2<S: Simd>(simd: S, [a, b]: [Complex<S>; 2]) -> [Complex<S>; 2] {
    [a.plus(simd, b), a.minus(simd, b)]
}

#[inline(always)]
fn butterfly_4<S: Simd>(simd: S, [a, b, c, d]: [Complex<S>; 4]) -> [Complex<S>; 4] {
    let [even, even_difference] = butterfly_2(simd, [a, c]);
    let [odd, odd_difference] = butterfly_2(simd, [b, d]);
    let turned = odd_difference.quarter_turned(simd);
    [
        even.plus(simd, odd),
        even_difference.plus(simd, turned),
        even.minus(simd, odd),
        even_difference.minus(simd, turned),
    ]
}

#[inline(always)]
fn butterfly_5<S: Simd>(simd: S, [a, b, c, d, e]: [Complex<S>; 5]) -> [Complex<S>; 5] {
    // cosines and sines of a fifth of a turn and of two
    const COS: [f32; 2] = [0.309_017, -0.809_017];
    const SIN: [f32; 2] = [0.951_056_5, 0.587_785_25];
    let [outer, outer_difference] = butterfly_2(simd, [b, e]);
    let [inner, inner_difference] = butterfly_2(simd, [c, d]);
    let first = a.plus_times(simd, outer, COS[0]).plus_times(simd, inner, COS[1]);
    let second = a.plus_times(simd, outer, COS[1]).plus_times(simd, inner, COS[0]);
    let first_turned = outer_difference.times(simd, SIN[0]).plus_times(simd, inner_difference, SIN[1]);
    let second_turned = outer_difference.times(simd, SIN[1]).plus_times(simd, inner_difference, -SIN[0]);
    let (first_turned, second_turned) =
        (first_turned.quarter_turned(simd), second_turned.quarter_turned(simd));
    [
        a.plus(simd, outer.plus(simd, inner)),
        first.plus(simd, first_turned),
        second.plus(simd, second_turned),
        second.minus(simd, second_turned),
        first.minus(simd, first_turned),
    ]
}

/// A complex number in each lane.
struct Complex<S: Simd> {
    re: S::f32s,
    im: S::f32s,
}

impl<S: Simd> Clone for Complex<S> {
    #[inline(always)]
    fn clone(&self) -> Self {
        *self
    }
}

impl<S: Simd> Copy for Complex<S> {}

impl<S: Simd> Complex<S> {
    #[inline(always)]
    fn plus(self, simd: S, other: Self) -> Self {
        Self { re: simd.add_f32s(self.re, other.re), im: simd.add_f32s(self.im, other.im) }
    }

    #[inline(always)]
    fn minus(self, simd: S, other: Self) -> Self {
        Self { re: simd.sub_f32s(self.re, other.re), im: simd.sub_f32s(self.im, other.im) }
    }

    #[inline(always)]
    fn plus_times(self, simd: S, other: Self, factor: f32) -> Self {
        let factor = simd.splat_f32s(factor);
        Self {
            re: simd.mul_add_f32s(other.re, factor, self.re),
            im: simd.mul_add_f32s(other.im, factor, self.im),
        }
    }

    #[inline(always)]
    fn times(self, simd: S, factor: f32) -> Self {
        let factor = simd.splat_f32s(factor);
        Self { re: simd.mul_f32s(self.re, factor), im: simd.mul_f32s(self.im, factor) }
    }

    #[inline(always)]
    fn turned(self, simd: S, by: Turn) -> Self {
        let (re, im) = (simd.splat_f32s(by.re), simd.splat_f32s(by.im));
        Self {
            re: simd.negate_mul_add_f32s(self.im, im, simd.mul_f32s(self.re, re)),
            im: simd.mul_add_f32s(self.re, im, simd.mul_f32s(self.im, re)),
        }
    }

    /// Times -i.
    #[inline(always)]
    fn quarter_turned(self, simd: S) -> Self {
        Self { re: self.im, im: simd.neg_f32s(self.re) }
    }

    #[inline(always)]
    fn squared(self, simd: S) -> S::f32s {
        simd.mul_add_f32s(self.re, self.re, simd.mul_f32s(self.im, self.im))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_agree_with_the_definition() {
        for n_fft in [2, 4, 8, 10, 20, 50, 400, 512] {
            let frame: Vec<f32> = (0..n_fft).map(|i| ((i * i) as f32 * 0.3).sin() * 0.5).collect();
            let half = n_fft / 2;
            let mut even: Vec<f32> = frame.iter().copied().step_by(2).collect();
            let mut odd: Vec<f32> = frame.iter().copied().skip(1).step_by(2).collect();
            let mut power = vec![0.0; half + 1];
            PowerSpectrum::new(n_fft).power(pulp::Scalar, &mut even, &mut odd, &mut power);
            for (k, power) in power.iter().enumerate() {
                let (mut re, mut im) = (0.0f64, 0.0f64);
                for (i, sample) in frame.iter().enumerate() {
                    let angle = TAU * (i * k % n_fft) as f64 / n_fft as f64;
                    re += f64::from(*sample) * angle.cos();
                    im -= f64::from(*sample) * angle.sin();
                }
                let error = (f64::from(*power) - (re * re + im * im)).abs();
                assert!(error < 2e-6 * n_fft as f64, "bin {k} of {n_fft} is off by {error}");
            }
        }
    }
}
