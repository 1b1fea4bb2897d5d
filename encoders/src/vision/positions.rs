//! Learned positions of a grid of patches, for grids of other sizes.

use burn::prelude::*;

/// The positions between which those of another grid lie: bicubic interpolation, the ends held on beyond the edge.
///
/// # Shapes
/// `[from[0] * from[1], d_model]` -> `[to[0] * to[1], d_model]`, row by row
///
/// # Reference
/// PyTorch's `interpolate(mode="bicubic", align_corners=False)` as `transformers` calls it in
/// `ViTEmbeddings.interpolate_pos_encoding`.
pub(crate) fn interpolated(positions: Tensor<2>, from: [usize; 2], to: [usize; 2]) -> Tensor<2> {
    if from == to {
        return positions;
    }
    let ([_, d_model], device) = (positions.dims(), positions.device());
    let [rows, columns] = [0, 1].map(|axis| weights(from[axis], to[axis], &device));
    let map = rows.matmul(positions.reshape([from[0], from[1] * d_model]));
    let map = map.reshape([to[0], from[1], d_model]).swap_dims(0, 1);
    let map = columns.matmul(map.reshape([from[1], to[0] * d_model]));
    map.reshape([to[1], to[0], d_model]).swap_dims(0, 1).reshape([to[0] * to[1], d_model])
}

/// How much of each old place there is in each new one.
///
/// # Shapes
/// -> `[n_to, n_from]`
fn weights(n_from: usize, n_to: usize, device: &Device) -> Tensor<2> {
    let mut weights = vec![0.0_f32; n_to * n_from];
    for (to, row) in weights.chunks_exact_mut(n_from).enumerate() {
        let at = (to as f64 + 0.5) * n_from as f64 / n_to as f64 - 0.5;
        for tap in -1..=2 {
            let place = at.floor() + f64::from(tap);
            let nearest = place.clamp(0.0, (n_from - 1) as f64) as usize;
            row[nearest] += cubic(at - place) as f32;
        }
    }
    Tensor::from_data(TensorData::new(weights, [n_to, n_from]), device)
}

/// Keys's 1981 kernel with PyTorch's slope.
fn cubic(distance: f64) -> f64 {
    const SLOPE: f64 = -0.75;
    let x = distance.abs();
    if x <= 1.0 {
        ((SLOPE + 2.0) * x - (SLOPE + 3.0)) * x * x + 1.0
    } else if x < 2.0 {
        ((x - 5.0) * x + 8.0) * x * SLOPE - 4.0 * SLOPE
    } else {
        0.0
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Tolerance;

    use super::*;

    /// PyTorch computes the weights in single precision; values are up to 5.
    const TOLERANCE: f32 = 2e-6;

    #[test]
    fn positions_between_positions_are_those_of_pytorch() {
        // torch.nn.functional.interpolate(x[None, None], size=(5, 2), mode="bicubic", align_corners=False), torch 2.15
        let grid = [[0.0, 1.0, 4.0], [2.0, -1.0, 3.0], [5.0, 0.5, -2.0]];
        let expected: [[f32; 2]; 5] = [
            [0.0194688, 3.4867191],
            [0.3238446, 3.0827644],
            [1.1796875, 1.9882812],
            [3.0237737, -0.301164],
            [4.345_672, -1.9354845],
        ];
        let positions = Tensor::<2>::from_floats(grid, &Device::flex()).reshape([9, 1]);
        let got = interpolated(positions, [3, 3], [5, 2]).into_data();
        let expected = TensorData::new(expected.as_flattened().to_vec(), [10, 1]);
        got.assert_approx_eq::<f32>(&expected, Tolerance::absolute(TOLERANCE));
    }

    #[test]
    fn a_constant_stays_one_at_any_size() {
        let positions = Tensor::<2>::full([6, 3], 0.25, &Device::flex());
        let got = interpolated(positions, [2, 3], [7, 4]);
        assert_eq!(got.dims(), [28, 3]);
        got.into_data().assert_approx_eq::<f32>(
            &Tensor::<2>::full([28, 3], 0.25, &Device::flex()).into_data(),
            Tolerance::absolute(TOLERANCE),
        );
    }
}
