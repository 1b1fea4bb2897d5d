//! Figures as a reader sees them.

use crate::evaluate::ScoreRow;

/// A figure in its unit, without the unit's sign: percentages and ranks to one decimal, others to two.
pub(super) fn figure(value: f64, unit: &str) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    let text = match unit {
        "%" => format!("{value:.1}"),
        "rank" => trim(&format!("{value:.1}")).to_owned(),
        _ => format!("{value:.2}"),
    };
    match text.strip_prefix('-') {
        Some(rest) if is_zero(rest) => rest.to_owned(),
        _ => text,
    }
}

fn is_zero(text: &str) -> bool {
    text.chars().all(|c| matches!(c, '0' | '.'))
}

/// `[53.6, 60.9]`: the row's interval.
pub(super) fn interval(row: &ScoreRow) -> String {
    format!("[{}, {}]", figure(row.low, &row.unit), figure(row.high, &row.unit))
}

/// What guessing scores: as a figure, but with enough digits to differ from zero.
pub(super) fn chance(value: f64, unit: &str) -> String {
    let text = figure(value, unit);
    if value > 0.0 && is_zero(&text) { significant(value, 2) } else { text }
}

/// The sign that follows a figure: `%` or nothing.
pub(super) fn sign(unit: &str) -> &str {
    if unit == "%" { "%" } else { "" }
}

/// Rounds to a number of significant digits and drops idle zeros.
pub(crate) fn significant(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return "–".into();
    }
    if value == 0.0 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor() as i32;
    if !(-4..6).contains(&magnitude) {
        let text = format!("{value:.*e}", digits.saturating_sub(1));
        return match text.split_once('e') {
            Some((mantissa, exponent)) => format!("{}e{exponent}", trim(mantissa)),
            None => text,
        };
    }
    let decimals = (digits as i32 - 1 - magnitude).max(0) as usize;
    let text = format!("{value:.decimals$}");
    let text = trim(&text);
    if magnitude >= 3 && !text.contains('.') { group(text) } else { text.to_owned() }
}

fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

/// `3,208`.
pub(crate) fn count(value: usize) -> String {
    group(&value.to_string())
}

fn group(digits: &str) -> String {
    let (minus, digits) = digits.strip_prefix('-').map_or(("", digits), |rest| ("-", rest));
    let mut text = String::from(minus);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `48 s`, `12 min 34 s`, `2 h 05 min`.
pub(crate) fn duration(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return "–".into();
    }
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole % 3600 / 60),
    }
}

/// `1.7 GB`, in powers of 1000.
pub(crate) fn bytes(value: u64) -> String {
    let value = value as f64;
    match value {
        v if v >= 1e9 => format!("{:.1} GB", v / 1e9),
        v if v >= 1e6 => format!("{:.0} MB", v / 1e6),
        v if v >= 1e3 => format!("{:.0} kB", v / 1e3),
        v => format!("{v:.0} bytes"),
    }
}

/// `unseen voice slt × unseen style` for `voice:slt x style`.
pub(crate) fn holdout(code: &str) -> String {
    let parts: Vec<String> = code
        .split(" x ")
        .map(|part| match part.split_once(':') {
            Some((kind, which)) => format!("unseen {kind} {which}"),
            None if matches!(part, "style" | "concepts" | "voice" | "speaker") => format!("unseen {part}"),
            None => part.to_owned(),
        })
        .collect();
    parts.join(" × ")
}

/// The task in words.
pub(super) fn task(code: &str) -> String {
    match code {
        "retrieval" => "Retrieval".into(),
        "asr" => "Speech to text".into(),
        "caption" => "Captions".into(),
        "zero-shot" => "Zero-shot classification".into(),
        "probe" => "Linear probe".into(),
        "vqa" => "Answers to questions".into(),
        _ => {
            let mut chars = code.chars();
            chars.next().map_or(String::new(), |first| first.to_uppercase().chain(chars).collect())
        }
    }
}

/// What a metric means, in a line, for those that are known.
pub(super) fn metric(name: &str) -> Option<&'static str> {
    Some(match name {
        "R@1" => "share of queries whose right answer comes first",
        "R@5" => "share of queries whose right answer is among the first five",
        "R@10" => "share of queries whose right answer is among the first ten",
        "median rank" | "MedR" => "rank of the right answer for the median query; 1 is best",
        "mean rank" | "MeanR" => "mean rank of the right answer; 1 is best",
        "mAP" => "mean average precision of the ranked answers",
        "WER" => "wrong, missing and added words per word spoken",
        "CER" => "wrong, missing and added characters per character spoken",
        "exact" => "share of predictions equal to a reference, word for word",
        "CIDEr-D" => {
            "n-gram agreement with the references, weighted by how telling each n-gram is; 10 at most"
        }
        "BLEU-1" | "BLEU-2" | "BLEU-3" | "BLEU-4" => "n-gram precision with a penalty for brevity",
        "accuracy" => "share of samples taken for what they are",
        "top-5 accuracy" => "share of samples whose class is among the five likeliest",
        "mean per-class accuracy" => "accuracy within a class, averaged over the classes",
        "macro F1" => "F1 of a class, averaged over the classes",
        "ECE" | "adaptive ECE" => "how far the confidence is from how often it is right",
        "VQA" => "agreement with the answers that people gave; three of them make an answer right",
        "exact answer" => "answers equal to one that was given, but for articles, punctuation and case",
        "ROUGE-L" => "longest common subsequence with a reference",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_follow_their_unit() {
        assert_eq!(figure(57.249, "%"), "57.2");
        assert_eq!(figure(1.0, "rank"), "1");
        assert_eq!(figure(12.5, "rank"), "12.5");
        assert_eq!(figure(1.239, ""), "1.24");
        assert_eq!(figure(-0.001, ""), "0.00");
        assert_eq!(figure(f64::NAN, "%"), "–");
        assert_eq!(chance(0.0125, "%"), "0.013");
        assert_eq!(chance(50.0, "%"), "50.0");
    }

    #[test]
    fn significant_digits_stay_short_at_every_scale() {
        let rows = [
            (0.0, "0"),
            (0.25, "0.25"),
            (0.0003, "0.0003"),
            (3e-5, "3e-5"),
            (1000.0, "1,000"),
            (12345.6, "12,346"),
            (-2500.0, "-2,500"),
            (2.5e7, "2.5e7"),
            (f64::INFINITY, "–"),
        ];
        for (value, expected) in rows {
            assert_eq!(significant(value, 3), expected, "{value}");
        }
    }

    #[test]
    fn times_sizes_and_counts_read_well() {
        assert_eq!(duration(3.21), "3.2 s");
        assert_eq!(duration(59.7), "1 min 00 s");
        assert_eq!(duration(7500.0), "2 h 05 min");
        assert_eq!(bytes(1_740_000_000), "1.7 GB");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(count(802), "802");
    }

    #[test]
    fn holdouts_and_tasks_are_put_in_words() {
        assert_eq!(holdout("voice:slt x style"), "unseen voice slt × unseen style");
        assert_eq!(holdout("known"), "known");
        assert_eq!(task("asr"), "Speech to text");
        assert_eq!(task("matching"), "Matching");
    }
}
