//! Positions as sines and cosines, which are computed and not learned.

use burn::prelude::*;

/// Whisper's: the sines of a position over all time scales, then the cosines; the time scales grow from 1 to 10,000.
///
/// # Shapes
/// -> `[n_tokens, d_model]`, an even `d_model`
///
/// # Reference
/// whisper `model.py`, `sinusoids`.
pub fn absolute(n_tokens: usize, d_model: usize, device: &Device) -> Tensor<2> {
    let half = d_model / 2;
    let step = 10_000_f64.ln() / half.saturating_sub(1).max(1) as f64;
    let value = |place: usize, channel: usize| {
        let angle = place as f64 * (-step * (channel % half) as f64).exp();
        if channel < half { angle.sin() } else { angle.cos() }
    };
    table(0..n_tokens, [n_tokens, d_model], value, device)
}

/// Those of the distances between `n_tokens`, from `n_tokens - 1` down to `1 - n_tokens`: sines and cosines in turn.
///
/// # Shapes
/// -> `[2 * n_tokens - 1, d_model]`, an even `d_model`
///
/// # Reference
/// Dai et al. 2019, "Transformer-XL", section 3.3, with the sinusoids of Vaswani et al. 2017, section 3.5.
///
/// # Panics
/// When there are no tokens.
pub fn relative(n_tokens: usize, d_model: usize, device: &Device) -> Tensor<2> {
    let n_distances = 2 * n_tokens - 1;
    let value = |row: usize, channel: usize| {
        let distance = n_tokens as f64 - 1.0 - row as f64;
        let angle = distance / 10_000_f64.powf((channel - channel % 2) as f64 / d_model as f64);
        if channel.is_multiple_of(2) { angle.sin() } else { angle.cos() }
    };
    table(0..n_distances, [n_distances, d_model], value, device)
}

/// In double precision up to the rounding: a late position times a slow frequency loses digits otherwise.
fn table(
    rows: std::ops::Range<usize>,
    shape: [usize; 2],
    value: impl Fn(usize, usize) -> f64 + Copy,
    device: &Device,
) -> Tensor<2> {
    let values = rows.flat_map(|row| (0..shape[1]).map(move |channel| value(row, channel) as f32));
    Tensor::from_data(TensorData::new(values.collect::<Vec<_>>(), shape), device)
}
