//! Prefix beam search: texts that many alignments write, found without listing the alignments.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::fusion::{Fusion, State};
use super::{CtcError, Frames, Vocabulary};

/// Texts may grow to so many before those are forgotten that no beam goes back to.
const MAX_NODES: usize = 1 << 18;

/// How hard to search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PrefixSearch {
    /// Texts kept from frame to frame.
    pub n_beams: usize,
    /// Texts given back.
    pub n_best: usize,
    /// Labels tried in a frame besides the blank and those that lead from beam to beam, the likeliest first.
    pub max_labels: usize,
    /// Labels of a lower natural log-probability are not tried, except a frame's likeliest.
    pub min_log_probability: f32,
    /// Texts that score so much less than the best are dropped, in nats.
    pub max_gap: f64,
}

impl Default for PrefixSearch {
    /// Labels below -8 (one in 3,000) and more than 40 in a frame are seldom part of what is found.
    fn default() -> Self {
        Self { n_beams: 32, n_best: 1, max_labels: 40, min_log_probability: -8.0, max_gap: 20.0 }
    }
}

/// A text that was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hypothesis {
    /// Its labels, without blanks.
    pub ids: Vec<u32>,
    /// What it is ranked by, in nats: `acoustic` and what the language model, the word bonus and hot words add.
    pub score: f64,
    /// Natural log-probability of the labels, over all alignments that the search kept.
    pub acoustic: f64,
}

impl PrefixSearch {
    /// Without anything left out but by `n_beams`.
    pub fn exhaustive(n_beams: usize) -> Self {
        Self {
            n_beams,
            n_best: n_beams,
            max_labels: usize::MAX,
            min_log_probability: f32::NEG_INFINITY,
            max_gap: f64::INFINITY,
        }
    }

    /// The best texts, best first: at most `n_best` and at least one.
    ///
    /// # Errors
    /// Settings that make no sense, and a vocabulary that fits neither the frames nor the language model.
    ///
    /// # Reference
    /// Hannun et al. 2014, "First-pass large vocabulary continuous speech recognition using bi-directional recurrent DNNs",
    /// algorithm 1.
    ///
    /// # Differences from the reference
    /// The language model counts for the ranking only and leaves the alignments' probabilities as they are, as in pyctcdecode.
    pub fn run(
        &self,
        frames: &Frames<'_>,
        vocabulary: &Vocabulary,
        fusion: &Fusion<'_>,
    ) -> Result<Vec<Hypothesis>, CtcError> {
        self.check()?;
        if vocabulary.len() != frames.n_labels() {
            let (n_vocab, n_labels) = (vocabulary.len(), frames.n_labels());
            return Err(CtcError::VocabularySize { n_vocab, n_labels });
        }
        fusion.check(vocabulary)?;
        self.search(frames, vocabulary, fusion, MAX_NODES)
    }

    fn search(
        &self,
        frames: &Frames<'_>,
        vocabulary: &Vocabulary,
        fusion: &Fusion<'_>,
        max_nodes: usize,
    ) -> Result<Vec<Hypothesis>, CtcError> {
        let gains =
            (0..vocabulary.len() as u32).map(|label| fusion.max_gain(vocabulary, label)).collect::<Vec<_>>();
        let mut search = Search::new(vocabulary, fusion, &gains, max_nodes);
        let (mut chosen, mut candidates) = (Vec::new(), [Vec::new(), Vec::new()]);
        for (frame_idx, frame) in frames.iter().enumerate() {
            self.choose_labels(frame, vocabulary, &gains, &mut chosen);
            candidates.iter_mut().for_each(Vec::clear);
            for &label in &chosen {
                let ends_word = vocabulary.text(label).is_some_and(|text| text.starts_with(' '));
                candidates[usize::from(ends_word)].push(label);
            }
            search.advance(frame, &candidates, self.n_beams, self.max_gap);
            search.prune(self.n_beams, self.max_gap);
            if search.beams.is_empty() {
                return Err(CtcError::DeadEnd { frame_idx });
            }
        }
        Ok(search.finish(self.n_best))
    }

