//! Random changes to pictures, each drawn from the key of its sample.

use serde::{Deserialize, Serialize};

use super::colour::{ColourJitter, erase, to_gray};
use super::transform::unit_range;
use super::{CropBox, Filter, Pixels, RandAugment, crop_resize_by};
use crate::draw::Draw;

/// Which changes, how strong and how often. Everything that is left out changes nothing.
///
/// They happen in this order: rotation, crop, flip, RandAugment, colour jitter, grayscale,
/// erasing.
///
/// # Reference
/// Cropping and jitter as in torchvision's `RandomResizedCrop` and `ColorJitter`, erasing as in Zhong et al.,
/// "Random Erasing Data Augmentation", 2020.
///
/// # Differences from the reference
/// A crop may reach beyond the picture, into white, so that a scale above 1 makes the picture smaller. The jitter's
/// steps keep one order. Hue turns in the YIQ plane. Erased rectangles get one random colour.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageAugment {
    /// Area of the crop as a part of the picture's, from and to; above 1 leaves a white margin.
    pub scale: [f32; 2],
    /// Width over height of the crop, from and to.
    pub ratio: [f32; 2],
    /// The crop is shifted by up to this part of the picture's side either way, into white.
    pub translate: f32,
    /// Probability of a mirror image.
    pub flip: f32,
    /// Changes drawn from RandAugment's table; `None` changes nothing.
    pub rand_augment: Option<RandAugment>,
    /// Probability of a rotation.
    pub rotate: f32,
    /// Largest angle in degrees, either way.
    pub rotate_deg: f32,
    /// Probability of colour jitter.
    pub jitter: f32,
    /// Brightness is multiplied by `1 - x` to `1 + x`.
    pub brightness: f32,
    /// Contrast likewise.
    pub contrast: f32,
    /// Saturation likewise.
    pub saturation: f32,
    /// Hue turns by up to this part of a full turn, either way; at most 0.5.
    pub hue: f32,
    /// Probability of gray.
    pub grayscale: f32,
    /// Probability that a rectangle is erased.
    pub erase: f32,
    /// Its area as a part of the picture's, from and to.
    pub erase_area: [f32; 2],
}

impl Default for ImageAugment {
    fn default() -> Self {
        Self {
            scale: [1.0, 1.0],
            ratio: [1.0, 1.0],
            translate: 0.0,
            flip: 0.0,
            rand_augment: None,
            rotate: 0.0,
            rotate_deg: 0.0,
            jitter: 0.0,
            brightness: 0.0,
            contrast: 0.0,
            saturation: 0.0,
            hue: 0.0,
            grayscale: 0.0,
            erase: 0.0,
            erase_area: [0.02, 0.2],
        }
    }
}

impl ImageAugment {
    /// What is wrong with the values, if anything.
    ///
    /// # Errors
    /// The first value out of its range, in words.
    pub fn check(&self) -> Result<(), String> {
        let parts = [
            ("flip", self.flip),
            ("rotate", self.rotate),
            ("jitter", self.jitter),
            ("grayscale", self.grayscale),
            ("erase", self.erase),
            ("translate", self.translate),
            ("brightness", self.brightness),
            ("contrast", self.contrast),
            ("saturation", self.saturation),
        ];
        for (name, value) in parts {
            if !(0.0..=1.0).contains(&value) {
                return Err(format!("{name}: expected 0 to 1, got {value}"));
            }
        }
        if !(0.0..=0.5).contains(&self.hue) {
            return Err(format!("hue: expected 0 to 0.5 of a turn, got {}", self.hue));
        }
        if !(0.0..=180.0).contains(&self.rotate_deg) {
            return Err(format!("rotate_deg: expected 0 to 180, got {}", self.rotate_deg));
        }
        let spans = [
            ("scale", self.scale, 0.01, 16.0),
            ("ratio", self.ratio, 0.1, 10.0),
            ("erase_area", self.erase_area, 0.0, 1.0),
        ];
        for (name, [from, to], low, high) in spans {
            if !(low <= from && from <= to && to <= high) {
                return Err(format!("{name}: expected {low} <= from <= to <= {high}, got [{from}, {to}]"));
            }
        }
        let rand_augment = self.rand_augment.as_ref();
        rand_augment.map_or(Ok(()), |r| r.check().map_err(|problem| format!("rand_augment.{problem}")))
    }

