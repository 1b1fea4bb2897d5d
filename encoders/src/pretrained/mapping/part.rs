//! What makes up a parameter, or a share of its last axis.

use std::ops::Range;

use super::layout::Layout;

/// Published tensors, or the lack of one, that make up a parameter or a share of its last axis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Part {
    /// The tensor of that name.
    Tensor(String, Layout),
    /// Some of the equal shares into which the first axis of the tensor of that name is cut: all of its shares must be
    /// parts of some parameter. PyTorch's packed attention holds queries, keys and values so.
    Share {
        /// The tensor's name.
        published: String,
        /// How the share lies against ours.
        layout: Layout,
        /// Which shares.
        shares: Range<usize>,
        /// Into how many it is cut.
        of: usize,
    },
    /// A weight that is published as a direction and its lengths, `w = g v / |v|`, with a length for each place of
    /// one axis (Salimans and Kingma 2016). On export the direction is the weight itself.
    WeightNorm {
        /// Name of the direction `v`.
        direction: String,
        /// Name of the lengths `g`, whose shape is 1 but for `axis`.
        lengths: String,
        /// How the weight lies against ours.
        layout: Layout,
        /// The axis of the published weight that the lengths run along.
        axis: usize,
    },
    /// Zeros: the published model does without. On export our values must be zeros too.
    Zeros,
    /// Zeros, of which our values may be anything, as they have no effect: they are left out on export. The bias of an
    /// attention's keys is such, for it adds the same to all scores of a query.
    WithoutEffect,
}

/// A published tensor that a part needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Needed<'a> {
    pub(super) name: &'a str,
    pub(super) shape: Vec<usize>,
    /// Which of its values the part holds.
    pub(super) range: Range<usize>,
}

impl Part {
    /// The published tensors of a part of that shape in our parameter, or none where it cannot be laid out so.
    pub(super) fn needed(&self, ours: &[usize]) -> Option<Vec<Needed<'_>>> {
        let whole = |name, shape: Vec<usize>| {
            let range = 0..shape.iter().product();
            Needed { name, shape, range }
        };
        match self {
            Self::Zeros | Self::WithoutEffect => Some(Vec::new()),
            Self::Tensor(name, layout) => Some(vec![whole(name, layout.published_shape(ours)?)]),
            Self::Share { published, layout, shares, of } => {
                let mut shape = layout.published_shape(ours)?;
                let first = shape
                    .first_mut()
                    .filter(|first| !shares.is_empty() && first.is_multiple_of(shares.len()))?;
                *first = *first / shares.len() * of;
                let n = shape.iter().product::<usize>() / of;
                Some(vec![Needed { name: published, shape, range: n * shares.start..n * shares.end }])
            }
            Self::WeightNorm { direction, lengths, layout, axis } => {
                let shape = layout.published_shape(ours)?;
                let mut ones = vec![1; shape.len()];
                *ones.get_mut(*axis)? = shape[*axis];
                Some(vec![whole(direction, shape), whole(lengths, ones)])
            }
        }
    }

    /// Our values from those of the whole published tensors, in the order of [`needed`](Self::needed).
    pub(super) fn import(&self, ours: &[usize], mut tensors: Vec<Vec<f32>>) -> Vec<f32> {
        let needed = self.needed(ours).unwrap_or_default();
        match (self, needed.as_slice(), tensors.as_mut_slice()) {
            (Self::Tensor(_, layout), [Needed { shape, .. }], [values]) => {
                layout.import(std::mem::take(values), ours, shape)
            }
            (Self::Share { layout, .. }, [Needed { range, .. }], [values]) => {
                let shape = layout.published_shape(ours).unwrap_or_default();
                layout.import(values[range.clone()].to_vec(), ours, &shape)
            }
            (Self::WeightNorm { layout, axis, .. }, [Needed { shape, .. }, _], [direction, lengths]) => {
                let norms = norms(direction, shape, *axis);
                let factors =
                    lengths.iter().zip(norms).map(|(length, norm)| length / norm).collect::<Vec<_>>();
                for_each_along(shape, *axis, |i, place| direction[i] *= factors[place]);
                layout.import(std::mem::take(direction), ours, shape)
            }
            _ => vec![0.0; ours.iter().product()],
        }
    }

    /// The values of the `n`th published tensor of [`needed`](Self::needed), or those of its range, from ours.
    pub(super) fn export(&self, ours: &[usize], values: Vec<f32>, n: usize) -> Vec<f32> {
        match self {
            Self::Zeros | Self::WithoutEffect => Vec::new(),
            Self::Tensor(_, layout) | Self::Share { layout, .. } => {
                layout.export(values, ours, &layout.published_shape(ours).unwrap_or_default())
            }
            Self::WeightNorm { layout, axis, .. } => {
                let shape = layout.published_shape(ours).unwrap_or_default();
                let weight = layout.export(values, ours, &shape);
                if n == 0 { weight } else { norms(&weight, &shape, *axis) }
            }
        }
    }
}

/// The Euclidean lengths of a tensor's parts for each place of an axis.
fn norms(values: &[f32], shape: &[usize], axis: usize) -> Vec<f32> {
    let mut squares = vec![0.0_f64; shape[axis]];
    for_each_along(shape, axis, |i, place| squares[place] += f64::from(values[i]).powi(2));
    squares.into_iter().map(|square| square.sqrt() as f32).collect()
}

/// Calls `visit` with every value's number and its place along an axis.
fn for_each_along(shape: &[usize], axis: usize, mut visit: impl FnMut(usize, usize)) {
    let stride = shape[axis + 1..].iter().product::<usize>().max(1);
    for i in 0..shape.iter().product() {
        visit(i, i / stride % shape[axis]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_norm_is_folded_and_taken_apart_again() {
        let part = Part::WeightNorm {
            direction: "v".to_owned(),
            lengths: "g".to_owned(),
            layout: Layout::Transposed,
            axis: 1,
        };
        // ours is [2, 3], the published weight [3, 2] with a length for each of its two columns
        let needed = part.needed(&[2, 3]).expect("it fits");
        assert_eq!(
            needed.iter().map(|needed| needed.shape.clone()).collect::<Vec<_>>(),
            [vec![3, 2], vec![1, 2]]
        );
        let direction = vec![1.0, 3.0, 2.0, 0.0, 2.0, 4.0];
        let weight = part.import(&[2, 3], vec![direction, vec![6.0, 10.0]]);
        assert_eq!(weight, [2.0, 4.0, 4.0, 6.0, 0.0, 8.0]);
        assert_eq!(part.export(&[2, 3], weight.clone(), 0), [2.0, 6.0, 4.0, 0.0, 4.0, 8.0]);
        assert_eq!(part.export(&[2, 3], weight, 1), [6.0, 10.0]);
    }

    #[test]
    fn a_share_is_cut_out_of_the_first_axis() {
        let part = Part::Share { published: "x".to_owned(), layout: Layout::Transposed, shares: 1..3, of: 3 };
        // ours is [1, 4]: two of three shares of two rows
        let needed = part.needed(&[1, 4]).expect("it fits");
        assert_eq!(needed, [Needed { name: "x", shape: vec![6, 1], range: 2..6 }]);
        assert_eq!(part.import(&[1, 4], vec![vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]]), [2.0, 3.0, 4.0, 5.0]);
        assert_eq!(part.needed(&[1, 3]), None);
    }
}