    fn check(&self) -> Result<(), CtcError> {
        let at_least_one = |setting, value: usize| {
            let error = CtcError::Setting { setting, expected: "at least 1", got: value.to_string() };
            (value > 0).then_some(()).ok_or(error)
        };
        at_least_one("n_beams", self.n_beams)?;
        at_least_one("n_best", self.n_best)?;
        let number = |setting, is_good, got: String| {
            let error = CtcError::Setting { setting, expected: "a number of at least 0", got };
            if is_good { Ok(()) } else { Err(error) }
        };
        number("max_gap", self.max_gap >= 0.0, self.max_gap.to_string())?;
        if self.min_log_probability.is_nan() {
            let got = "NaN".to_owned();
            return Err(CtcError::Setting { setting: "min_log_probability", expected: "a number", got });
        }
        Ok(())
    }

    /// The labels that are tried in a frame, by the most that they can score.
    fn choose_labels(&self, frame: &[f32], vocabulary: &Vocabulary, gains: &[f64], chosen: &mut Vec<u32>) {
        let is_written =
            |label: usize| label as u32 == vocabulary.blank() || vocabulary.text(label as u32).is_some();
        let written = frame.iter().enumerate().filter(|(label, _)| is_written(*label));
        let best = written.map(|(_, value)| *value).fold(f32::NEG_INFINITY, f32::max);
        let least = self.min_log_probability.min(best);
        chosen.clear();
        chosen.extend((0..frame.len() as u32).filter(|label| {
            let value = frame[*label as usize];
            value >= least && value > f32::NEG_INFINITY && vocabulary.text(*label).is_some()
        }));
        let order = |a: &u32, b: &u32| frame[*b as usize].total_cmp(&frame[*a as usize]).then(a.cmp(b));
        if chosen.len() > self.max_labels {
            chosen.select_nth_unstable_by(self.max_labels, order);
            chosen.truncate(self.max_labels);
        }
        let hope = |label: u32| f64::from(frame[label as usize]) + gains[label as usize];
        chosen.sort_unstable_by(|a, b| hope(*b).total_cmp(&hope(*a)).then(a.cmp(b)));
    }
}

const NONE: u32 = u32::MAX;

/// A text that some alignment of the frames so far writes.
#[derive(Clone, Copy, Debug)]
struct Node {
    parent: u32,
    /// Its last label.
    label: u32,
    first_child: u32,
    next_sibling: u32,
    state: State,
    /// The same when its last word ends, once that was asked for.
    ended: Option<State>,
    /// What is added to the sound's score while the text is not at its end.
    fused: f64,
    /// Of the alignments that end in a blank and in the label.
    now: Ends,
    next: Ends,
    /// Whether it is among those that are gone on with.
    is_beam: bool,
}

impl Node {
    /// Of the alignments that may go on with a label: one that is written twice needs a blank between.
    fn before(&self, label: u32) -> f64 {
        if label == self.label { self.now.blank } else { self.now.total() }
    }
}

/// Natural log-probabilities of a text's alignments.
#[derive(Clone, Copy, Debug)]
struct Ends {
    blank: f64,
    label: f64,
}

impl Ends {
    const NEVER: Self = Self { blank: f64::NEG_INFINITY, label: f64::NEG_INFINITY };

    fn total(self) -> f64 {
        log_add(self.blank, self.label)
    }

    fn is_never(self) -> bool {
        self.blank == f64::NEG_INFINITY && self.label == f64::NEG_INFINITY
    }
}

/// A score, and what it belongs to; ordered by all of them.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Rank(f64, usize, usize);

impl Eq for Rank {}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0).then_with(|| (other.1, other.2).cmp(&(self.1, self.2)))
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

struct Search<'a> {
    vocabulary: &'a Vocabulary,
    fusion: &'a Fusion<'a>,
    nodes: Vec<Node>,
    beams: Vec<u32>,
    reached: Vec<u32>,
    /// The most that each label can add to what is fused.
    gains: &'a [f64],
    max_nodes: usize,
}

impl<'a> Search<'a> {
    fn new(vocabulary: &'a Vocabulary, fusion: &'a Fusion<'a>, gains: &'a [f64], max_nodes: usize) -> Self {
        let state = fusion.begin();
        let empty = Node {
            parent: NONE,
            label: vocabulary.blank(),
            first_child: NONE,
            next_sibling: NONE,
            state,
            ended: None,
            fused: fusion.score(&state),
            now: Ends { blank: 0.0, label: f64::NEG_INFINITY },
            next: Ends::NEVER,
            is_beam: true,
        };
        Self { vocabulary, fusion, nodes: vec![empty], beams: vec![0], reached: Vec::new(), gains, max_nodes }
    }

