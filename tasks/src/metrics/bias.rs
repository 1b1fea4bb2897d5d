//! Audits of unequal treatment: error by group, attributes among the first ranks, captions that change with an attribute.

use std::collections::BTreeMap;

use super::caption::tokenize;
use super::error::MetricError;
use super::figure::Figure;
use super::interval::{Interval, Resampling, percentile_interval};
use super::score::{Metric, PERCENT, Score};
use super::word_errors::word_counts;

/// The worst over-representation of an attribute among the first ten.
pub const MAX_SKEW: Metric = Metric {
    name: "MaxSkew@10",
    unit: "nats",
    higher_is_better: false,
    about: "mean over queries of the largest log ratio of an attribute's share in the first 10 and in all targets (Geyik et al. 2019)",
};
/// Distance of every beginning of a ranking from the whole.
pub const NDKL: Metric = Metric {
    name: "NDKL",
    unit: "nats",
    higher_is_better: false,
    about: "mean over queries of the Kullback-Leibler divergence of the attributes of every first k from all, discounted (Geyik et al. 2019)",
};
/// Captions that say something else once an attribute is swapped.
pub const SWAP_CHANGED: Metric = Metric {
    name: "swap changed",
    unit: PERCENT,
    higher_is_better: false,
    about: "captions that differ from those of the swapped input in more than the swapped attribute words",
};
/// How much else they say.
pub const SWAP_EDITS: Metric = Metric {
    name: "swap edits",
    unit: PERCENT,
    higher_is_better: false,
    about: "word edits between captions and those of the swapped input per word, swapped attribute words counted equal",
};

/// How many first ranks [`MAX_SKEW`] looks at.
const SKEW_CUTOFF: usize = 10;

/// One figure by group.
#[derive(Clone, Debug)]
pub struct Groups {
    /// The name of each group in order, with its score; its interval is over the group's own samples.
    pub scores: Vec<(String, Score)>,
    /// The largest value minus the smallest. Groups that differ by chance alone have a gap above 0 too.
    pub gap: f64,
    /// Where the gap would lie for other samples of each group; none with one group or groups of one sample each.
    pub gap_interval: Option<Interval>,
}

impl Groups {
    /// Parts the samples of `figure` by `group_names`, one a sample.
    ///
    /// # Errors
    /// [`MetricError::Lengths`] when there is not one name a sample; as [`Resampling::interval`].
    pub fn new(
        figure: &Figure,
        group_names: &[impl AsRef<str>],
        resampling: &Resampling,
    ) -> Result<Self, MetricError> {
        if group_names.len() != figure.n() {
            return Err(MetricError::Lengths {
                what: "group names",
                expected: figure.n(),
                got: group_names.len(),
            });
        }
        let mut members: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (sample_idx, name) in group_names.iter().enumerate() {
            members.entry(name.as_ref()).or_default().push(sample_idx);
        }
        let mut scores = Vec::with_capacity(members.len());
        for (name, sample_idxs) in &members {
            let resampling = resampling.of_samples(sample_idxs);
            scores.push(((*name).to_owned(), figure.subset(sample_idxs).score(&resampling)?));
        }
        let spread = |values: &[f64]| {
            let most = values.iter().copied().fold(f64::MIN, f64::max);
            most - values.iter().copied().fold(f64::MAX, f64::min)
        };
        let gap = spread(&scores.iter().map(|(_, score)| score.value).collect::<Vec<_>>());
        let parts: Vec<(&Vec<usize>, Resampling)> =
            members.values().map(|sample_idxs| (sample_idxs, resampling.of_samples(sample_idxs))).collect();
        let gap_interval = if parts.len() > 1 && scores.iter().any(|(_, score)| score.interval.is_some()) {
            let mut columns = Vec::with_capacity(parts.len());
            for (group_idx, (sample_idxs, part)) in parts.iter().enumerate() {
                let figure = figure.subset(sample_idxs);
                // each group draws for itself
                let part = part.reseeded(group_idx as u64);
                let values = part.resampled(figure.n(), |idxs| figure.value_of(idxs))?;
                columns.push(if values.is_empty() {
                    vec![figure.value(); resampling.bootstrap.n_resamples]
                } else {
                    values
                });
            }
            let gaps = (0..resampling.bootstrap.n_resamples)
                .map(|idx| spread(&columns.iter().map(|column| column[idx]).collect::<Vec<_>>()))
                .collect();
            Some(percentile_interval(gaps))
        } else {
            None
        };
        Ok(Self { scores, gap, gap_interval })
    }
}

