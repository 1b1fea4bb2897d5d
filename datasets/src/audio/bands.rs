//! Changes along the bands of log-mel frames: centring them, and moving a voice's resonances.

use super::Frames;

/// Keeps a clip of one value from being blown up to noise.
const SPREAD_FLOOR: f32 = 1e-3;

/// Centres each band over the clip, then scales all to unit spread: what a microphone, a room and the timbre of a
/// voice add to every frame is taken out.
///
/// # Reference
/// Cepstral mean and variance normalisation (Viikki and Laurila 1998), on log-mel bands and with one variance.
pub(super) fn normalise_bands(frames: &mut Frames) {
    let Frames { values, n_frames, n_mels } = frames;
    if *n_frames == 0 {
        return;
    }
    for band in 0..*n_mels {
        let mean = values.iter().skip(band).step_by(*n_mels).sum::<f32>() / *n_frames as f32;
        values.iter_mut().skip(band).step_by(*n_mels).for_each(|value| *value -= mean);
    }
    let variance = values.iter().map(|value| value * value).sum::<f32>() / values.len() as f32;
    let scale = 1.0 / variance.sqrt().max(SPREAD_FLOOR);
    values.iter_mut().for_each(|value| *value *= scale);
}

/// Stretches the bands by `factor`, as a longer (below 1) or shorter (above 1) vocal tract does: what stood in band
/// `factor * b` then stands in band `b`, interpolated; the highest band stands in for those above it.
///
/// # Reference
/// Jaitly and Hinton 2013 ("Vocal tract length perturbation"), with one factor for all bands.
pub(super) fn warp_bands(frames: &mut Frames, factor: f32) {
    let n_mels = frames.n_mels;
    let mut warped = vec![0.0; n_mels];
    for frame in frames.values.chunks_exact_mut(n_mels) {
        for (band, value) in warped.iter_mut().enumerate() {
            let place = (band as f32 * factor).min((n_mels - 1) as f32);
            let below = place as usize;
            let above = (below + 1).min(n_mels - 1);
            *value = frame[below] + (frame[above] - frame[below]) * (place - below as f32);
        }
        frame.copy_from_slice(&warped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip() -> Frames {
        Frames {
            values: (0..30 * 8).map(|i| ((i * 37) % 23) as f32 - 4.0).collect(),
            n_frames: 30,
            n_mels: 8,
        }
    }

    #[test]
    fn what_is_added_to_every_frame_of_a_band_makes_no_difference() {
        let (mut plain, mut coloured) = (clip(), clip());
        for frame in coloured.values.chunks_exact_mut(8) {
            frame.iter_mut().enumerate().for_each(|(band, value)| *value += band as f32 * 0.7);
        }
        normalise_bands(&mut plain);
        normalise_bands(&mut coloured);
        assert!(plain.values.iter().zip(&coloured.values).all(|(a, b)| (a - b).abs() < 1e-5));
        let variance = plain.values.iter().map(|v| v * v).sum::<f32>() / plain.values.len() as f32;
        assert!((variance - 1.0).abs() < 1e-4);
    }

    #[test]
    fn silence_and_nothing_stay_finite() {
        let mut silence = Frames { values: vec![-1.0; 40], n_frames: 5, n_mels: 8 };
        normalise_bands(&mut silence);
        assert!(silence.values.iter().all(|value| *value == 0.0));
        normalise_bands(&mut Frames { values: vec![], n_frames: 0, n_mels: 8 });
    }

    #[test]
    fn a_warp_of_one_changes_nothing_and_another_moves_a_ramp_along() {
        let mut frames = clip();
        warp_bands(&mut frames, 1.0);
        assert_eq!(frames, clip());
        let mut ramp = Frames { values: (0..8).map(|band| band as f32).collect(), n_frames: 1, n_mels: 8 };
        warp_bands(&mut ramp, 0.5);
        assert_eq!(ramp.values, [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]);
    }
}