    /// Every change in its turn; values in `[0, 1]`.
    pub(super) fn apply(&self, pixels: &Pixels, side: usize, filter: Filter, draw: &mut Draw) -> Vec<f32> {
        let rotated;
        let upright = if draw.chance(self.rotate) && self.rotate_deg > 0.0 {
            rotated = rotate(pixels, draw.range(-self.rotate_deg, self.rotate_deg).to_radians());
            &rotated
        } else {
            pixels
        };
        let mut cropped = crop_resize_by(filter, upright, self.draw_crop(pixels, draw), side, side);
        if draw.chance(self.flip) {
            mirror(&mut cropped);
        }
        if let Some(rand_augment) = &self.rand_augment {
            cropped = rand_augment.apply(&cropped, draw);
        }
        let mut values = unit_range(&cropped);
        if draw.chance(self.jitter) {
            let mut around_one = |strength: f32| draw.range(1.0 - strength, 1.0 + strength);
            let (brightness, contrast, saturation) =
                (around_one(self.brightness), around_one(self.contrast), around_one(self.saturation));
            let hue_turn = draw.range(-self.hue, self.hue);
            ColourJitter { brightness, contrast, saturation, hue_turn }.apply(&mut values);
        }
        if draw.chance(self.grayscale) {
            to_gray(&mut values);
        }
        if draw.chance(self.erase) {
            let area = draw.range(self.erase_area[0], self.erase_area[1]);
            erase(&mut values, side, area, draw);
        }
        values
    }

    fn draw_crop(&self, pixels: &Pixels, draw: &mut Draw) -> CropBox {
        let (wide, high) = (pixels.width as f32, pixels.height as f32);
        let area = draw.range(self.scale[0], self.scale[1]) * wide.min(high).powi(2);
        // ratios are drawn evenly on a logarithmic scale, or wide would be more frequent than high
        let ratio = draw.range(self.ratio[0].ln(), self.ratio[1].ln()).exp();
        let (width, height) = ((area * ratio).sqrt(), (area / ratio).sqrt());
        let mut place = |free: f32, shift: f32| {
            let start = draw.range(free.min(0.0), free.max(0.0));
            f64::from(start + draw.range(-shift, shift))
        };
        let left = place(wide - width, self.translate * wide);
        let top = place(high - height, self.translate * high);
        CropBox { left, top, width: f64::from(width), height: f64::from(height) }
    }
}

fn mirror(pixels: &mut Pixels) {
    let width = pixels.width;
    for row in pixels.rgb.chunks_exact_mut(width * 3) {
        for column in 0..width / 2 {
            let (left, right) = (column * 3, (width - 1 - column) * 3);
            for channel in 0..3 {
                row.swap(left + channel, right + channel);
            }
        }
    }
}

/// Turns a picture about its middle, bilinearly, corners filled with white.
fn rotate(pixels: &Pixels, angle: f32) -> Pixels {
    let Pixels { rgb, width, height } = pixels;
    let (width, height) = (*width, *height);
    let (sin, cos) = angle.sin_cos();
    let (middle_x, middle_y) = ((width as f32 - 1.0) / 2.0, (height as f32 - 1.0) / 2.0);
    let mut turned = Vec::with_capacity(rgb.len());
    for row in 0..height {
        let dy = row as f32 - middle_y;
        for column in 0..width {
            let dx = column as f32 - middle_x;
            let x = cos * dx + sin * dy + middle_x;
            let y = cos * dy - sin * dx + middle_y;
            turned.extend(bilinear(rgb, width, height, x, y));
        }
    }
    Pixels { rgb: turned, width, height }
}

