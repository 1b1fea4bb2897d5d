//! What a search needs of a model: the scores of the next token, for a batch of texts that are being written.

use super::DecodeError;

/// Scores the next token of a batch of texts, of which it keeps what it has computed already (keys and values). The searches of
/// this module drive the fusion backbone's causal segment by it, and can drive any other decoder.
///
/// All rows of a state have read the same number of tokens. A row's scores must depend on its own tokens alone.
pub trait NextToken {
    /// A batch of texts that are being written, with what they are about.
    type State;

    /// Number of token ids.
    fn n_vocab(&self) -> usize;

    /// Tokens that a text can have, those of its prompt included.
    fn max_tokens(&self) -> usize;

    /// Reads one token a row, and gives the logits of those behind them.
    ///
    /// # Shapes
    /// `[n_rows]` -> `[n_rows, n_vocab]`
    fn step(&self, ids: &[u32], state: &mut Self::State) -> Vec<f32>;

    /// Reads the same tokens in each of `n_rows` rows, and gives the logits of those behind the last; a model that can read them at
    /// once should.
    ///
    /// # Shapes
    /// `[n_prompt]`, at least one -> `[n_rows, n_vocab]`
    fn prefill(&self, prompt: &[u32], n_rows: usize, state: &mut Self::State) -> Vec<f32> {
        let mut logits = Vec::new();
        for &id in prompt {
            logits = self.step(&vec![id; n_rows], state);
        }
        logits
    }

    /// The rows `rows`, in that order; one may be taken more than once, and others not at all.
    fn select(&self, state: &Self::State, rows: &[usize]) -> Self::State;
}

/// What may be written.
pub trait Rules {
    /// Whether a beam search ends a row once as many texts have ended as there are beams, though one that is being written may
    /// be likelier than all of them. Otherwise it goes on until none can be better than those that it gives back.
    fn stops_early(&self) -> bool {
        false
    }

    /// Turns logits into natural log-probabilities in place, with negative infinity for what may not stand behind `written`. So many
    /// tokens may still be written, `n_left`; where it is 0, the text has to end.
    ///
    /// # Shapes
    /// `[n_vocab]`
    fn score(&self, written: &[u32], n_left: usize, logits: &mut [f32]);

    /// The same for one row of the batch, by its number, for rules that know more of it than what is written. Beam search asks this way.
    ///
    /// # Shapes
    /// `[n_vocab]`
    fn score_row(&self, _row: usize, written: &[u32], n_left: usize, logits: &mut [f32]) {
        self.score(written, n_left, logits);
    }
}

/// Reads what texts begin with.
pub(super) fn begin<M: NextToken>(
    model: &M,
    prompt: &[u32],
    n_rows: usize,
    state: &mut M::State,
) -> Result<Vec<f32>, DecodeError> {
    let (max_tokens, got) = (model.max_tokens(), prompt.len());
    if !(1..=max_tokens).contains(&got) {
        return Err(DecodeError::Prompt { max_tokens, got });
    }
    let n_vocab = model.n_vocab();
    if let Some(&id) = prompt.iter().find(|id| **id as usize >= n_vocab) {
        return Err(DecodeError::Vocabulary { what: "a token of the prompt", id, n_vocab });
    }
    let logits = model.prefill(prompt, n_rows, state);
    checked(logits, n_vocab, &(0..n_rows).collect::<Vec<_>>(), 0)
}

/// Reads a token a row. `rows` are the rows' numbers for messages.
pub(super) fn advance<M: NextToken>(
    model: &M,
    ids: &[u32],
    state: &mut M::State,
    rows: &[usize],
    step: usize,
) -> Result<Vec<f32>, DecodeError> {
    checked(model.step(ids, state), model.n_vocab(), rows, step)
}

fn checked(logits: Vec<f32>, n_vocab: usize, rows: &[usize], step: usize) -> Result<Vec<f32>, DecodeError> {
    if n_vocab == 0 || logits.len() != rows.len() * n_vocab {
        return Err(DecodeError::Size { n_rows: rows.len(), n_vocab, got: logits.len() });
    }
    for (&row, logits) in rows.iter().zip(logits.chunks_exact(n_vocab)) {
        if let Some(id) = logits.iter().position(|value| value.is_nan() || *value == f32::INFINITY) {
            return Err(DecodeError::Score { row, step, id, value: logits[id] });
        }
    }
    Ok(logits)
}
