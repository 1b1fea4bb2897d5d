//! Joint masking: of all modalities of a sample a part is seen, and a part of the rest predicted from it.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_datasets::draw::Draw;
use triptych_encoders::{AudioInput, Modality};

use super::blanking::{BlankedPictures, BlankedSounds, grid};
use super::hidden_text::HiddenText;
use super::masked_image::lacks_patches;
use super::masks::budgets;
use super::options::{self, OptionError, Options};
use super::{Objective, PatchTargets, StepContext, lacks_tokens};
use crate::model::ModelConfig;

/// What a config may set of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct BudgetOptions {
    /// Share of a sample's tokens that is seen.
    seen: f64,
    /// Share of them that is predicted.
    predicted: f64,
    /// Concentration of the Dirichlet distribution that shares either out among the modalities: below 1, most go to one of
    /// them; above, each gets about the same.
    alpha: f64,
}

const DEFAULTS: BudgetOptions = BudgetOptions { seen: 0.4, predicted: 0.4, alpha: 1.0 };

/// Texts and pictures.
pub(super) const IMAGE_TEXT: JointMasking = JointMasking {
    name: "joint_masking_image_text",
    about: "parts of a picture and its text from other parts",
    modalities: &[Modality::Text, Modality::Image],
    options: DEFAULTS,
};

/// Texts and sounds.
pub(super) const AUDIO_TEXT: JointMasking = JointMasking {
    name: "joint_masking_audio_text",
    about: "parts of a sound and its text from other parts",
    modalities: &[Modality::Text, Modality::Audio],
    options: DEFAULTS,
};

/// Texts, pictures and sounds.
pub(super) const ALL: JointMasking = JointMasking {
    name: "joint_masking",
    about: "parts of a text, its picture and its sound from other parts (4M)",
    modalities: &Modality::ALL,
    options: DEFAULTS,
};

/// The mean of the modalities' losses: cross entropy of tokens, squared errors of normalised patches and of log-mel frames.
///
/// # Reference
/// Mizrahi et al. 2023 (4M), section 3.1: the numbers of tokens that are seen and predicted are fixed, and divided among the
/// modalities by draws from a Dirichlet distribution; within a modality they fall anywhere.
///
/// # Differences from the reference
/// Pictures and sounds are not told in discrete codes. What is not seen stands as masks and blanks in the encoders' inputs; each
/// modality is predicted at its places in the backbone, and there is no decoder. Numbers of tokens are shares of each sample's.
#[derive(Clone, Copy)]
pub(super) struct JointMasking {
    name: &'static str,
    about: &'static str,
    modalities: &'static [Modality],
    options: BudgetOptions,
}

/// What is hidden and what is predicted of one modality of a sample.
#[derive(Clone, Debug, Default, PartialEq)]
struct Part {
    hidden: Vec<bool>,
    counted: Vec<bool>,
}

impl BudgetOptions {
    /// A part for each modality, of `counts` tokens.
    fn draw(&self, counts: &[usize], draw: &mut Draw) -> Vec<Part> {
        let total = counts.iter().sum::<usize>() as f64;
        let [n_seen, n_predicted] = [self.seen, self.predicted].map(|share| (share * total).round() as usize);
        let alpha = self.alpha as f32;
        let seen = budgets(counts, n_seen, alpha, draw);
        let left = counts.iter().zip(&seen).map(|(count, seen)| count - seen).collect::<Vec<_>>();
        let predicted = budgets(&left, n_predicted.max(1), alpha, draw);
        let parts = counts.iter().zip(seen).zip(predicted).map(|((&count, n_seen), n_predicted)| {
            let order = draw.choose(count, count);
            let mut part = Part { hidden: vec![true; count], counted: vec![false; count] };
            order[..n_seen].iter().for_each(|&token| part.hidden[token] = false);
            order[n_seen..n_seen + n_predicted].iter().for_each(|&token| part.counted[token] = true);
            part
        });
        parts.collect()
    }
}