    /// Adds a frame to every alignment. `candidates` are the labels to try that go on with a
    /// word, and those that end it, each by the most that they can score.
    fn advance(&mut self, frame: &[f32], candidates: &[Vec<u32>; 2], n_beams: usize, max_gap: f64) {
        let blank = f64::from(frame[self.vocabulary.blank() as usize]);
        self.reached.clear();
        for beam_idx in 0..self.beams.len() {
            let beam = self.beams[beam_idx];
            let Node { now, label, parent, .. } = self.nodes[beam as usize];
            self.add_blank(beam, now.total() + blank);
            // the empty text has no label to repeat, nor one before it: its alignments never end in one
            self.add_label(beam, now.label + f64::from(frame[label as usize]));
            if parent != NONE && self.nodes[parent as usize].is_beam {
                let from = self.nodes[parent as usize].before(label);
                self.add_label(beam, from + f64::from(frame[label as usize]));
            }
        }
        self.extend(frame, candidates, n_beams, max_gap);
        for &beam in &self.beams {
            self.nodes[beam as usize].is_beam = false;
        }
        for &node in &self.reached {
            let node = &mut self.nodes[node as usize];
            node.now = std::mem::replace(&mut node.next, Ends::NEVER);
        }
    }

    /// Adds a label to the beams: the likeliest additions first, until no other can be among the best.
    fn extend(&mut self, frame: &[f32], candidates: &[Vec<u32>; 2], n_beams: usize, max_gap: f64) {
        // what the best of the next frame score at least: beams that stay as they are, and what is added
        let mut best = BinaryHeap::with_capacity(self.reached.len());
        for &node in &self.reached {
            let Node { next, fused, .. } = &self.nodes[node as usize];
            best.push(Reverse(Rank(next.total() + fused, 0, 0)));
        }
        let highest = best.iter().map(|Reverse(rank)| rank.0).fold(f64::NEG_INFINITY, f64::max);
        let lowest = highest - max_gap;
        // of every beam: labels that go on with a word, and those that end it, which scores alike for all of them
        let bases = (0..self.beams.len()).flat_map(|beam| {
            let node = self.beams[beam];
            let ended = self.ended(node);
            let Node { now, fused, .. } = self.nodes[node as usize];
            [now.total() + fused, now.total() + self.fusion.score(&ended)]
        });
        let bases = bases.collect::<Vec<_>>();
        let gains = self.gains;
        // at most what an addition can come to, its base, and its place among the candidates
        let hope = |base: usize, place: usize| {
            let label = *candidates[base % 2].get(place)? as usize;
            Some(Rank(bases[base] + f64::from(frame[label]) + gains[label], base, place))
        };
        let mut open = (0..bases.len()).filter_map(|base| hope(base, 0)).collect::<BinaryHeap<_>>();
        while let Some(Rank(at_most, base, place)) = open.pop() {
            while best.len() > n_beams {
                best.pop();
            }
            let is_full = best.len() == n_beams;
            if at_most < lowest || is_full && best.peek().is_some_and(|Reverse(last)| at_most < last.0) {
                break;
            }
            open.extend(hope(base, place + 1));
            let (beam, label) = (self.beams[base / 2], candidates[base % 2][place]);
            let from = self.nodes[beam as usize].before(label);
            if from == f64::NEG_INFINITY {
                continue;
            }
            let child = self.child(beam, label);
            // what is a beam already has been seen to
            if !self.nodes[child as usize].is_beam {
                let log_probability = from + f64::from(frame[label as usize]);
                self.add_label(child, log_probability);
                best.push(Reverse(Rank(log_probability + self.nodes[child as usize].fused, 0, 0)));
            }
        }
    }

    fn add_blank(&mut self, node: u32, log_probability: f64) {
        if let Some(next) = self.reach(node, log_probability) {
            next.blank = log_add(next.blank, log_probability);
        }
    }

    fn add_label(&mut self, node: u32, log_probability: f64) {
        if let Some(next) = self.reach(node, log_probability) {
            next.label = log_add(next.label, log_probability);
        }
    }

    /// The probabilities of a text in the next frame, if it is possible; it is then among those reached.
    fn reach(&mut self, node: u32, log_probability: f64) -> Option<&mut Ends> {
        if log_probability == f64::NEG_INFINITY {
            return None;
        }
        let next = &mut self.nodes[node as usize].next;
        if next.is_never() {
            self.reached.push(node);
        }
        Some(next)
    }

