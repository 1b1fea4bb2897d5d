//! RandAugment: a few changes of one strength, drawn from a table.

use serde::{Deserialize, Serialize};

use super::{Operation, Pixels};
use crate::draw::Draw;

/// Strengths are counted in so many steps from nothing to the most.
const N_STEPS: f64 = 30.0;
const N_OPERATIONS: usize = 14;

/// How many changes, and how strong.
///
/// Each is one of 14, drawn evenly and with replacement. `m` is the magnitude as a part of 30; the ones marked ± go either
/// way with even chance:
///
/// | change | strength |
/// |---|---|
/// | nothing, stretched contrast, equalised histogram | |
/// | shear along x, y ± | `0.3 m` |
/// | move along x, y ± | `150 / 331 m` of the picture's side, in whole pixels |
/// | turn ± | `30 m` degrees |
/// | brightness, colour, contrast, sharpness ± | factor `1 + 0.9 m` |
/// | posterize | `8 - 4 m` bits, rounded |
/// | solarize | from `255 (1 - m)` on |
///
/// # Reference
/// Cubuk et al., "RandAugment", 2020, with the table of torchvision 0.26, `transforms.RandAugment`.
///
/// # Differences from the reference
/// The random numbers: here they belong to the sample's key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RandAugment {
    /// Changes a picture, one after the other; 0 changes nothing.
    pub n_ops: usize,
    /// 0 to 30.
    pub magnitude: f64,
    /// What comes in from outside the picture.
    pub fill: [u8; 3],
}

impl Default for RandAugment {
    fn default() -> Self {
        Self { n_ops: 2, magnitude: 9.0, fill: [0; 3] }
    }
}

impl RandAugment {
    /// What is wrong with the values, if anything.
    ///
    /// # Errors
    /// The first value out of its range, in words.
    pub fn check(&self) -> Result<(), String> {
        if self.n_ops > N_OPERATIONS {
            return Err(format!("n_ops: expected 0 to {N_OPERATIONS}, got {}", self.n_ops));
        }
        if !(0.0..=N_STEPS).contains(&self.magnitude) {
            return Err(format!("magnitude: expected 0 to {N_STEPS}, got {}", self.magnitude));
        }
        Ok(())
    }

    /// The picture after its changes.
    pub fn apply(&self, pixels: &Pixels, draw: &mut Draw) -> Pixels {
        let mut changed = pixels.clone();
        for _ in 0..self.n_ops {
            changed = self.operation(&changed, draw).apply(&changed, self.fill);
        }
        changed
    }

    /// The next change.
    pub fn operation(&self, pixels: &Pixels, draw: &mut Draw) -> Operation {
        let part = self.magnitude / N_STEPS;
        let number = draw.below(N_OPERATIONS);
        let sign = if draw.chance(0.5) { -1.0 } else { 1.0 };
        let moved = |side: usize| (sign * part * 150.0 / 331.0 * side as f64) as i32;
        let factor = (1.0 + sign * part * 0.9) as f32;
        match number {
            0 => Operation::Identity,
            1 => Operation::ShearX(sign * part * 0.3),
            2 => Operation::ShearY(sign * part * 0.3),
            3 => Operation::TranslateX(moved(pixels.width)),
            4 => Operation::TranslateY(moved(pixels.height)),
            5 => Operation::Rotate(sign * part * 30.0),
            6 => Operation::Brightness(factor),
            7 => Operation::Colour(factor),
            8 => Operation::Contrast(factor),
            9 => Operation::Sharpness(factor),
            10 => Operation::Posterize(8 - (part * 4.0).round_ties_even() as u32),
            11 => Operation::Solarize((255.0 * (1.0 - part)) as f32),
            12 => Operation::AutoContrast,
            _ => Operation::Equalize,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture() -> Pixels {
        let rgb = (0..24 * 16).flat_map(|i| [(i % 24 * 10) as u8, (i / 24 * 15) as u8, (i % 7 * 30) as u8]);
        Pixels { rgb: rgb.collect(), width: 24, height: 16 }
    }

    #[test]
    fn no_changes_change_nothing() {
        let off = RandAugment { n_ops: 0, ..RandAugment::default() };
        assert_eq!(off.apply(&picture(), &mut Draw::new(1, 0, "", "")), picture());
    }

    #[test]
    fn equal_keys_give_equal_pictures_of_the_same_size() {
        let augment = RandAugment::default();
        let of_key = |id: &str| augment.apply(&picture(), &mut Draw::new(1, 2, id, "image"));
        let mut n_changed = 0;
        for key in 0..200 {
            let changed = of_key(&key.to_string());
            assert_eq!(changed, of_key(&key.to_string()));
            assert_eq!((changed.width, changed.height), (24, 16));
            n_changed += usize::from(changed != picture());
        }
        assert!(n_changed > 150, "{n_changed} of 200 changed");
    }

    #[test]
    fn every_change_is_drawn_within_its_bounds() {
        let augment = RandAugment { magnitude: 30.0, ..RandAugment::default() };
        let mut draw = Draw::new(3, 0, "", "");
        let mut kinds = std::collections::HashSet::new();
        for _ in 0..1000 {
            let operation = augment.operation(&picture(), &mut draw);
            kinds.insert(std::mem::discriminant(&operation));
            let is_within = match operation {
                Operation::ShearX(amount) | Operation::ShearY(amount) => amount.abs() <= 0.3,
                Operation::TranslateX(by) => by.abs() == 10,
                Operation::TranslateY(by) => by.abs() == 7,
                Operation::Rotate(degrees) => degrees.abs() <= 30.0,
                Operation::Brightness(factor)
                | Operation::Colour(factor)
                | Operation::Contrast(factor)
                | Operation::Sharpness(factor) => (0.09..=1.91).contains(&factor),
                Operation::Posterize(bits) => bits == 4,
                Operation::Solarize(threshold) => threshold == 0.0,
                Operation::Identity | Operation::AutoContrast | Operation::Equalize => true,
            };
            assert!(is_within, "{operation:?}");
        }
        assert_eq!(kinds.len(), N_OPERATIONS);
    }

    #[test]
    fn magnitude_of_none_leaves_only_the_histograms_changes() {
        let augment = RandAugment { magnitude: 0.0, ..RandAugment::default() };
        let mut draw = Draw::new(3, 0, "", "");
        for _ in 0..300 {
            let operation = augment.operation(&picture(), &mut draw);
            let is_of_histogram = matches!(operation, Operation::AutoContrast | Operation::Equalize);
            // the brightest values are inverted even so
            let is_exempt = is_of_histogram || matches!(operation, Operation::Solarize(_));
            assert!(is_exempt || operation.apply(&picture(), [0; 3]) == picture(), "{operation:?}");
        }
    }

    #[test]
    fn values_out_of_range_are_named() {
        assert_eq!(RandAugment::default().check(), Ok(()));
        let problem = RandAugment { magnitude: 31.0, ..RandAugment::default() }.check();
        assert_eq!(problem, Err("magnitude: expected 0 to 30, got 31".to_owned()));
    }
}
