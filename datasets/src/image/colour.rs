//! Changes of colour, on `[n_pixels, 3]` values in `[0, 1]`.

use crate::draw::Draw;

/// Weights of red, green and blue in brightness (ITU-R BT.601).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// One draw of the jitter.
#[derive(Clone, Copy, Debug)]
pub(super) struct ColourJitter {
    /// Factor on every value.
    pub brightness: f32,
    /// Factor on the distance to the picture's mean gray.
    pub contrast: f32,
    /// Factor on the distance to the pixel's gray.
    pub saturation: f32,
    /// In turns.
    pub hue_turn: f32,
}

impl ColourJitter {
    /// Brightness, contrast, saturation, hue, cut to `[0, 1]` after each pair.
    pub(super) fn apply(self, values: &mut [f32]) {
        let mut sum = 0.0f64;
        for pixel in values.chunks_exact_mut(3) {
            for value in pixel.iter_mut() {
                *value = (*value * self.brightness).min(1.0);
            }
            sum += f64::from(luma(pixel));
        }
        let mean = (sum / (values.len() / 3).max(1) as f64) as f32;
        let offset = mean * (1.0 - self.contrast);
        let matrix = colour_matrix(self.saturation, self.hue_turn);
        for pixel in values.chunks_exact_mut(3) {
            let rgb: [f32; 3] = std::array::from_fn(|c| (pixel[c] * self.contrast + offset).clamp(0.0, 1.0));
            for (row, value) in matrix.iter().zip(pixel.iter_mut()) {
                *value = (row[0] * rgb[0] + row[1] * rgb[1] + row[2] * rgb[2]).clamp(0.0, 1.0);
            }
        }
    }
}

/// Saturation, then a turn in the plane of YIQ's two colour axes, as one matrix.
fn colour_matrix(saturation: f32, hue_turn: f32) -> [[f32; 3]; 3] {
    // the turn by Rodrigues' formula about the gray axis would change brightness; in YIQ it does not
    const TO_YIQ: [[f32; 3]; 3] =
        [LUMA, [0.595_716, -0.274_453, -0.321_263], [0.211_456, -0.522_591, 0.311_135]];
    const FROM_YIQ: [[f32; 3]; 3] =
        [[1.0, 0.956_296, 0.621_024], [1.0, -0.272_122, -0.647_381], [1.0, -1.106_989, 1.704_615]];
    let (sin, cos) = (hue_turn * std::f32::consts::TAU).sin_cos();
    let turn = [
        [1.0, 0.0, 0.0],
        [0.0, saturation * cos, -saturation * sin],
        [0.0, saturation * sin, saturation * cos],
    ];
    product(FROM_YIQ, product(turn, TO_YIQ))
}

fn product(a: [[f32; 3]; 3], b: [[f32; 3]; 3]) -> [[f32; 3]; 3] {
    std::array::from_fn(|i| std::array::from_fn(|j| (0..3).map(|k| a[i][k] * b[k][j]).sum()))
}

pub(super) fn to_gray(values: &mut [f32]) {
    for pixel in values.chunks_exact_mut(3) {
        let gray = luma(pixel).clamp(0.0, 1.0);
        pixel.fill(gray);
    }
}

/// Fills a rectangle of the given area (a part of the picture's) with one random colour.
pub(super) fn erase(values: &mut [f32], side: usize, area: f32, draw: &mut Draw) {
    let ratio = draw.range(-1.0, 1.0).exp2();
    let length = |ratio: f32| (((area * ratio).sqrt() * side as f32).round() as usize).clamp(1, side);
    let (width, height) = (length(ratio), length(1.0 / ratio));
    let left = draw.below(side - width + 1);
    let top = draw.below(side - height + 1);
    let colour: [f32; 3] = std::array::from_fn(|_| draw.uniform());
    for row in values.chunks_exact_mut(side * 3).skip(top).take(height) {
        for pixel in row[left * 3..(left + width) * 3].chunks_exact_mut(3) {
            pixel.copy_from_slice(&colour);
        }
    }
}

fn luma(pixel: &[f32]) -> f32 {
    LUMA[0] * pixel[0] + LUMA[1] * pixel[1] + LUMA[2] * pixel[2]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOTHING: ColourJitter =
        ColourJitter { brightness: 1.0, contrast: 1.0, saturation: 1.0, hue_turn: 0.0 };

    fn jittered(jitter: ColourJitter, rgb: [f32; 3]) -> [f32; 3] {
        let mut values = rgb;
        jitter.apply(&mut values);
        values
    }

    fn assert_near(got: [f32; 3], expected: [f32; 3]) {
        let is_near = got.iter().zip(expected).all(|(a, b)| (a - b).abs() < 2e-3);
        assert!(is_near, "expected {expected:?}, got {got:?}");
    }

    #[test]
    fn unit_factors_change_nothing() {
        assert_near(jittered(NOTHING, [0.2, 0.5, 0.7]), [0.2, 0.5, 0.7]);
    }

    #[test]
    fn no_saturation_is_gray() {
        let gray = 0.299 * 0.2 + 0.587 * 0.5 + 0.114 * 0.7;
        assert_near(jittered(ColourJitter { saturation: 0.0, ..NOTHING }, [0.2, 0.5, 0.7]), [gray; 3]);
        let mut values = [0.2, 0.5, 0.7];
        to_gray(&mut values);
        assert_near(values, [gray; 3]);
    }

    #[test]
    fn full_hue_turn_is_none_and_gray_has_no_hue() {
        assert_near(jittered(ColourJitter { hue_turn: 1.0, ..NOTHING }, [0.2, 0.5, 0.7]), [0.2, 0.5, 0.7]);
        assert_near(jittered(ColourJitter { hue_turn: 0.3, ..NOTHING }, [0.4; 3]), [0.4; 3]);
    }

    #[test]
    fn contrast_moves_away_from_the_mean() {
        let mut values = [0.4, 0.4, 0.4, 0.6, 0.6, 0.6];
        ColourJitter { contrast: 1.5, ..NOTHING }.apply(&mut values);
        assert_near([values[0], values[3], 0.0], [0.35, 0.65, 0.0]);
    }

    #[test]
    fn erasing_fills_about_the_area_asked_for() {
        let mut values = vec![2.0; 50 * 50 * 3];
        erase(&mut values, 50, 0.2, &mut Draw::new(1, 0, "", ""));
        let n_erased = values.iter().filter(|v| **v != 2.0).count() as f32 / values.len() as f32;
        assert!((0.17..0.23).contains(&n_erased), "{n_erased}");
    }
}
