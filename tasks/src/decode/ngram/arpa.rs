//! Reads ARPA files, strictly: a damaged model would only lower every score.

use std::collections::HashMap;
use std::io::{self, BufRead, Read};

use super::{BEGIN, Context, END, NGram, UNKNOWN, Words};

/// More words in an n-gram are taken for a damaged file.
const MAX_ORDER: usize = 32;
/// Longer lines are taken for a damaged file.
const MAX_LINE_BYTES: u64 = 1 << 20;
/// Base-10 logarithm of the probability of an unknown word where the model has no `<unk>`, as in KenLM.
const MISSING_UNKNOWN_LOG10: f32 = -100.0;

/// What is wrong with an ARPA file, and where.
#[derive(Debug, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct ArpaError {
    /// From 1.
    pub line: usize,
    /// What is wrong.
    pub problem: ArpaProblem,
}

/// What is wrong with an ARPA file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArpaProblem {
    /// The system refused to read on.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is not text.
    #[error("expected UTF-8")]
    Encoding,
    /// It does not end.
    #[error("expected a line of at most {MAX_LINE_BYTES} bytes")]
    LongLine,
    /// Something else is expected here.
    #[error("expected {expected}, got {got}")]
    Unexpected {
        /// In words.
        expected: String,
        /// The line or the end of the file.
        got: String,
    },
    /// A number that is none, not finite or, of a probability, above 0.
    #[error("expected {expected}, got {got:?}")]
    Number {
        /// In words.
        expected: &'static str,
        /// What stands there.
        got: String,
    },
    /// The header counts other n-grams.
    #[error("expected {expected} {order}-grams, as line {header_line} says, got {got}")]
    Count {
        /// Their length in words.
        order: usize,
        /// By the header.
        expected: u64,
        /// As there are; one more stands for more.
        got: u64,
        /// Where the header says so.
        header_line: usize,
    },
    /// A word that stands in no 1-gram.
    #[error("unknown word {word:?}: expected one of the 1-grams")]
    Word {
        /// The word.
        word: String,
    },
    /// An n-gram whose first words are no n-gram.
    #[error("expected {words:?} among the {order}-grams, as one that goes on stands here")]
    Prefix {
        /// The words but the last.
        words: String,
        /// Their number.
        order: usize,
    },
    /// An n-gram that stands twice.
    #[error("{words:?} stands twice: on line {first_line} too")]
    Repeated {
        /// The n-gram.
        words: String,
        /// Where it stands first.
        first_line: usize,
    },
    /// A mark that every model needs.
    #[error("expected {mark} among the 1-grams, got none")]
    Mark {
        /// `<s>` or `</s>`.
        mark: &'static str,
    },
    /// More than a model can hold.
    #[error("expected fewer than {} n-grams", u32::MAX)]
    TooMany,
}

/// An n-gram as it is read.
struct Entry {
    /// The n-gram without its last word.
    parent: Context,
    word: u32,
    log10: f32,
    backoff: f32,
    line: usize,
}

/// A single word as it is read.
struct Unigram {
    word: String,
    log10: f32,
    backoff: f32,
    line: usize,
}

