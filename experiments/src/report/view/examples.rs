//! The galleries: captions, answers, transcripts and searches.

use minijinja::{context, value::Value};

use crate::report::{
    alignment::{Word, align},
    inputs::{AnswerItem, CaptionItem, Gallery, SearchExample, SearchQuery, TranscriptItem},
    numbers, selection,
};

/// The most captions shown: their pictures stay within a few megabytes.
const MAX_CAPTIONS: usize = 120;
/// As many captions stand open; the rest unfolds.
const OPEN_CAPTIONS: usize = 32;
/// The most answers shown, each with its picture or its sound.
const MAX_ANSWERS: usize = 48;
/// The most transcripts shown: a sound of three seconds takes some 130 kB in the page.
const MAX_TRANSCRIPTS: usize = 48;
/// The most searches shown.
const MAX_SEARCHES: usize = 24;
/// The most results shown of each search.
const MAX_RESULTS: usize = 8;

fn gallery(items: Vec<Value>, total: usize) -> Value {
    let shown = items.len();
    context! { items, shown => numbers::count(shown), total => numbers::count(total.max(shown)) }
}

pub(super) fn captions(captions: &Gallery<CaptionItem>) -> Value {
    let chosen =
        selection::evenly(&captions.items, MAX_CAPTIONS, |item| (item.holdout.clone(), item.correct));
    let mut items: Vec<Value> = chosen
        .into_iter()
        .map(|item| {
            context! {
                image => item.image.to_value(),
                hypothesis => &item.hypothesis,
                references => item.references.join(" / "),
                is_same => item.references.len() == 1 && item.references[0] == item.hypothesis,
                holdout => numbers::holdout(&item.holdout),
                correct => item.correct,
                score => item.score.as_ref().map(|score| {
                    context! { name => &score.name, value => numbers::significant(score.value, 3) }
                }),
            }
        })
        .collect();
    let shown = items.len();
    let more = items.split_off(shown.min(OPEN_CAPTIONS));
    context! { items, more, shown => numbers::count(shown), total => numbers::count(captions.total.max(shown)) }
}

pub(super) fn answers(answers: &Gallery<AnswerItem>) -> Value {
    let chosen = selection::evenly(&answers.items, MAX_ANSWERS, |item| (item.holdout.clone(), item.correct));
    let given = |(answer, n): &(String, usize)| match n {
        1 => answer.clone(),
        n => format!("{answer} ({n})"),
    };
    let items = chosen.into_iter().map(|item| {
        context! {
            image => item.image.as_ref().map(|image| image.to_value()),
            audio => item.audio.as_ref().map(|audio| audio.to_value()),
            question => &item.question,
            hypothesis => &item.hypothesis,
            references => item.references.iter().map(given).collect::<Vec<_>>().join(", "),
            is_same => item.references.len() == 1 && item.references[0].0 == item.hypothesis,
            holdout => numbers::holdout(&item.holdout),
            correct => item.correct,
            score => item.score.as_ref().map(|score| {
                context! { name => &score.name, value => numbers::figure(score.value, "%") }
            }),
        }
    });
    gallery(items.collect(), answers.total)
}

pub(super) fn transcripts(transcripts: &Gallery<TranscriptItem>) -> Value {
    let chosen = selection::evenly(&transcripts.items, MAX_TRANSCRIPTS, |item| {
        (item.holdout.clone(), item.voice.clone(), item.errors == 0)
    });
    let items = chosen.into_iter().map(|item| {
        context! {
            audio => item.audio.to_value(),
            reference => &item.reference,
            is_empty => item.hypothesis.trim().is_empty(),
            words => align(&item.hypothesis, &item.reference).into_iter().map(word).collect::<Vec<_>>(),
            holdout => numbers::holdout(&item.holdout),
            voice => (!item.holdout.contains(&format!("voice:{}", item.voice))).then_some(&item.voice),
            errors => item.errors,
            correct => item.errors == 0,
            synthetic => item.synthetic,
        }
    });
    gallery(items.collect(), transcripts.total)
}

fn word(word: Word) -> Value {
    match word {
        Word::Same(text) => context! { kind => "same", text },
        Word::Changed { hypothesis, reference } => {
            context! { kind => "changed", text => hypothesis, reference }
        }
        Word::Added(text) => context! { kind => "added", text },
        Word::Missed(text) => context! { kind => "missed", text },
    }
}

pub(super) fn searches(searches: &Gallery<SearchExample>) -> Value {
    let chosen = selection::evenly(&searches.items, MAX_SEARCHES, |item| {
        (item.holdout.clone(), std::mem::discriminant(&item.query))
    });
    let items = chosen.into_iter().map(|item| {
        let results: Vec<Value> = item
            .results
            .iter()
            .take(MAX_RESULTS)
            .map(|result| {
                context! {
                    image => result.image.as_ref().map(|image| image.to_value()),
                    caption => &result.caption,
                    similarity => numbers::figure(result.similarity, ""),
                    correct => result.correct,
                }
            })
            .collect();
        context! {
            query => query(&item.query),
            found => item.results.iter().take(MAX_RESULTS).position(|result| result.correct).map(|rank| rank + 1),
            n_results => results.len(),
            correct => item.results.first().is_some_and(|result| result.correct),
            results,
            holdout => numbers::holdout(&item.holdout),
        }
    });
    gallery(items.collect(), searches.total)
}

fn query(query: &SearchQuery) -> Value {
    match query {
        SearchQuery::Text(text) => context! { kind => "written", text },
        SearchQuery::Speech { audio, text, synthetic } => {
            context! { kind => "spoken", audio => audio.to_value(), text, synthetic }
        }
        SearchQuery::Image { image, text } => context! { kind => "picture", image => image.to_value(), text },
    }
}
