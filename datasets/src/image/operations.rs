//! Single changes of 8-bit pictures, to the level what Pillow makes of them.

use super::Pixels;

/// What a change does, with its strength.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// Nothing.
    Identity,
    /// Each row is moved to the left by this many times its distance from the upper edge.
    ShearX(f64),
    /// Each column is moved up by this many times its distance from the left edge.
    ShearY(f64),
    /// Moved to the right by so many pixels.
    TranslateX(i32),
    /// Moved down by so many pixels.
    TranslateY(i32),
    /// Turned about its middle, counter-clockwise, in degrees.
    Rotate(f64),
    /// The distance to black times this.
    Brightness(f32),
    /// The distance to gray times this.
    Colour(f32),
    /// The distance to the picture's mean gray times this.
    Contrast(f32),
    /// The distance to the picture smoothed times this.
    Sharpness(f32),
    /// Only so many bits of each value are kept, 0 to 8.
    Posterize(u32),
    /// Values from this one on are inverted.
    Solarize(f32),
    /// Each channel is stretched to the full range.
    AutoContrast,
    /// Each channel's values are made equally frequent.
    Equalize,
}

impl Operation {
    /// The changed picture; what comes in from outside it is of the colour `fill`.
    ///
    /// # Reference
    /// Pillow 13: `ImageEnhance`, `ImageOps`, and `Image.transform` and `Image.rotate` with the nearest pixel.
    pub fn apply(self, pixels: &Pixels, fill: [u8; 3]) -> Pixels {
        match self {
            Self::Identity => pixels.clone(),
            Self::ShearX(amount) => affine(pixels, [1.0, amount, 0.0, 0.0, 1.0, 0.0], fill),
            Self::ShearY(amount) => affine(pixels, [1.0, 0.0, 0.0, amount, 1.0, 0.0], fill),
            Self::TranslateX(by) => affine(pixels, [1.0, 0.0, -f64::from(by), 0.0, 1.0, 0.0], fill),
            Self::TranslateY(by) => affine(pixels, [1.0, 0.0, 0.0, 0.0, 1.0, -f64::from(by)], fill),
            Self::Rotate(degrees) => affine(pixels, rotation(pixels, degrees), fill),
            Self::Brightness(factor) => blend(pixels, |_| [0; 3], factor),
            Self::Colour(factor) => blend(pixels, |at| [gray(at, &pixels.rgb); 3], factor),
            Self::Contrast(factor) => {
                let mean = mean_gray(pixels);
                blend(pixels, |_| [mean; 3], factor)
            }
            Self::Sharpness(factor) => {
                let smooth = smoothed(pixels);
                blend(pixels, |at| [smooth[at], smooth[at + 1], smooth[at + 2]], factor)
            }
            Self::Posterize(bits) => {
                let mask = (0xff00u32 >> bits.min(8)) as u8;
                mapped(pixels, |_| std::array::from_fn(|value| value as u8 & mask))
            }
            Self::Solarize(threshold) => mapped(pixels, |_| {
                std::array::from_fn(
                    |value| if (value as f32) < threshold { value as u8 } else { 255 - value as u8 },
                )
            }),
            Self::AutoContrast => mapped(pixels, stretch),
            Self::Equalize => mapped(pixels, equalise),
        }
    }
}

/// Where each pixel comes from: `(x, y) = (m0 u + m1 v + m2, m3 u + m4 v + m5)`, of pixels' middles.
///
/// Places are counted in 65536ths of a pixel, as Pillow does, or pixels half-way between two would come out otherwise.
fn affine(pixels: &Pixels, m: [f64; 6], fill: [u8; 3]) -> Pixels {
    let Pixels { rgb, width, height } = pixels;
    let fixed = |value: f64| (value * 65536.0 + 0.5).floor() as i64;
    let (step_x, step_y) = ([fixed(m[0]), fixed(m[1])], [fixed(m[3]), fixed(m[4])]);
    let (start_x, start_y) = (fixed(m[2] + (m[0] + m[1]) * 0.5), fixed(m[5] + (m[3] + m[4]) * 0.5));
    let mut moved = Vec::with_capacity(rgb.len());
    for row in 0..*height as i64 {
        for column in 0..*width as i64 {
            let x = (start_x + step_x[0] * column + step_x[1] * row) >> 16;
            let y = (start_y + step_y[0] * column + step_y[1] * row) >> 16;
            let is_inside = (0..*width as i64).contains(&x) && (0..*height as i64).contains(&y);
            let at = (y * *width as i64 + x) * 3;
            moved.extend(if is_inside { &rgb[at as usize..at as usize + 3] } else { &fill[..] });
        }
    }
    Pixels { rgb: moved, width: *width, height: *height }
}

fn rotation(pixels: &Pixels, degrees: f64) -> [f64; 6] {
    let (sin, cos) = (-degrees).to_radians().sin_cos();
    let (x, y) = (pixels.width as f64 / 2.0, pixels.height as f64 / 2.0);
    [cos, sin, x - cos * x - sin * y, -sin, cos, y + sin * x - cos * y]
}

/// Away from another picture, or towards it, by a factor on the distance; rounded towards zero.
fn blend(pixels: &Pixels, other: impl Fn(usize) -> [u8; 3], factor: f32) -> Pixels {
    let mut rgb = Vec::with_capacity(pixels.rgb.len());
    for at in (0..pixels.rgb.len()).step_by(3) {
        for (start, value) in other(at).map(f32::from).into_iter().zip(&pixels.rgb[at..at + 3]) {
            rgb.push((start + factor * (f32::from(*value) - start)) as u8);
        }
    }
    Pixels { rgb, ..*pixels }
}