impl Objective for JointMasking {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn needs(&self) -> &'static [Modality] {
        self.modalities
    }

    fn options(&self) -> Options {
        options::table(&self.options)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let options: BudgetOptions = options::given(&self.options, given)?;
        options::check_share("seen", options.seen)?;
        options::check_share("predicted", options.predicted)?;
        if options.seen + options.predicted > 1.0 {
            return Err(OptionError::new("predicted", "at most what `seen` leaves of 1"));
        }
        if !(0.001..=1000.0).contains(&options.alpha) {
            return Err(OptionError::new("alpha", "between 0.001 and 1000"));
        }
        Ok(Box::new(Self { options, ..*self }))
    }

    fn lacks(&self, model: &ModelConfig) -> Option<String> {
        let of = |modality| match modality {
            Modality::Image => lacks_patches(model),
            _ => lacks_tokens(model, modality),
        };
        self.modalities.iter().copied().find_map(of)
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let places = context.shared(self.modalities)?;
        let place = |modality| {
            let idx = self.modalities.iter().position(|other| *other == modality)?;
            Some(places[idx].as_slice())
        };
        let material = Material::new(context, Modality::ALL.map(place))?;
        let n_rows = places[0].len();
        let draws = context.draws(self.name, self.modalities[0], &places[0]);
        // in the order of the objective's modalities, for each row
        let drawn = draws.into_iter().enumerate().map(|(row, mut draw)| {
            let counts = self.modalities.iter().map(|&modality| material.n_tokens(modality, row));
            self.options.draw(&counts.collect::<Vec<_>>(), &mut draw)
        });
        let drawn = drawn.collect::<Vec<_>>();
        let parts = |modality| {
            let idx = self.modalities.iter().position(|other| *other == modality);
            (0..n_rows).map(|row| idx.map_or_else(Part::default, |idx| drawn[row][idx].clone())).collect()
        };
        material.loss(context, Modality::ALL.map(parts))
    }
}

/// The rows that have all modalities, before anything is hidden.
struct Material {
    texts: Option<Vec<Vec<u32>>>,
    /// Pixels, and the values of a patch.
    pictures: Option<(Tensor<4>, usize)>,
    /// Sounds, their lengths in tokens, and the frames behind a token.
    sounds: Option<(AudioInput, Vec<usize>, usize)>,
}

impl Material {
    /// `places` are those of text, image and audio in their batches, where they are wanted.
    fn new(context: &StepContext<'_>, [text, image, audio]: [Option<&[usize]>; 3]) -> Option<Self> {
        let pictures = image.map(|places| {
            let d_patch = context.model.patches.as_ref()?.weight.dims()[1];
            Some((context.pixels_at(places)?, d_patch))
        });
        let sounds = audio.map(|places| {
            let d_token = context.model.frames.as_ref()?.weight.dims()[1];
            let input = context.sounds_at(places)?;
            let lengths = context.model.audio_token_lengths(&input);
            let frames_per_token = d_token / input.frames.dims()[2];
            Some((input, lengths, frames_per_token))
        });
        // wanted, but without a head
        if matches!(pictures, Some(None)) || matches!(sounds, Some(None)) {
            return None;
        }
        let texts = text.and_then(|places| context.texts_at(places));
        Some(Self { texts, pictures: pictures.flatten(), sounds: sounds.flatten() })
    }

    fn n_tokens(&self, modality: Modality, row: usize) -> usize {
        match modality {
            Modality::Text => self.texts.as_ref().map_or(0, |texts| texts[row].len()),
            Modality::Image => {
                self.pictures.as_ref().map_or(0, |(pixels, d_patch)| grid(pixels, *d_patch).iter().product())
            }
            Modality::Audio => self.sounds.as_ref().map_or(0, |(_, lengths, _)| lengths[row]),
        }
    }

