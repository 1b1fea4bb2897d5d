//! How the axes of a published tensor lie against those of ours.

/// The order of a published tensor's values against that of ours, in both directions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The same axes.
    Same,
    /// The axes of a matrix exchanged: a linear map is `[d_out, d_in]` in PyTorch and `[d_in, d_out]` here.
    Transposed,
    /// A convolution's kernel `[d_out, d_in, kernel..]`, with these lengths of the kernel's axes, against the matrix
    /// `[kernel.. * d_in, d_out]` that [`unfold`](crate::layers::ops::unfold)ed patches are multiplied with.
    Kernel(Vec<usize>),
    /// The kernel `[d_out, d_in / n_groups, kernel..]` of a convolution in groups of channels, against one matrix a group,
    /// `[n_groups, kernel.. * d_in / n_groups, d_out / n_groups]`.
    GroupedKernel(Vec<usize>),
    /// The axes in another order: axis `i` of ours is axis `axes[i]` of the published tensor.
    Permuted(Vec<usize>),
    /// The same values in the same order under another shape, that of the published tensor.
    Shaped(Vec<usize>),
}

impl Layout {
    /// The shape of the published tensor for one of ours, or none where ours cannot be laid out so.
    pub(crate) fn published_shape(&self, ours: &[usize]) -> Option<Vec<usize>> {
        match (self, ours) {
            (Self::Same, _) => Some(ours.to_vec()),
            (Self::Transposed, &[rows, columns]) => Some(vec![columns, rows]),
            (Self::Kernel(kernel), &[rows, d_out]) => {
                let n_taps = kernel.iter().product::<usize>();
                let d_in = rows.checked_div(n_taps).filter(|d_in| d_in * n_taps == rows)?;
                Some([&[d_out, d_in], kernel.as_slice()].concat())
            }
            (Self::GroupedKernel(kernel), &[n_groups, rows, d_out]) => {
                let [_, d_in, ..] = Self::Kernel(kernel.clone()).published_shape(&[rows, d_out])?[..] else {
                    return None;
                };
                Some([&[n_groups * d_out, d_in], kernel.as_slice()].concat())
            }
            (Self::Permuted(axes), _) => {
                let mut shape = vec![None; ours.len()];
                for (&axis, &length) in axes.iter().zip(ours) {
                    *shape.get_mut(axis)? = Some(length);
                }
                (axes.len() == ours.len()).then_some(shape)?.into_iter().collect()
            }
            (Self::Shaped(shape), _) => {
                (shape.iter().product::<usize>() == ours.iter().product::<usize>()).then(|| shape.clone())
            }
            _ => None,
        }
    }

    /// A published tensor of `shape` as it has to be looked at, and its axes in our order; none where that is their own.
    fn axes(&self, ours: &[usize], shape: &[usize]) -> Option<(Vec<usize>, Vec<usize>)> {
        let kernel_first =
            |n_before: usize, kernel: &[usize]| (n_before..n_before + kernel.len()).collect::<Vec<_>>();
        let axes = match self {
            Self::Same | Self::Shaped(_) => return None,
            Self::Transposed => vec![1, 0],
            Self::Kernel(kernel) => [kernel_first(2, kernel), vec![1, 0]].concat(),
            Self::Permuted(axes) => axes.clone(),
            Self::GroupedKernel(kernel) => {
                let n_groups = ours.first().copied().unwrap_or(1);
                let grouped = [&[n_groups, shape[0] / n_groups.max(1)], &shape[1..]].concat();
                return Some((grouped, [vec![0], kernel_first(3, kernel), vec![2, 1]].concat()));
            }
        };
        Some((shape.to_vec(), axes))
    }

    /// The values of a published tensor of `shape` in the order of ours.
    pub(crate) fn import(&self, values: Vec<f32>, ours: &[usize], shape: &[usize]) -> Vec<f32> {
        match self.axes(ours, shape) {
            None => values,
            Some((shape, axes)) => permuted(&values, &shape, &axes),
        }
    }

    /// Our values in the order of a published tensor of `shape`.
    pub(crate) fn export(&self, values: Vec<f32>, ours: &[usize], shape: &[usize]) -> Vec<f32> {
        let Some((shape, axes)) = self.axes(ours, shape) else { return values };
        let ours = axes.iter().map(|&axis| shape[axis]).collect::<Vec<_>>();
        let mut back = vec![0; axes.len()];
        for (our_axis, &axis) in axes.iter().enumerate() {
            back[axis] = our_axis;
        }
        permuted(&values, &ours, &back)
    }
}

/// Side of the squares in which a matrix is transposed, so that what is read and written stays in the cache.
const TILE: usize = 32;

