//! The natural logarithm in a form that compilers turn into vectors.

/// ln 2 in two parts: the first has so few bits that its products with exponents are exact.
const LN_2_HIGH: f32 = 0.693_359_4;
const LN_2_LOW: f32 = -2.121_944_4e-4;
/// The bits of sqrt(1/2).
const SQRT_HALF: u32 = 0x3f35_04f3;

/// The natural logarithm of a positive, normal, finite number, to some 2 units in the last place.
///
/// `x = m 2^e` with `m` from sqrt(1/2) to sqrt(2); `ln m = 2 artanh s` with `s = (m - 1) / (m + 1)`, by its series. Without
/// branches, tables and fused operations, so that it has the same bits in every width of vectors.
#[inline(always)]
pub(super) fn ln(x: f32) -> f32 {
    let above = x.to_bits().wrapping_sub(SQRT_HALF) & 0xff80_0000;
    let exponent = (above as i32 >> 23) as f32;
    let mantissa = f32::from_bits(x.to_bits().wrapping_sub(above));
    let s = (mantissa - 1.0) / (mantissa + 1.0);
    let square = s * s;
    // |s| < 0.172: the next term is below 1e-9
    let series = square * (2.0 / 3.0 + square * (2.0 / 5.0 + square * (2.0 / 7.0 + square * (2.0 / 9.0))));
    let small = exponent * LN_2_LOW + s * series;
    exponent * LN_2_HIGH + (2.0 * s + small)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn logarithms_agree_with_those_in_double_precision(bits in 0x0080_0000u32..0x7f80_0000) {
            let x = f32::from_bits(bits);
            let exact = f64::from(x).ln();
            let error = (f64::from(ln(x)) - exact).abs();
            prop_assert!(error <= 2e-7 * exact.abs().max(0.1), "ln {x} is off by {error}");
        }
    }

    #[test]
    fn powers_of_two_and_neighbours_of_one_are_right() {
        assert_eq!(ln(1.0), 0.0);
        assert_eq!(ln(f32::EPSILON), f32::EPSILON.ln());
        for x in [1.0 - f32::EPSILON, 1.0 + f32::EPSILON, 0.5, 2.0, 1e-10, std::f32::consts::SQRT_2] {
            assert!((ln(x) - x.ln()).abs() <= 1.2e-7 * x.ln().abs(), "of {x}");
        }
    }
}