    fn loss(self, context: &StepContext<'_>, [text, image, audio]: [Vec<Part>; 3]) -> Option<Tensor<1>> {
        let hidden = |parts: &[Part]| parts.iter().map(|part| part.hidden.clone()).collect::<Vec<_>>();
        let counted = |parts: &[Part]| parts.iter().map(|part| part.counted.clone()).collect::<Vec<_>>();
        let mut inputs = Vec::new();
        let texts = self.texts.map(|texts| {
            let seen = texts.iter().zip(&text).map(|(text, part)| {
                let tokens = text.iter().zip(&part.hidden);
                tokens.map(|(id, hidden)| if *hidden { context.token_ids.mask } else { *id }).collect()
            });
            let places = text.iter().map(|part| positions(&part.counted)).collect::<Vec<_>>();
            HiddenText::new(&texts, seen.collect(), &places, context.device())
        });
        inputs.extend(texts.as_ref().map(|texts| context.model.encode_text(&texts.input)));
        let pictures =
            self.pictures.map(|(pixels, d_patch)| BlankedPictures::new(pixels, d_patch, &hidden(&image)));
        inputs.extend(pictures.as_ref().map(|pictures| context.model.encode_image(&pictures.input)));
        let sounds =
            self.sounds.map(|(input, _, per_token)| BlankedSounds::new(input, per_token, &hidden(&audio)));
        inputs.extend(sounds.as_ref().map(|sounds| context.model.encode_audio(&sounds.input)));
        let fused = context.fuse(&inputs);

        let mut losses = Vec::new();
        losses.extend(texts.and_then(|texts| texts.error(context, &fused)));
        if let Some(pictures) = pictures {
            let places = positions(&counted(&image).concat());
            let error = || pictures.error(context, &fused, &places, PatchTargets::OF_DRAWINGS);
            losses.extend(if places.is_empty() { None } else { error() });
        }
        if let Some(sounds) = sounds {
            let places = sounds.places(&counted(&audio));
            losses.extend(if places.is_empty() { None } else { sounds.error(context, &fused, &places) });
        }
        let n_losses = losses.len() as f32;
        Some(losses.into_iter().reduce(|total, loss| total + loss)?.div_scalar(n_losses))
    }
}

/// Where it is true.
fn positions(chosen: &[bool]) -> Vec<usize> {
    chosen.iter().enumerate().filter(|(_, chosen)| **chosen).map(|(place, _)| place).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn budgets_are_kept_and_nothing_that_is_seen_is_predicted() {
        let mut n_alone = 0;
        for seed in 0..200 {
            let counts = [9, 36, 15];
            let parts = DEFAULTS.draw(&counts, &mut Draw::new(seed, 0, "", ""));
            let count = |of: fn(&Part) -> &Vec<bool>| {
                parts.iter().map(|part| positions(of(part)).len()).sum::<usize>()
            };
            assert_eq!([count(|part| &part.hidden), count(|part| &part.counted)], [36, 24]);
            for (part, n) in parts.iter().zip(counts) {
                assert_eq!([part.hidden.len(), part.counted.len()], [n, n]);
                assert!(part.hidden.iter().zip(&part.counted).all(|(hidden, counted)| *hidden || !counted));
            }
            n_alone += parts.iter().filter(|part| part.hidden.iter().all(|hidden| *hidden)).count();
        }
        assert!(n_alone > 10, "a modality is hardly ever hidden as a whole: {n_alone}");
    }

    #[test]
    fn a_sample_of_one_token_predicts_it_from_nothing() {
        let parts = DEFAULTS.draw(&[1, 0], &mut Draw::new(1, 0, "", ""));
        assert_eq!(parts[0], Part { hidden: vec![true], counted: vec![true] });
        assert_eq!(DEFAULTS.draw(&[0, 0], &mut Draw::new(1, 0, "", "")), [Part::default(), Part::default()]);
    }
}