/// The values with axis `axes[i]` of `shape` as axis `i`.
fn permuted(values: &[f32], shape: &[usize], axes: &[usize]) -> Vec<f32> {
    if let (&[n_rows, n_columns], [1, 0]) = (shape, axes) {
        return transposed(values, n_rows, n_columns);
    }
    let mut strides = vec![1; shape.len()];
    for axis in (1..shape.len()).rev() {
        strides[axis - 1] = strides[axis] * shape[axis];
    }
    let lengths = axes.iter().map(|&axis| shape[axis]).collect::<Vec<_>>();
    let steps = axes.iter().map(|&axis| strides[axis]).collect::<Vec<_>>();
    let mut position = vec![0; axes.len()];
    let mut at = 0;
    let mut out = Vec::with_capacity(values.len());
    for _ in 0..values.len() {
        out.push(values[at]);
        for axis in (0..axes.len()).rev() {
            position[axis] += 1;
            at += steps[axis];
            if position[axis] < lengths[axis] {
                break;
            }
            at -= position[axis] * steps[axis];
            position[axis] = 0;
        }
    }
    out
}

fn transposed(values: &[f32], n_rows: usize, n_columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; values.len()];
    for row_start in (0..n_rows).step_by(TILE) {
        let rows = row_start..(row_start + TILE).min(n_rows);
        for column_start in (0..n_columns).step_by(TILE) {
            for column in column_start..(column_start + TILE).min(n_columns) {
                let out = &mut out[column * n_rows + rows.start..][..rows.len()];
                for (out, row) in out.iter_mut().zip(rows.clone()) {
                    *out = values[row * n_columns + column];
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use burn::prelude::*;
    use burn::tensor::ops::ConvOptions;
    use proptest::prelude::*;

    use super::*;
    use crate::layers::ops::{linear, unfold};

    fn numbers(shape: &[usize]) -> Vec<f32> {
        (0..shape.iter().product::<usize>()).map(|i| (i * 7 % 31) as f32 - 15.0).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn what_is_imported_is_exported_as_it_was(
            sides in [1_usize..70, 1_usize..70],
            kernel in prop::collection::vec(1_usize..4, 1..3),
            axes in Just(vec![0, 1, 2]).prop_shuffle(),
        ) {
            let [a, b] = sides;
            let n_taps = kernel.iter().product::<usize>();
            for (layout, ours) in [
                (Layout::Same, vec![a, b]),
                (Layout::Transposed, vec![a, b]),
                (Layout::Kernel(kernel.clone()), vec![n_taps * a, b]),
                (Layout::GroupedKernel(kernel.clone()), vec![3, n_taps * a, b]),
                (Layout::Permuted(axes.clone()), vec![a, 3, b]),
                (Layout::Shaped(vec![1, a * b]), vec![a, b]),
            ] {
                let shape = layout.published_shape(&ours).expect("it fits");
                let published = numbers(&shape);
                let imported = layout.import(published.clone(), &ours, &shape);
                prop_assert_eq!(layout.export(imported, &ours, &shape), published, "{:?}", layout);
            }
        }
    }

    #[test]
    fn a_transposed_matrix_and_a_permuted_map_lie_as_they_should() {
        assert_eq!(
            Layout::Transposed.import(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 2], &[2, 3]),
            [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]
        );
        let permuted = Layout::Permuted(vec![2, 0, 1]);
        assert_eq!(permuted.published_shape(&[3, 1, 2]), Some(vec![1, 2, 3]));
        assert_eq!(
            permuted.import(vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &[3, 1, 2], &[1, 2, 3]),
            [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]
        );
    }

    #[test]
    fn shapes_that_cannot_be_laid_out_so_have_none() {
        assert_eq!(Layout::Kernel(vec![3, 3]).published_shape(&[10, 4]), None);
        assert_eq!(Layout::Kernel(vec![0]).published_shape(&[10, 4]), None);
        assert_eq!(Layout::Transposed.published_shape(&[10]), None);
        assert_eq!(Layout::Permuted(vec![0, 0]).published_shape(&[2, 3]), None);
        assert_eq!(Layout::Permuted(vec![0, 5]).published_shape(&[2, 3]), None);
        assert_eq!(Layout::Shaped(vec![5]).published_shape(&[2, 3]), None);
    }

    #[test]
    fn an_imported_kernel_convolves_as_the_published_one() {
        let device = Device::flex();
        let tensor =
            |shape: [usize; 4]| Tensor::<4>::from_data(TensorData::new(numbers(&shape), shape), &device);
        // [batch, height, width, channels] and [d_out, d_in, kernel_h, kernel_w]
        let (picture, kernel) = (tensor([2, 6, 5, 3]), [4, 3, 3, 2]);
        let options = ConvOptions::new([2, 1], [1, 0], [1, 1], 1);
        let expected = burn::tensor::module::conv2d(
            picture.clone().permute([0, 3, 1, 2]),
            tensor(kernel),
            None,
            options,
        );
        let layout = Layout::Kernel(vec![3, 2]);
        assert_eq!(layout.published_shape(&[18, 4]).as_deref(), Some(kernel.as_slice()));
        let weight = layout.import(numbers(&kernel), &[18, 4], &kernel);
        let weight = Tensor::<2>::from_data(TensorData::new(weight, [18, 4]), &device);
        let got = linear(unfold(picture, [3, 2], [2, 1], [1, 0]), weight, None);
        // whole numbers, whose sums are exact
        assert_eq!(got.into_data(), expected.permute([0, 2, 3, 1]).into_data());
    }
}