fn bilinear(rgb: &[u8], width: usize, height: usize, x: f32, y: f32) -> [u8; 3] {
    let (x_floor, y_floor) = (x.floor(), y.floor());
    let (fx, fy) = (x - x_floor, y - y_floor);
    let (x0, y0) = (x_floor as i32, y_floor as i32);
    let weights = [(1.0 - fx) * (1.0 - fy), fx * (1.0 - fy), (1.0 - fx) * fy, fx * fy];
    if x0 >= 0 && y0 >= 0 && x0 + 1 < width as i32 && y0 + 1 < height as i32 {
        let upper = (y0 as usize * width + x0 as usize) * 3;
        let lower = upper + width * 3;
        let (upper, lower) = (&rgb[upper..upper + 6], &rgb[lower..lower + 6]);
        return std::array::from_fn(|channel| {
            let value = weights[0] * f32::from(upper[channel])
                + weights[1] * f32::from(upper[channel + 3])
                + weights[2] * f32::from(lower[channel])
                + weights[3] * f32::from(lower[channel + 3]);
            (value + 0.5) as u8
        });
    }
    let at = |column: i32, row: i32, channel: usize| {
        let is_inside = (0..width as i32).contains(&column) && (0..height as i32).contains(&row);
        if is_inside { f32::from(rgb[(row as usize * width + column as usize) * 3 + channel]) } else { 255.0 }
    };
    std::array::from_fn(|channel| {
        let value = weights[0] * at(x0, y0, channel)
            + weights[1] * at(x0 + 1, y0, channel)
            + weights[2] * at(x0, y0 + 1, channel)
            + weights[3] * at(x0 + 1, y0 + 1, channel);
        (value + 0.5) as u8
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gradient(side: usize) -> Pixels {
        let rgb = (0..side * side).flat_map(|i| [(i % side * 4) as u8, (i / side * 4) as u8, 90]).collect();
        Pixels { rgb, width: side, height: side }
    }

    #[test]
    fn default_changes_nothing() {
        let pixels = gradient(32);
        let mut draw = Draw::new(1, 0, "a", "image");
        assert_eq!(
            ImageAugment::default().apply(&pixels, 32, Filter::default(), &mut draw),
            unit_range(&pixels)
        );
    }

    #[test]
    fn full_turn_changes_nothing_and_half_turn_twice_neither() {
        let pixels = gradient(17);
        assert_eq!(rotate(&pixels, 0.0), pixels);
        let twice = rotate(&rotate(&pixels, std::f32::consts::PI), std::f32::consts::PI);
        let largest = twice.rgb.iter().zip(&pixels.rgb).map(|(a, b)| a.abs_diff(*b)).max();
        // the outermost pixels mix with white by a rounding error
        assert!(largest <= Some(1), "{largest:?}");
    }

    #[test]
    fn mirror_twice_is_the_picture() {
        let pixels = gradient(9);
        let mut twice = pixels.clone();
        mirror(&mut twice);
        assert_ne!(twice, pixels);
        mirror(&mut twice);
        assert_eq!(twice, pixels);
    }

    #[test]
    fn scale_above_one_leaves_a_white_margin() {
        let black = Pixels::filled(40, 40, [0; 3]);
        let augment = ImageAugment { scale: [4.0, 4.0], ..ImageAugment::default() };
        let values = augment.apply(&black, 40, Filter::default(), &mut Draw::new(1, 0, "a", "image"));
        let n_white = values.iter().filter(|v| **v > 0.99).count() as f32 / values.len() as f32;
        assert!((0.70..0.80).contains(&n_white), "{n_white} of the picture is white");
    }

    #[test]
    fn equal_keys_give_equal_pictures() {
        let augment = ImageAugment {
            scale: [0.5, 1.5],
            ratio: [0.8, 1.25],
            translate: 0.1,
            flip: 0.5,
            rotate: 0.8,
            rotate_deg: 15.0,
            jitter: 0.8,
            brightness: 0.4,
            contrast: 0.4,
            saturation: 0.4,
            hue: 0.1,
            grayscale: 0.2,
            erase: 0.5,
            rand_augment: Some(RandAugment::default()),
            ..ImageAugment::default()
        };
        assert_eq!(augment.check(), Ok(()));
        let picture =
            |id: &str| augment.apply(&gradient(48), 32, Filter::Bilinear, &mut Draw::new(7, 3, id, "image"));
        assert_eq!(picture("a"), picture("a"));
        assert_ne!(picture("a"), picture("b"));
        for id in 0..200 {
            let values = picture(&id.to_string());
            assert_eq!(values.len(), 32 * 32 * 3);
            assert!(values.iter().all(|v| (0.0..=1.0).contains(v)));
        }
    }
}
