//! Loops compiled for the widest vectors that the processor has, and the scalar functions inside them.

/// Number of partial sums: one register of AVX-512, two of AVX2. The order of every sum is fixed by it, whatever
/// the processor.
pub(super) const LANES: usize = 16;

/// Compiles the function three times, for AVX-512, for AVX2 with FMA and as the target's baseline, and picks at
/// run time.
///
/// A body is loops and functions marked `#[inline(always)]`: a closure is a function of its own, compiled for the
/// baseline, where a fused multiply-add is a call into the C library.
macro_rules! vectorised {
    ($($(#[$meta:meta])* $vis:vis fn $name:ident($($arg:ident: $ty:ty),* $(,)?) $(-> $ret:ty)? $body:block)*) => { $(
        $(#[$meta])*
        #[allow(clippy::too_many_arguments)]
        $vis fn $name($($arg: $ty),*) $(-> $ret)? {
            #[inline(always)]
            fn body($($arg: $ty),*) $(-> $ret)? $body

            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma")]
                fn avx512($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                #[target_feature(enable = "avx2,fma")]
                fn avx2($($arg: $ty),*) $(-> $ret)? {
                    body($($arg),*)
                }
                let has_avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
                if has_avx2
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
                {
                    // SAFETY: every feature that the function is compiled for was detected
                    return unsafe { avx512($($arg),*) };
                }
                if has_avx2 {
                    // SAFETY: both features that the function is compiled for were detected
                    return unsafe { avx2($($arg),*) };
                }
            }
            body($($arg),*)
        }
    )* };
}
pub(super) use vectorised;

/// The error function to about 2 units in the last place: a rational fit, odd in `x`.
///
/// # Reference
/// The float32 coefficients of Eigen's `generic_fast_erf_float`.
#[inline(always)]
pub(super) fn erf(x: f32) -> f32 {
    let x = x.clamp(-3.832_507, 3.832_507);
    let t = x * x;
    let p = -2.726_142_3e-10_f32;
    let p = p.mul_add(t, 2.770_681_3e-8);
    let p = p.mul_add(t, -2.101_024e-6);
    let p = p.mul_add(t, -5.692_506_5e-5);
    let p = p.mul_add(t, -7.349_906e-4);
    let p = p.mul_add(t, -2.954_6e-3);
    let p = p.mul_add(t, -1.609_603_3e-2);
    let q = -1.456_607_2e-5_f32;
    let q = q.mul_add(t, -2.133_740_5e-4);
    let q = q.mul_add(t, -1.682_827e-3);
    let q = q.mul_add(t, -7.373_329_2e-3);
    let q = q.mul_add(t, -1.426_474e-2);
    x * p / q
}

/// The exponential function to about 2 units in the last place; exactly 0 below -87, so that a hidden score of
/// minus infinity weighs nothing.
///
/// # Reference
/// Cephes `expf`: reduction by powers of two in two steps, then a polynomial.
#[inline(always)]
pub(super) fn exp(x: f32) -> f32 {
    /// Adding it rounds to the nearest integer, which then stands in the low bits. (A cast to an integer would check
    /// for NaN, an element at a time.)
    const ROUND: f32 = 12_582_912.0;
    let bounded = x.clamp(-87.0, 88.0);
    let rounded = bounded * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = n.mul_add(-0.693_359_4, bounded);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_1e-4_f32;
    let p = p.mul_add(r, 1.398_199_9e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_5e-1);
    let p = p.mul_add(r, 0.5);
    let y = p.mul_add(r * r, r) + 1.0;
    let exponent = rounded.to_bits().wrapping_sub(ROUND.to_bits()).wrapping_add(127);
    let y = y * f32::from_bits(exponent << 23);
    if x < -87.0 { 0.0 } else { y }
}

/// Adds the lanes in halves.
#[inline(always)]
pub(super) fn add_lanes(mut lanes: [f32; LANES]) -> f32 {
    let mut width = LANES / 2;
    while width > 0 {
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
        width /= 2;
    }
    lanes[0]
}

#[inline(always)]
pub(super) fn sum(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane += value;
        }
    }
    let mut total = add_lanes(lanes);
    for value in rest {
        total += value;
    }
    total
}

/// The sum of `(x - centre)²`.
#[inline(always)]
pub(super) fn sum_squares(x: &[f32], centre: f32) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            let value = value - centre;
            *lane = value.mul_add(value, *lane);
        }
    }
    let mut total = add_lanes(lanes);
    for value in rest {
        let value = value - centre;
        total = value.mul_add(value, total);
    }
    total
}

/// The largest element; minus infinity of an empty slice.
#[inline(always)]
pub(super) fn max(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    let mut largest = f32::NEG_INFINITY;
    for value in lanes.iter().chain(rest) {
        largest = if *value > largest { *value } else { largest };
    }
    largest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Relative to the value, or absolute below 1.
    const TOLERANCE: f64 = 4e-7;

    fn close(got: f32, expected: f64) -> bool {
        (f64::from(got) - expected).abs() <= TOLERANCE * expected.abs().max(1.0)
    }

    /// By its Taylor series, in float64.
    fn erf_exact(x: f64) -> f64 {
        let (mut term, mut total) = (x, x);
        for n in 1..200 {
            term *= -x * x / n as f64;
            total += term / (2 * n + 1) as f64;
        }
        total * std::f64::consts::FRAC_2_SQRT_PI
    }

    #[test]
    fn erf_agrees_with_its_series() {
        for i in -400..=400 {
            let x = i as f32 / 100.0;
            assert!(close(erf(x), erf_exact(f64::from(x))), "erf({x}) = {}", erf(x));
        }
    }

    #[test]
    fn exp_agrees_with_float64_and_vanishes_far_below() {
        for i in -870..=200 {
            let x = i as f32 / 10.0;
            let (got, expected) = (f64::from(exp(x)), f64::from(x).exp());
            assert!((got - expected).abs() <= TOLERANCE * expected, "exp({x}) = {got}, expected {expected}");
        }
        assert_eq!(exp(f32::NEG_INFINITY), 0.0);
        assert_eq!(exp(-87.5), 0.0);
        assert_eq!(exp(0.0), 1.0);
    }

    #[test]
    fn reductions_agree_with_float64_at_every_remainder() {
        for n in 0..70 {
            let x: Vec<f32> = (0..n).map(|i| (i as f32 * 0.7).sin()).collect();
            let wide = |f: &dyn Fn(usize) -> f64| (0..n).map(f).sum::<f64>();
            assert!((f64::from(sum(&x)) - wide(&|i| f64::from(x[i]))).abs() < 1e-5);
            assert!(
                (f64::from(sum_squares(&x, 0.25)) - wide(&|i| (f64::from(x[i]) - 0.25).powi(2))).abs() < 1e-5
            );
            assert_eq!(max(&x), x.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        }
    }
}