    /// Where a text stands whose last word ends.
    fn ended(&mut self, node: u32) -> State {
        let Node { state, ended, .. } = self.nodes[node as usize];
        ended.unwrap_or_else(|| {
            let mut ended = state;
            self.fusion.end_word(&mut ended);
            self.nodes[node as usize].ended = Some(ended);
            ended
        })
    }

    /// The text with one more label.
    fn child(&mut self, parent: u32, label: u32) -> u32 {
        let mut child = self.nodes[parent as usize].first_child;
        while child != NONE {
            let node = &self.nodes[child as usize];
            if node.label == label {
                return child;
            }
            child = node.next_sibling;
        }
        let behind = self.nodes.len() as u32;
        let text = self.vocabulary.text(label).unwrap_or_default();
        let state = match text.strip_prefix(' ') {
            Some(rest) => self.fusion.extend(self.ended(parent), rest),
            None => self.fusion.extend(self.nodes[parent as usize].state, text),
        };
        let fused = self.fusion.score(&state);
        let next_sibling = std::mem::replace(&mut self.nodes[parent as usize].first_child, behind);
        self.nodes.push(Node {
            parent,
            label,
            first_child: NONE,
            next_sibling,
            state,
            ended: None,
            fused,
            now: Ends::NEVER,
            next: Ends::NEVER,
            is_beam: false,
        });
        behind
    }

    /// Keeps the best texts; there is none where the frame allows nothing.
    fn prune(&mut self, n_beams: usize, max_gap: f64) {
        let score = |&node: &u32| {
            let Node { now, fused, .. } = &self.nodes[node as usize];
            (now.total() + fused, node)
        };
        let mut scored = self.reached.iter().map(score).collect::<Vec<_>>();
        let order = |a: &(f64, u32), b: &(f64, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        if scored.len() > n_beams {
            scored.select_nth_unstable_by(n_beams, order);
            scored.truncate(n_beams);
        }
        scored.sort_unstable_by(order);
        let best = scored.first().map_or(f64::NEG_INFINITY, |scored| scored.0);
        scored.retain(|scored| scored.0 >= best - max_gap);
        self.beams.clear();
        self.beams.extend(scored.into_iter().map(|(_, node)| node));
        for &beam in &self.beams {
            self.nodes[beam as usize].is_beam = true;
        }
        if self.nodes.len() > self.max_nodes {
            self.forget();
        }
    }

    /// Drops every text that no beam begins with.
    fn forget(&mut self) {
        let mut is_kept = vec![false; self.nodes.len()];
        for &beam in &self.beams {
            let mut at = beam;
            while at != NONE && !is_kept[at as usize] {
                is_kept[at as usize] = true;
                at = self.nodes[at as usize].parent;
            }
        }
        let mut numbers = vec![NONE; self.nodes.len()];
        let mut kept: Vec<Node> = Vec::new();
        for (place, node) in self.nodes.iter().enumerate().filter(|(place, _)| is_kept[*place]) {
            let number = kept.len() as u32;
            numbers[place] = number;
            let mut node = Node { first_child: NONE, next_sibling: NONE, ..*node };
            // parents come before their children
            if node.parent != NONE {
                node.parent = numbers[node.parent as usize];
                let parent = &mut kept[node.parent as usize];
                node.next_sibling = std::mem::replace(&mut parent.first_child, number);
            }
            kept.push(node);
        }
        self.beams.iter_mut().for_each(|beam| *beam = numbers[*beam as usize]);
        self.nodes = kept;
    }

    fn finish(self, n_best: usize) -> Vec<Hypothesis> {
        let mut found = self
            .beams
            .iter()
            .map(|&beam| {
                let node = &self.nodes[beam as usize];
                let acoustic = node.now.total();
                let score = acoustic + self.fusion.finish(node.state);
                Hypothesis { ids: self.ids(beam), score, acoustic }
            })
            .collect::<Vec<_>>();
        found.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.ids.cmp(&b.ids)));
        found.truncate(n_best);
        found
    }

    fn ids(&self, node: u32) -> Vec<u32> {
        let (mut ids, mut at) = (Vec::new(), node);
        while self.nodes[at as usize].parent != NONE {
            ids.push(self.nodes[at as usize].label);
            at = self.nodes[at as usize].parent;
        }
        ids.reverse();
        ids
    }
}

/// `ln(exp(a) + exp(b))`
pub(super) fn log_add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    if low == f64::NEG_INFINITY { high } else { high + (low - high).exp().ln_1p() }
}

#[cfg(test)]
mod tests;