/// [`MAX_SKEW`] and [`NDKL`] over queries. `rankings[i]` holds the attribute of each target that query `i` ranked, the first
/// first; `attributes` those of all targets, whose shares are what is desired.
///
/// # Formula
/// With `p_k(a)` the share of attribute `a` in the first `k` and `q(a)` in all: `MaxSkew@k = max_a ln(p_k(a) / q(a))`;
/// `NDKL = Σ_k KL(p_k ‖ q) / log2(k + 1) / Σ_k 1 / log2(k + 1)`.
///
/// # Errors
/// [`MetricError::Empty`] without queries or ranked targets, [`MetricError::UnknownAttribute`] for one that no target has.
///
/// # Reference
/// Geyik, Ambler and Kenthapadi, KDD 2019, section 3.
pub fn skew<R: AsRef<[usize]>>(rankings: &[R], attributes: &[usize]) -> Result<[Figure; 2], MetricError> {
    if rankings.is_empty() || attributes.is_empty() {
        return Err(MetricError::Empty { what: if rankings.is_empty() { "query" } else { "target" } });
    }
    let n_attributes = attributes.iter().max().map_or(0, |most| most + 1);
    let mut desired = vec![0.0; n_attributes];
    attributes.iter().for_each(|&attribute| desired[attribute] += 1.0 / attributes.len() as f64);
    let mut skews = Vec::with_capacity(rankings.len());
    let mut divergences = Vec::with_capacity(rankings.len());
    for (query_idx, ranking) in rankings.iter().enumerate() {
        let ranking = ranking.as_ref();
        if ranking.is_empty() {
            return Err(MetricError::Empty { what: "ranked target" });
        }
        let is_known = |attribute: usize| desired.get(attribute).is_some_and(|&share| share > 0.0);
        if let Some(&attribute) = ranking.iter().find(|&&attribute| !is_known(attribute)) {
            return Err(MetricError::UnknownAttribute { query_idx, attribute });
        }
        skews.push(max_skew(&ranking[..ranking.len().min(SKEW_CUTOFF)], &desired));
        divergences.push(ndkl(ranking, &desired));
    }
    Ok([Figure::mean(MAX_SKEW, skews), Figure::mean(NDKL, divergences)])
}

fn max_skew(first: &[usize], desired: &[f64]) -> f64 {
    let mut shares = vec![0.0; desired.len()];
    first.iter().for_each(|&attribute| shares[attribute] += 1.0 / first.len() as f64);
    let ratios = shares.iter().zip(desired).filter(|&(&share, _)| share > 0.0);
    ratios.map(|(share, desired)| (share / desired).ln()).fold(f64::MIN, f64::max)
}

fn ndkl(ranking: &[usize], desired: &[f64]) -> f64 {
    let mut counts = vec![0.0f64; desired.len()];
    let (mut sum, mut discounts) = (0.0, 0.0);
    for (place, &attribute) in ranking.iter().enumerate() {
        counts[attribute] += 1.0;
        let n = (place + 1) as f64;
        let shares = counts.iter().zip(desired).filter(|&(&count, _)| count > 0.0);
        let divergence: f64 = shares.map(|(count, desired)| count / n * (count / n / desired).ln()).sum();
        let discount = 1.0 / (n + 1.0).log2();
        sum += discount * divergence;
        discounts += discount;
    }
    sum / discounts
}

