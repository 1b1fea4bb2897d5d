//! Masked text, by itself or with the picture or the sound that it belongs to in view.

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_datasets::draw::Draw;
use triptych_datasets::text::WordBoundaries;
use triptych_encoders::Modality;

use super::hidden_text::HiddenText;
use super::masks;
use super::options::{self, OptionError, Options};
use super::{Objective, StepContext, TokenIds};

/// Of the tokens to predict, the shares that a mask and a random token replace; the rest stay (Devlin et al. 2019, section 3.1).
const REPLACED_BY_MASK: f32 = 0.8;
const REPLACED_AT_RANDOM: f32 = 0.1;

/// What a config may set of it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct TextMask {
    /// Share of a text's tokens to predict; at least one of each text (0.15 in Devlin et al. 2019).
    masked: f64,
    /// Whether words are hidden as a whole: what is left of a word often tells the rest of it.
    whole_words: bool,
}

const DEFAULTS: TextMask = TextMask { masked: 0.15, whole_words: false };

/// Texts alone.
pub(super) const ALONE: MaskedText = MaskedText {
    name: "masked_text",
    about: "masked tokens of a text (BERT)",
    needs: &[Modality::Text],
    given: None,
    mask: DEFAULTS,
};

/// Texts whose picture is seen.
pub(super) const GIVEN_IMAGE: MaskedText = MaskedText {
    name: "masked_text_given_image",
    about: "masked tokens of a text beside its picture",
    needs: &[Modality::Image, Modality::Text],
    given: Some(Modality::Image),
    mask: DEFAULTS,
};

/// Texts whose sound is heard.
pub(super) const GIVEN_AUDIO: MaskedText = MaskedText {
    name: "masked_text_given_audio",
    about: "masked tokens of a text beside its sound",
    needs: &[Modality::Audio, Modality::Text],
    given: Some(Modality::Audio),
    mask: DEFAULTS,
};

/// See the module's documentation.
#[derive(Clone, Copy)]
pub(super) struct MaskedText {
    name: &'static str,
    about: &'static str,
    needs: &'static [Modality],
    given: Option<Modality>,
    mask: TextMask,
}

impl Objective for MaskedText {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn needs(&self) -> &'static [Modality] {
        self.needs
    }

    fn options(&self) -> Options {
        options::table(&self.mask)
    }

    fn with(&self, given: &Options) -> Result<Box<dyn Objective>, OptionError> {
        let mask: TextMask = options::given(&self.mask, given)?;
        options::check_share("masked", mask.masked)?;
        Ok(Box::new(Self { mask, ..*self }))
    }

    fn loss(&self, context: &StepContext<'_>) -> Option<Tensor<1>> {
        let mut inputs = Vec::new();
        let places = match self.given {
            Some(given) => {
                let [given_places, places] = context.paired(given, Modality::Text)?;
                inputs.push(context.encoded_at(given, &given_places)?);
                places
            }
            None => (0..context.text_batch()?.rows.len()).collect(),
        };
        let texts = context.texts_at(&places)?;
        if texts.iter().all(Vec::is_empty) {
            return None;
        }
        let draws = context.draws(self.name, Modality::Text, &places);
        let words = self.mask.whole_words.then(|| context.words());
        let masked = texts
            .iter()
            .zip(draws)
            .map(|(text, mut draw)| self.mask.apply(text, words, &context.token_ids, &mut draw));
        let (seen, counted): (Vec<_>, Vec<_>) = masked.unzip();
        let hidden = HiddenText::new(&texts, seen, &counted, context.device());
        inputs.push(context.model.encode_text(&hidden.input));
        let fused = context.fuse(&inputs);
        hidden.error(context, &fused)
    }
}