/// Weights of ITU-R BT.601 in 65536ths.
fn gray(at: usize, rgb: &[u8]) -> u8 {
    let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(rgb[at + channel]));
    ((red * 19_595 + green * 38_470 + blue * 7_471 + 0x8000) >> 16) as u8
}

fn mean_gray(pixels: &Pixels) -> u8 {
    let n_pixels = (pixels.rgb.len() / 3).max(1);
    let sum: u64 = (0..pixels.rgb.len()).step_by(3).map(|at| u64::from(gray(at, &pixels.rgb))).sum();
    (sum as f64 / n_pixels as f64 + 0.5) as u8
}

/// The mean over 3 x 3 pixels, the middle one counting 5 times; the outermost pixels stay as they are.
fn smoothed(pixels: &Pixels) -> Vec<u8> {
    let Pixels { rgb, width, height } = pixels;
    let mut smooth = rgb.clone();
    let row_bytes = width * 3;
    for row in 1..height.saturating_sub(1) {
        for at in row * row_bytes + 3..(row + 1) * row_bytes - 3 {
            let around = [at - row_bytes, at, at + row_bytes].map(|middle| {
                u32::from(rgb[middle - 3]) + u32::from(rgb[middle]) + u32::from(rgb[middle + 3])
            });
            let sum = around.iter().sum::<u32>() + 4 * u32::from(rgb[at]);
            smooth[at] = ((f64::from(sum) / 13.0) + 0.5) as u8;
        }
    }
    smooth
}

/// Each channel through a table that is made of its histogram.
fn mapped(pixels: &Pixels, table: impl Fn(&[u64; 256]) -> [u8; 256]) -> Pixels {
    let mut counts = [[0u64; 256]; 3];
    for pixel in pixels.rgb.chunks_exact(3) {
        for (counts, value) in counts.iter_mut().zip(pixel) {
            counts[usize::from(*value)] += 1;
        }
    }
    let tables = counts.each_ref().map(table);
    let mut rgb = pixels.rgb.clone();
    for pixel in rgb.chunks_exact_mut(3) {
        for (table, value) in tables.iter().zip(pixel) {
            *value = table[usize::from(*value)];
        }
    }
    Pixels { rgb, ..*pixels }
}

fn unchanged() -> [u8; 256] {
    std::array::from_fn(|value| value as u8)
}

fn stretch(counts: &[u64; 256]) -> [u8; 256] {
    let lowest = counts.iter().position(|count| *count > 0).unwrap_or(0);
    let highest = counts.iter().rposition(|count| *count > 0).unwrap_or(0);
    if highest <= lowest {
        return unchanged();
    }
    let scale = 255.0 / (highest - lowest) as f64;
    let offset = -(lowest as f64) * scale;
    std::array::from_fn(|value| (value as f64 * scale + offset).clamp(0.0, 255.0) as u8)
}

fn equalise(counts: &[u64; 256]) -> [u8; 256] {
    let last = counts.iter().rfind(|count| **count > 0).copied().unwrap_or(0);
    // the most frequent value's share does not count, or the last one would lie above 255
    let step = (counts.iter().sum::<u64>() - last) / 255;
    if step == 0 {
        return unchanged();
    }
    let mut below = step / 2;
    counts.map(|count| {
        let value = (below / step).min(255) as u8;
        below += count;
        value
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient() -> Pixels {
        let rgb = (0..30 * 20).flat_map(|i| [(i % 30 * 8) as u8, (i / 30 * 10) as u8, 90]).collect();
        Pixels { rgb, width: 30, height: 20 }
    }

    #[test]
    fn strengths_of_nothing_change_nothing() {
        for operation in [
            Operation::Identity,
            Operation::ShearX(0.0),
            Operation::ShearY(0.0),
            Operation::TranslateX(0),
            Operation::TranslateY(0),
            Operation::Rotate(0.0),
            Operation::Brightness(1.0),
            Operation::Colour(1.0),
            Operation::Contrast(1.0),
            Operation::Sharpness(1.0),
            Operation::Posterize(8),
            Operation::Solarize(256.0),
        ] {
            assert_eq!(operation.apply(&gradient(), [7; 3]), gradient(), "{operation:?}");
        }
    }

    #[test]
    fn what_comes_in_from_outside_is_filled() {
        let moved = Operation::TranslateX(30).apply(&gradient(), [1, 2, 3]);
        assert_eq!(moved, Pixels::filled(30, 20, [1, 2, 3]));
        let moved = Operation::TranslateY(-5).apply(&gradient(), [0; 3]);
        assert_eq!((&moved.rgb[..90], moved.rgb[15 * 90 + 2]), (&gradient().rgb[5 * 90..6 * 90], 0));
    }

    #[test]
    fn pictures_of_one_pixel_and_of_one_colour_survive_everything() {
        for pixels in [Pixels::filled(1, 1, [9, 8, 7]), Pixels::filled(300, 1, [9, 8, 7])] {
            for operation in [
                Operation::Rotate(30.0),
                Operation::Sharpness(0.1),
                Operation::Contrast(1.9),
                Operation::Posterize(0),
                Operation::Solarize(0.0),
                Operation::AutoContrast,
                Operation::Equalize,
            ] {
                assert_eq!(operation.apply(&pixels, [0; 3]).rgb.len(), pixels.rgb.len(), "{operation:?}");
            }
        }
    }
}
