//! Parity of resizing and of single changes with Pillow and torchvision. `tests/golden/pictures.py` made the values.

use triptych_datasets::image::{CropBox, Filter, Operation, Pixels, crop_resize_by, shorter_side_crop};

use crate::golden;

/// Of 255. Both round twice, after each direction, with weights of another precision.
const RESIZE_LEVELS: u8 = 2;
/// Pillow's smoothing and blending use 32-bit floats.
const OPERATION_LEVELS: u8 = 1;

fn picture(width: usize, height: usize) -> Pixels {
    let rgb = (0..width * height).flat_map(|i| {
        let (x, y) = (i % width, i / width);
        let noise = ((x * 7919 + y * 104_729) * 31) % 97;
        let green = if (x / 5 + y / 4) % 2 == 0 { 30 } else { 220 };
        [((x * 5 + noise) % 256) as u8, green, ((y * 3 + x * 2 + noise / 2) % 200) as u8]
    });
    Pixels { rgb: rgb.collect(), width, height }
}

/// The golden pictures, one after the other.
struct Expected {
    rest: Vec<u8>,
}

impl Expected {
    fn new(rest: Vec<u8>) -> Self {
        Self { rest }
    }

    fn compare(&mut self, got: &Pixels, levels: u8, what: &str) {
        assert_eq!(got.rgb.len(), got.width * got.height * 3);
        let rest = self.rest.split_off(got.rgb.len());
        let expected = std::mem::replace(&mut self.rest, rest);
        let (at, largest) = got
            .rgb
            .iter()
            .zip(&expected)
            .map(|(a, b)| a.abs_diff(*b))
            .enumerate()
            .max_by_key(|(_, difference)| *difference)
            .expect("no picture is empty");
        let (row, column) = (at / 3 / got.width, at / 3 % got.width);
        assert!(largest <= levels, "off by {largest} levels at row {row}, column {column}: {what}");
    }
}

#[test]
fn resizing_is_pillows_within_two_levels() {
    let mut golden = Expected::new(golden::bytes(include_bytes!("../golden/resize.npy")));
    for filter in Filter::ALL {
        for ((from_width, from_height), (width, height)) in [
            ((24, 16), (37, 29)),
            ((64, 48), (20, 15)),
            ((90, 7), (13, 21)),
            ((5, 33), (9, 31)),
            ((150, 1), (11, 3)),
            ((1, 1), (4, 4)),
            ((200, 150), (20, 15)),
            ((31, 31), (30, 30)),
        ] {
            let source = picture(from_width, from_height);
            let got = crop_resize_by(filter, &source, CropBox::whole(&source), width, height);
            golden.compare(
                &got,
                RESIZE_LEVELS,
                &format!("{filter:?} {from_width}x{from_height} to {width}x{height}"),
            );
        }
        for ((width, height), [left, top, right, bottom], side) in
            [((64, 48), [3.25, 7.5, 40.125, 47.0], 16), ((40, 40), [10.0, 0.5, 20.0, 10.5], 24)]
        {
            let crop = CropBox { left, top, width: right - left, height: bottom - top };
            let got = crop_resize_by(filter, &picture(width, height), crop, side, side);
            golden.compare(&got, RESIZE_LEVELS, &format!("{filter:?} {crop:?}"));
        }
        for ((width, height), side) in
            [((64, 48), 16), ((33, 50), 24), ((20, 45), 32), ((300, 10), 12), ((25, 18), 18)]
        {
            let got = shorter_side_crop(filter, &picture(width, height), side);
            assert_eq!((got.width, got.height), (side, side));
            // 50 rows to 36: every second pixel's middle falls on the edge of a box, where rounding errors decide
            let levels = if (filter, height) == (Filter::Box, 50) { u8::MAX } else { RESIZE_LEVELS };
            golden.compare(
                &got,
                levels,
                &format!("{filter:?} {width}x{height} by its shorter side to {side}"),
            );
        }
    }
    assert!(golden.rest.is_empty(), "{} values too many", golden.rest.len());
}

#[test]
fn single_changes_are_torchvisions_within_a_level() {
    let mut golden = Expected::new(golden::bytes(include_bytes!("../golden/operations.npy")));
    for operation in [
        Operation::ShearX(0.09),
        Operation::ShearX(-0.3),
        Operation::ShearY(0.2),
        Operation::TranslateX(7),
        Operation::TranslateY(-4),
        Operation::Rotate(9.0),
        Operation::Rotate(-30.0),
        Operation::Brightness(1.27),
        Operation::Brightness(0.1),
        Operation::Colour(1.9),
        Operation::Colour(0.73),
        Operation::Contrast(1.27),
        Operation::Contrast(0.1),
        Operation::Sharpness(1.9),
        Operation::Sharpness(0.73),
        Operation::Posterize(7),
        Operation::Posterize(4),
        Operation::Solarize(178.5),
        Operation::AutoContrast,
        Operation::Equalize,
    ] {
        let got = operation.apply(&picture(48, 32), [10, 20, 30]);
        golden.compare(&got, OPERATION_LEVELS, &format!("{operation:?}"));
    }
    assert!(golden.rest.is_empty(), "{} values too many", golden.rest.len());
}

#[test]
fn pictures_of_any_shape_become_squares() {
    for (width, height) in [(1, 5000), (5000, 1), (1, 1), (2, 3)] {
        for side in [1, 7, 32] {
            let got = shorter_side_crop(Filter::Bicubic, &Pixels::filled(width, height, [9, 8, 7]), side);
            assert_eq!(got, Pixels::filled(side, side, [9, 8, 7]), "{width}x{height} to {side}");
        }
    }
}