impl TextMask {
    /// The text with replaced tokens, and which places are to be predicted: those of whole words where it is told which there
    /// are. What replaces a token is drawn for each of them, also within a word.
    fn apply(
        &self,
        text: &[u32],
        words: Option<&WordBoundaries>,
        ids: &TokenIds,
        draw: &mut Draw,
    ) -> (Vec<u32>, Vec<usize>) {
        let n_masked = ((text.len() as f64 * self.masked).round() as usize).max(1);
        let mut places = match words {
            Some(words) => masks::whole_words(&words.words(text), n_masked, draw),
            None => draw.choose(text.len(), n_masked),
        };
        places.sort_unstable();
        let mut seen = text.to_vec();
        for &place in &places {
            let fate = draw.uniform();
            if fate < REPLACED_BY_MASK {
                seen[place] = ids.mask;
            } else if fate < REPLACED_BY_MASK + REPLACED_AT_RANDOM {
                let first = ids.first_ordinary;
                seen[place] = first + draw.below((ids.n_vocab - first as usize).max(1)) as u32;
            }
        }
        (seen, places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IDS: TokenIds = TokenIds { begin: 1, end: 2, mask: 3, n_vocab: 1000, first_ordinary: 5 };

    #[test]
    fn of_a_hundred_tokens_fifteen_are_predicted_and_most_of_them_masked() {
        let text = (100..200).collect::<Vec<u32>>();
        let (mut n_masked, mut n_kept, mut n_other) = (0, 0, 0);
        for seed in 0..400 {
            let (seen, places) = DEFAULTS.apply(&text, None, &IDS, &mut Draw::new(seed, 0, "", ""));
            assert_eq!(places.len(), 15);
            for place in 0..100 {
                let is_counted = places.contains(&place);
                assert!(is_counted || seen[place] == text[place]);
                match seen[place] {
                    id if id == IDS.mask => n_masked += 1,
                    id if id == text[place] => n_kept += usize::from(is_counted),
                    id => {
                        assert!((5..1000).contains(&id));
                        n_other += 1;
                    }
                }
            }
        }
        // of 6000, give or take four deviations
        assert!((4676..=4924).contains(&n_masked), "{n_masked} masked");
        assert!((500..=700).contains(&n_kept) && (500..=700).contains(&n_other), "{n_kept}, {n_other}");
    }

    #[test]
    fn every_text_has_one_to_predict_but_an_empty_one() {
        let n_counted = |n: usize| {
            let text = vec![7; n];
            DEFAULTS.apply(&text, None, &IDS, &mut Draw::new(1, 0, "", "")).1.len()
        };
        assert_eq!([0, 1, 3, 9, 10, 20].map(n_counted), [0, 1, 1, 1, 2, 3]);
    }
    #[test]
    fn whole_words_are_hidden_or_seen() {
        // every third token begins a word
        let vocabulary =
            (0..1000).map(|id| if id % 3 == 0 { (Some("▁a"), false) } else { (Some("b"), false) });
        let words = WordBoundaries::new(vocabulary);
        let text = (300..400).collect::<Vec<u32>>();
        let mask = TextMask { whole_words: true, ..DEFAULTS };
        let mut n_other = 0;
        for seed in 0..100 {
            let (seen, places) = mask.apply(&text, Some(&words), &IDS, &mut Draw::new(seed, 0, "", ""));
            // the last word is one token alone
            assert!((13..=15).contains(&places.len()), "{places:?}");
            for word in words.words(&text) {
                let n_counted = word.clone().filter(|place| places.contains(place)).count();
                assert!(n_counted == 0 || n_counted == word.len(), "{word:?} of {places:?}");
            }
            let is_as_before = |place: &usize| seen[*place] == text[*place];
            assert!((0..100).filter(|place| !places.contains(place)).all(|place| is_as_before(&place)));
            n_other += places.iter().filter(|place| !is_as_before(place)).count();
        }
        // nine of ten of what is to be predicted, give or take four deviations
        assert!((1290..=1420).contains(&n_other), "{n_other}");
    }
}