impl NGram {
    /// Reads an ARPA file of any order; lines may end as on Windows, n-grams stand in any order.
    ///
    /// # Errors
    /// The first thing that is wrong, with its line: a file that is cut off, n-grams missing, twice or too many, numbers that are
    /// not finite, words that are no 1-grams, n-grams whose beginnings are not there, `<s>` or `</s>` missing.
    ///
    /// # Reference
    /// The format: `ngram-format(5)` of SRILM. As in KenLM, a model without `<unk>` gets one of probability 1e-100, and `<UNK>` is
    /// read as `<unk>`.
    pub fn read_arpa(reader: impl BufRead) -> Result<Self, ArpaError> {
        let mut lines = Lines { reader, line: 0, buffer: Vec::new() };
        let header = header(&mut lines)?;
        let order = header.len();
        let mut unigrams = Vec::new();
        section(&mut lines, &header, 1, |fields, line| {
            let [word] = fields.words[..] else { unreachable!("a 1-gram has one word") };
            let word = if word == "<UNK>" { UNKNOWN } else { word };
            unigrams.push(Unigram {
                word: word.to_owned(),
                log10: fields.log10,
                backoff: fields.backoff,
                line,
            });
            Ok(())
        })?;
        let (mut model, numbers) = model_of_words(unigrams, order, lines.line)?;
        for n in 2..=order {
            let mut entries = Vec::new();
            section(&mut lines, &header, n, |fields, line| {
                let (last, first) = fields.words.split_last().expect("an n-gram has words");
                let number = |word: &&str| {
                    let known = if *word == "<UNK>" { UNKNOWN } else { word };
                    numbers.get(known).copied().ok_or_else(|| ArpaProblem::Word { word: (*word).to_owned() })
                };
                let mut parent = Context::NONE;
                for word in first {
                    let ngram = model.find(parent, number(word)?);
                    parent = Context(
                        ngram.ok_or_else(|| ArpaProblem::Prefix { words: first.join(" "), order: n - 1 })?,
                    );
                }
                let word = number(last)?;
                entries.push(Entry { parent, word, log10: fields.log10, backoff: fields.backoff, line });
                Ok(())
            })?;
            model.add_level(entries, n)?;
        }
        if model.suffix.len() >= u32::MAX as usize {
            return Err(ArpaError { line: lines.line, problem: ArpaProblem::TooMany });
        }
        match lines.next_full()?.as_deref() {
            Some("\\end\\") => {}
            got => return Err(lines.unexpected("\\end\\", got)),
        }
        match lines.next_full()?.as_deref() {
            None => Ok(model),
            got => Err(lines.unexpected("nothing behind \\end\\", got)),
        }
    }

    /// Adds the n-grams of `n` words, which is one more than the longest so far.
    fn add_level(&mut self, mut entries: Vec<Entry>, n: usize) -> Result<(), ArpaError> {
        entries.sort_by_key(|entry| (entry.parent.0, entry.word, entry.line));
        if let Some(pair) =
            entries.windows(2).find(|pair| (pair[0].parent, pair[0].word) == (pair[1].parent, pair[1].word))
        {
            let words = format!("{} {}", self.spell(pair[0].parent.0), self.words.get(pair[0].word));
            let problem = ArpaProblem::Repeated { words, first_line: pair[0].line };
            return Err(ArpaError { line: pair[1].line, problem });
        }
        let first = self.last.len();
        if first + entries.len() >= u32::MAX as usize {
            let line = entries.last().map_or(0, |entry| entry.line);
            return Err(ArpaError { line, problem: ArpaProblem::TooMany });
        }
        // the entry behind the last of the level above is that of the first n-gram of this one
        let n_parents = first;
        for (place, entry) in entries.iter().enumerate() {
            while self.first_child.len() <= entry.parent.0 as usize {
                self.first_child.push((first + place) as u32);
            }
        }
        self.first_child.resize(n_parents + 1, (first + entries.len()) as u32);
        for entry in &entries {
            // the longest shorter ending: what the parent's endings have behind them
            let mut at = self.suffix[entry.parent.0 as usize];
            let suffix = loop {
                if let Some(ngram) = self.find(at, entry.word) {
                    break Context(ngram);
                }
                at = self.suffix[at.0 as usize];
            };
            self.suffix.push(suffix);
            self.last.push(entry.word);
            self.log10.push(entry.log10);
        }
        if n < self.order {
            self.backoff.extend(entries.iter().map(|entry| entry.backoff));
        }
        Ok(())
    }

    /// The words of an n-gram.
    fn spell(&self, ngram: u32) -> String {
        let last = self.words.get(self.last[ngram as usize]);
        if (ngram as usize) < self.words.len() {
            return last.to_owned();
        }
        let parent = self.first_child.partition_point(|first| *first <= ngram) as u32 - 1;
        format!("{} {last}", self.spell(parent))
    }
}