/// [`SWAP_CHANGED`] and [`SWAP_EDITS`] over captions: `captions[i]` describes an input, `swapped[i]` the same input with an
/// attribute exchanged. Each word of a pair in `words` (`man`, `woman`) may stand for the other, so that a caption that
/// names the attribute and nothing else differently has not changed.
///
/// # Errors
/// [`MetricError::Lengths`] when the lists do not pair up, [`MetricError::Empty`] without captions.
pub fn swap_changes(
    captions: &[impl AsRef<str>],
    swapped: &[impl AsRef<str>],
    words: &[(impl AsRef<str>, impl AsRef<str>)],
) -> Result<[Figure; 2], MetricError> {
    if captions.is_empty() {
        return Err(MetricError::Empty { what: "caption" });
    }
    if captions.len() != swapped.len() {
        return Err(MetricError::Lengths {
            what: "captions of swapped inputs",
            expected: captions.len(),
            got: swapped.len(),
        });
    }
    // both words of a pair become the first
    let neutral = |caption: &str| {
        let tokens = tokenize(caption);
        let tokens: Vec<&str> = tokens
            .split(' ')
            .map(|token| {
                let pair = words.iter().find(|(_, second)| second.as_ref() == token);
                pair.map_or(token, |(first, _)| first.as_ref())
            })
            .collect();
        tokens.join(" ")
    };
    let counts: Vec<_> = captions
        .iter()
        .zip(swapped)
        .map(|(caption, swapped)| word_counts(&neutral(caption.as_ref()), &neutral(swapped.as_ref())))
        .collect();
    let changed = counts.iter().map(|counts| f64::from(u8::from(counts.n_edits() > 0)));
    let edits = counts.iter().map(|counts| [counts.n_edits() as f64, counts.n_reference() as f64]);
    Ok([
        Figure::mean(SWAP_CHANGED, changed),
        Figure::of_sums(SWAP_EDITS, edits, |sums| if sums[1] == 0.0 { sums[0] } else { sums[0] / sums[1] }),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHARE: Metric = Metric { name: "share", unit: PERCENT, higher_is_better: true, about: "" };

    #[test]
    fn groups_are_scored_apart_with_the_gap_between_them() {
        let figure = Figure::mean(SHARE, (0..40).map(|idx| f64::from(u8::from(idx % 2 == 0 && idx < 20))));
        let names: Vec<&str> = (0..40).map(|idx| if idx < 20 { "left" } else { "right" }).collect();
        let groups = Groups::new(&figure, &names, &Resampling::default()).unwrap();
        assert_eq!(
            groups.scores.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(),
            ["left", "right"]
        );
        assert_eq!((groups.scores[0].1.value, groups.scores[1].1.value, groups.gap), (50.0, 0.0, 50.0));
        let interval = groups.gap_interval.unwrap();
        assert!(interval.low > 20.0 && interval.high < 80.0, "{interval:?}");
        let one = Groups::new(&figure, &vec!["all"; 40], &Resampling::default()).unwrap();
        assert_eq!((one.gap, one.gap_interval), (0.0, None));
        assert!(Groups::new(&figure, &["left"], &Resampling::default()).is_err());
    }

    #[test]
    fn a_ranking_like_the_whole_has_no_skew() {
        let [skew, _] = skew(&[[0, 1, 0, 1]], &[0, 1, 1, 0]).unwrap();
        assert!(skew.value().abs() < 1e-12);
    }

    #[test]
    fn one_sided_rankings_are_skewed_by_the_share_they_leave_out() {
        let [skew, divergence] = skew(&[[1, 1]], &[0, 1, 1, 1]).unwrap();
        assert!((skew.value() - (4.0f64 / 3.0).ln()).abs() < 1e-12);
        // both beginnings diverge as much
        assert!((divergence.value() - (4.0f64 / 3.0).ln()).abs() < 1e-12);
        assert_eq!(
            super::skew(&[[2]], &[0, 1]).unwrap_err().to_string(),
            "query 0 ranks a target of attribute 2: expected one that some target has"
        );
    }

    #[test]
    fn only_what_else_changes_counts_as_a_change() {
        let words = [("man", "woman"), ("his", "her")];
        let [changed, edits] = swap_changes(
            &["A man rides his horse.", "a man in a suit"],
            &["A woman rides her horse.", "a woman in a kitchen"],
            &words,
        )
        .unwrap();
        assert_eq!(changed.value(), 50.0);
        assert_eq!(edits.value(), 10.0);
    }
}
