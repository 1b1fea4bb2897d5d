//! The marks that a published encoder was trained to find around a text.
//!
//! ```text
//! ids given      red heart  .      .           `.` is padding
//! ids read       ^   red    heart  $   .  .
//! tokens given       red    heart  .   .       one for each id given, so that objectives find them in their places
//! ```

use burn::prelude::*;
use serde::{Deserialize, Serialize};
use triptych_datasets::text::{BOS, EOS, PAD};

use crate::input::TextInput;
use crate::{Modality, TokenSequence};

/// Marks around a text, and what of them stands for the text as a whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextMarks {
    /// A mark before the text.
    pub begin: bool,
    /// A mark behind it.
    pub end: bool,
    /// Length in tokens, marks included, up to which padding is read as if it were text: SigLIP's 64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fill_to: Option<usize>,
    /// What stands for the text as a whole.
    pub summary: TextSummary,
}

/// Which of a marked text's tokens stand for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextSummary {
    /// The mean of all of them, marks included.
    Mean,
    /// The first one: BERT's `[CLS]`.
    First,
    /// The mark behind the text: CLIP's.
    End,
    /// The last place, filling included: SigLIP's.
    Last,
}

impl TextMarks {
    /// Marks around a text.
    pub fn n_marks(&self) -> usize {
        usize::from(self.begin) + usize::from(self.end)
    }

    /// Tokens that the encoder reads of a text of `n_tokens`.
    pub(super) fn n_read(&self, n_tokens: usize) -> usize {
        (n_tokens + self.n_marks()).max(self.fill_to.unwrap_or(0))
    }

    /// Has `encode` read texts with their marks; gives the tokens between them.
    ///
    /// # Shapes
    /// `[batch, n_tokens]`; `encode` from `[batch, n_read]` to `[batch, n_read, d_model]` -> `[batch, n_tokens, d_model]`
    pub(super) fn encode(
        &self,
        input: &TextInput,
        encode: impl FnOnce(&TextInput) -> Tensor<3>,
    ) -> TokenSequence {
        let [batch, n_tokens] = input.ids.dims();
        let device = input.ids.device();
        let flags = |n: usize, value: bool| Tensor::<2, Bool>::full([batch, n], value, &device);
        let marks = |n: usize, id: u32| Tensor::<2, Int>::full([batch, n], i64::from(id), &device);
        let (n_begin, n_end) = (usize::from(self.begin), usize::from(self.end));
        let n_filled = self.n_read(n_tokens) - n_tokens - n_begin - n_end;
        // the text and its marks end that much later than the text
        let is_behind = joined([flags(n_begin + n_end, false), input.is_pad.clone(), flags(n_filled, true)]);
        let is_text_over =
            joined([flags(n_begin, false), input.is_pad.clone(), flags(n_end + n_filled, true)]);
        let is_end = is_text_over.bool_and(is_behind.clone().bool_not());
        let ids = [marks(n_begin, BOS), input.ids.clone(), marks(n_end + n_filled, PAD)];
        let ids = Tensor::cat(ids.into_iter().filter(|part| part.dims()[1] > 0).collect(), 1);
        let ids = ids.mask_fill(is_end.clone(), i64::from(EOS));
        let is_pad = if self.fill_to.is_some() {
            flags(n_tokens + n_begin + n_end + n_filled, false)
        } else {
            is_behind
        };
        let read = TextInput { ids, is_pad };
        let tokens = encode(&read);
        let [_, n_read, _] = tokens.dims();
        let at = |place: usize| tokens.clone().narrow(1, place, 1).squeeze_dim::<2>(1);
        let summary = match self.summary {
            TextSummary::Mean => TokenSequence::new(tokens.clone(), read.is_pad, Modality::Text).mean(),
            TextSummary::First => at(0),
            TextSummary::Last => at(n_read - 1),
            // a row of weights with a single one: `[batch, 1, n_read] x [batch, n_read, d_model]`
            TextSummary::End => {
                is_end.float().unsqueeze_dim::<3>(1).matmul(tokens.clone()).squeeze_dim::<2>(1)
            }
        };
        let tokens = tokens.narrow(1, n_begin, n_tokens);
        TokenSequence::new(tokens, input.is_pad.clone(), Modality::Text).with_summary(summary)
    }
}

/// Flags side by side, those of width 0 left out.
fn joined(parts: [Tensor<2, Bool>; 3]) -> Tensor<2, Bool> {
    Tensor::cat(parts.into_iter().filter(|part| part.dims()[1] > 0).collect(), 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::padding;

    /// What is read of texts of 2 and 0 tokens, 7 standing for padding, and what is given of it: each token is its place.
    fn read(marks: TextMarks) -> (Vec<i64>, Vec<bool>, TokenSequence) {
        let device = Device::flex();
        let ids = Tensor::<2, Int>::from_data([[8_i64, 9, 7], [7, 7, 7]], &device);
        let input = TextInput { ids, is_pad: padding(&[2, 0], 3, &device) };
        let (mut ids, mut is_pad) = (Vec::new(), Vec::new());
        let given = marks.encode(&input, |read| {
            ids = read.ids.to_data().iter::<i64>().collect();
            is_pad = read.is_pad.to_data().iter::<bool>().collect();
            let [batch, n_read] = read.ids.dims();
            let places = (0..batch * n_read).map(|place| (place % n_read) as f32).collect::<Vec<_>>();
            Tensor::from_data(TensorData::new(places, [batch, n_read, 1]), &device)
        });
        (ids, is_pad, given)
    }

    fn floats<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
        tensor.into_data().iter::<f32>().collect()
    }

    #[test]
    fn marks_stand_around_texts_and_their_tokens_are_not_given() {
        let (begin, end, pad) = (i64::from(BOS), i64::from(EOS), i64::from(PAD));
        let marks = TextMarks { begin: true, end: true, fill_to: None, summary: TextSummary::End };
        let (ids, is_pad, given) = read(marks);
        assert_eq!(ids[..5], [begin, 8, 9, end, pad]);
        // padding is what was given, as it is hidden
        assert_eq!(ids[5..], [begin, end, 7, 7, pad]);
        assert_eq!(is_pad, [false, false, false, false, true, false, false, true, true, true]);
        assert_eq!(floats(given.tokens.clone()), [1.0, 2.0, 3.0, 1.0, 2.0, 3.0]);
        assert_eq!(floats(given.pooled()), [3.0, 1.0]);
        let pooled = |summary| floats(read(TextMarks { summary, ..marks }).2.pooled());
        assert_eq!(pooled(TextSummary::First), [0.0, 0.0]);
        assert_eq!(pooled(TextSummary::Mean), [1.5, 0.5]);
    }

    #[test]
    fn what_is_filled_up_is_read() {
        let marks = TextMarks { begin: false, end: true, fill_to: Some(6), summary: TextSummary::Last };
        let (ids, is_pad, given) = read(marks);
        assert_eq!(ids[..6], [8, 9, i64::from(EOS), i64::from(PAD), i64::from(PAD), i64::from(PAD)]);
        assert!(is_pad.iter().all(|pad| !pad));
        assert_eq!(given.tokens.dims(), [2, 3, 1]);
        assert_eq!(floats(given.pooled()), [5.0, 5.0]);
    }
}