/// A model of single words, and the numbers of words.
fn model_of_words(
    mut unigrams: Vec<Unigram>,
    order: usize,
    line: usize,
) -> Result<(NGram, HashMap<String, u32>), ArpaError> {
    unigrams.sort_by(|a, b| a.word.cmp(&b.word).then(a.line.cmp(&b.line)));
    if let Some(pair) = unigrams.windows(2).find(|pair| pair[0].word == pair[1].word) {
        let problem = ArpaProblem::Repeated { words: pair[0].word.clone(), first_line: pair[0].line };
        return Err(ArpaError { line: pair[1].line, problem });
    }
    if let Err(place) = unigrams.binary_search_by(|unigram| unigram.word.as_str().cmp(UNKNOWN)) {
        let word = UNKNOWN.to_owned();
        unigrams.insert(place, Unigram { word, log10: MISSING_UNKNOWN_LOG10, backoff: 0.0, line });
    }
    if unigrams.len() >= u32::MAX as usize {
        return Err(ArpaError { line, problem: ArpaProblem::TooMany });
    }
    let words = Words::new(&unigrams.iter().map(|unigram| unigram.word.as_str()).collect::<Vec<_>>());
    let mark = |mark: &'static str| {
        let place = unigrams.binary_search_by(|unigram| unigram.word.as_str().cmp(mark));
        place.map(|place| place as u32).map_err(|_| ArpaError { line, problem: ArpaProblem::Mark { mark } })
    };
    let (begin, end, unknown) = (mark(BEGIN)?, mark(END)?, mark(UNKNOWN)?);
    let n_words = unigrams.len();
    let model = NGram {
        order,
        words,
        begin,
        end,
        unknown,
        last: (0..n_words as u32).collect(),
        log10: unigrams.iter().map(|unigram| unigram.log10).collect(),
        backoff: if order > 1 {
            unigrams.iter().map(|unigram| unigram.backoff).collect()
        } else {
            Vec::new()
        },
        first_child: Vec::new(),
        suffix: vec![Context::NONE; n_words],
    };
    let numbers = unigrams.into_iter().enumerate().map(|(number, unigram)| (unigram.word, number as u32));
    Ok((model, numbers.collect()))
}

/// How many n-grams of each order the header counts, and on which line.
fn header<R: BufRead>(lines: &mut Lines<R>) -> Result<Vec<(u64, usize)>, ArpaError> {
    match lines.next_full()?.as_deref() {
        Some("\\data\\") => {}
        got => return Err(lines.unexpected("\\data\\", got)),
    }
    let mut counts = Vec::new();
    while let Some(text) = lines.peek_full()? {
        let Some(count) = text.strip_prefix("ngram ") else { break };
        let order = counts.len() + 1;
        let parsed = count.split_once('=').and_then(|(n, count)| {
            Some((n.trim().parse::<usize>().ok()?, count.trim().parse::<u64>().ok()?))
        });
        match parsed {
            Some((n, count)) if n == order && order <= MAX_ORDER => counts.push((count, lines.line)),
            _ if order > MAX_ORDER => {
                return Err(lines.unexpected(&format!("at most {MAX_ORDER} orders"), Some(&text)));
            }
            _ => return Err(lines.unexpected(&format!("\"ngram {order}=COUNT\""), Some(&text))),
        }
        lines.buffer.clear();
    }
    if counts.is_empty() {
        let got = lines.peek_full()?;
        return Err(lines.unexpected("\"ngram 1=COUNT\"", got.as_deref()));
    }
    Ok(counts)
}

/// One line of a section.
struct Fields<'a> {
    log10: f32,
    words: Vec<&'a str>,
    backoff: f32,
}

