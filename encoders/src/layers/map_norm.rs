//! Normalisations of maps that stand where residual networks had batch normalisation.

use burn::module::{Module, Param};
use burn::prelude::*;
use serde::{Deserialize, Serialize};

use super::initializer::Initializer;
use super::norm::Norm;

/// Which normalisation stands behind a convolution. None looks at another picture of the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MapNormKind {
    /// Over the places and the channels of each of this many groups of channels (Wu and He 2018; 32 there).
    Group(usize),
    /// None but a scale and a shift: batch normalisation with frozen statistics, for weights that were trained with it.
    Frozen,
}

/// A normalisation of a map, scaled and shifted channel by channel.
#[derive(Module, Debug)]
pub struct MapNorm {
    gamma: Param<Tensor<1>>,
    beta: Param<Tensor<1>>,
    /// 0 for none.
    n_groups: usize,
}

impl MapNorm {
    /// Starts as the plain normalisation; the groups must divide the channels.
    pub fn new(kind: MapNormKind, channels: usize, init: &mut Initializer) -> Self {
        let n_groups = match kind {
            MapNormKind::Group(n_groups) => n_groups,
            MapNormKind::Frozen => 0,
        };
        Self { gamma: init.constant([channels], 1.0), beta: init.constant([channels], 0.0), n_groups }
    }

    /// # Shapes
    /// `[batch, height, width, channels]` -> the same
    pub fn forward(&self, map: Tensor<4>) -> Tensor<4> {
        let [batch, height, width, channels] = map.dims();
        let map = match self.n_groups {
            0 => map,
            n_groups => {
                // places, groups, channels of a group
                let grouped = map.reshape([batch, height * width, n_groups, channels / n_groups]);
                let mean = |x: Tensor<4>| x.mean_dim(3).mean_dim(1);
                let centred = grouped.clone() - mean(grouped);
                let variance = mean(centred.clone().square());
                (centred / (variance + Norm::EPSILON).sqrt()).reshape([batch, height, width, channels])
            }
        };
        map * self.gamma.val().unsqueeze::<4>() + self.beta.val().unsqueeze::<4>()
    }
}