/// Reads the n-grams of one order.
fn section<R: BufRead>(
    lines: &mut Lines<R>,
    header: &[(u64, usize)],
    order: usize,
    mut take: impl FnMut(Fields<'_>, usize) -> Result<(), ArpaProblem>,
) -> Result<(), ArpaError> {
    let title = format!("\\{order}-grams:");
    match lines.next_full()?.as_deref() {
        Some(text) if text == title => {}
        got => return Err(lines.unexpected(&title, got)),
    }
    let (expected, header_line) = header[order - 1];
    let mut n_read = 0;
    while let Some(text) = lines.peek_full()? {
        if text.starts_with('\\') && (text == "\\end\\" || text.ends_with("-grams:")) {
            break;
        }
        let here = |problem| ArpaError { line: lines.line, problem };
        n_read += 1;
        if n_read > expected {
            return Err(here(ArpaProblem::Count { order, expected, got: n_read, header_line }));
        }
        let fields = fields(&text, order, order == header.len()).map_err(here)?;
        take(fields, lines.line).map_err(here)?;
        lines.buffer.clear();
    }
    if n_read < expected {
        let problem = ArpaProblem::Count { order, expected, got: n_read, header_line };
        return Err(ArpaError { line: lines.line, problem });
    }
    Ok(())
}

fn fields(text: &str, order: usize, is_last: bool) -> Result<Fields<'_>, ArpaProblem> {
    let parts = text.split([' ', '\t']).filter(|part| !part.is_empty()).collect::<Vec<_>>();
    let has_backoff = parts.len() == order + 2;
    if !has_backoff && parts.len() != order + 1 {
        let words = if order == 1 { "1 word" } else { &format!("{order} words") };
        return Err(ArpaProblem::Unexpected {
            expected: format!("a log-probability, {words}{}", if is_last { "" } else { " and a back-off" }),
            got: format!("{:?}", shortened(text)),
        });
    }
    let log10 = number(parts[0], "a log-probability, finite and at most 0")?;
    if log10 > 0.0 {
        let got = parts[0].to_owned();
        return Err(ArpaProblem::Number { expected: "a log-probability, finite and at most 0", got });
    }
    let backoff = if has_backoff { number(parts[order + 1], "a finite back-off")? } else { 0.0 };
    if is_last && backoff != 0.0 {
        let got = parts[order + 1].to_owned();
        return Err(ArpaProblem::Number { expected: "no back-off behind the longest n-grams", got });
    }
    Ok(Fields { log10, words: parts[1..=order].to_vec(), backoff })
}

fn number(text: &str, expected: &'static str) -> Result<f32, ArpaProblem> {
    let number = text.parse::<f32>().ok().filter(|number| number.is_finite());
    number.ok_or_else(|| ArpaProblem::Number { expected, got: shortened(text) })
}

fn shortened(text: &str) -> String {
    let mut start = text.chars().take(60).collect::<String>();
    if start.len() < text.len() {
        start.push_str("...");
    }
    start
}

/// Lines that are not blank, without what ends them.
struct Lines<R> {
    reader: R,
    line: usize,
    /// The line that was looked at and not taken; empty where there is none.
    buffer: Vec<u8>,
}

impl<R: BufRead> Lines<R> {
    fn next_full(&mut self) -> Result<Option<String>, ArpaError> {
        let line = self.peek_full()?;
        self.buffer.clear();
        Ok(line)
    }

    fn peek_full(&mut self) -> Result<Option<String>, ArpaError> {
        while self.buffer.is_empty() {
            let at = |problem| ArpaError { line: self.line + 1, problem };
            let mut limited = self.reader.by_ref().take(MAX_LINE_BYTES + 1);
            let n_bytes = limited.read_until(b'\n', &mut self.buffer).map_err(|error| at(error.into()))?;
            if n_bytes == 0 {
                return Ok(None);
            }
            if n_bytes as u64 > MAX_LINE_BYTES {
                return Err(at(ArpaProblem::LongLine));
            }
            self.line += 1;
            let n_kept = self.buffer.trim_ascii_end().len();
            self.buffer.truncate(n_kept);
        }
        let text = std::str::from_utf8(&self.buffer);
        match text {
            Ok(text) => Ok(Some(text.to_owned())),
            Err(_) => Err(ArpaError { line: self.line, problem: ArpaProblem::Encoding }),
        }
    }

    fn unexpected(&self, expected: &str, got: Option<&str>) -> ArpaError {
        let got = got.map_or("the end of the file".to_owned(), |text| format!("{:?}", shortened(text)));
        let expected = expected.to_owned();
        ArpaError { line: self.line.max(1), problem: ArpaProblem::Unexpected { expected, got } }
    }
}
