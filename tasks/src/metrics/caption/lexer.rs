//! The lexer under the caption tokenizer: at every place the rule that reaches furthest wins, the earlier of two that
//! reach as far. A rule may look further than its token, and what it looked at counts for its reach.

use std::borrow::Cow;
use std::collections::HashSet;
use std::sync::LazyLock;

use regex::{Regex, RegexSet};

use crate::metrics::normalizer::fixed;

/// Calls `emit` with every token of `text` in turn, case kept.
pub(super) fn lex(text: &str, mut emit: impl FnMut(&str)) {
    let mut rest = text;
    let mut is_after_gap = true;
    while let Some(first) = rest.chars().next() {
        if is_after_gap && let Some(word) = plain_word(rest) {
            emit(word);
            rest = &rest[word.len()..];
            is_after_gap = false;
            continue;
        }
        is_after_gap = first == ' ';
        if rest == "." || rest == " " {
            if rest == "." {
                emit(rest);
            }
            break;
        }
        let Some((token, kind)) = LEXER.longest(rest) else {
            // white space, or something that belongs to no token
            rest = &rest[first.len_utf8()..];
            continue;
        };
        match kind.text(token) {
            Cow::Borrowed("") => {}
            text => emit(&text),
        }
        rest = &rest[token.len()..];
    }
}

/// Most of any caption: a word of `a-z` between spaces, before a comma or before the last full stop, which no rule would
/// part. Spares the rules the work.
fn plain_word(rest: &str) -> Option<&str> {
    const PARTED: [&str; 6] = ["cannot", "gonna", "gotta", "lemme", "gimme", "wanna"];
    let end = rest.bytes().position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(rest.len());
    let word = &rest[..end];
    let is_closed = match &rest.as_bytes()[end..] {
        [] | [b' ' | b',', ..] => true,
        [b'.'] => end > 1 && !is_abbreviation(word),
        _ => false,
    };
    (end > 0 && is_closed && !PARTED.iter().any(|parted| word.eq_ignore_ascii_case(parted))).then_some(word)
}

/// Whether a full stop after the word is its own, capitals or not.
fn is_abbreviation(word: &str) -> bool {
    static WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
        let all = [ABBREVIATION, CAPITAL_ABBREVIATION, NUMBER_ABBREVIATION];
        all.iter().flat_map(|words| words.split('|')).map(str::to_lowercase).collect()
    });
    // longer than any of them
    word.len() <= 8 && WORDS.contains(&word.to_ascii_lowercase())
}

/// What becomes of a token's text.
#[derive(Clone, Copy)]
enum Kind {
    /// Stays as it is.
    Plain,
    /// Curly apostrophes become straight.
    Contraction,
    /// Brackets get names, white space becomes no-break space.
    Bracketed,
    /// Always this text.
    Fixed(&'static str),
}

impl Kind {
    fn text(self, token: &str) -> Cow<'_, str> {
        match self {
            Self::Plain => Cow::Borrowed(token),
            Self::Contraction => Cow::Owned(token.replace('\u{2019}', "'")),
            Self::Fixed(text) => Cow::Borrowed(text),
            Self::Bracketed => {
                let mut text = String::with_capacity(token.len() + 8);
                for c in token.chars() {
                    match c {
                        '(' => text.push_str("-lrb-"),
                        ')' => text.push_str("-rrb-"),
                        ' ' => text.push('\u{a0}'),
                        c => text.push(c),
                    }
                }
                Cow::Owned(text)
            }
        }
    }
}

struct Rule {
    /// The group `token`, if there is one, is the token, and the group `reach`, if there is one, ends where the
    /// rule's reach does. Both are the whole match otherwise.
    pattern: String,
    kind: Kind,
}

struct Lexer {
    /// All patterns at once, to find the few that match at all.
    any: RegexSet,
    rules: Vec<(Regex, Kind)>,
}

static LEXER: LazyLock<Lexer> = LazyLock::new(|| {
    let rules = rules();
    let any = RegexSet::new(rules.iter().map(|rule| &rule.pattern))
        .unwrap_or_else(|error| panic!("patterns of this crate: {error}"));
    Lexer { any, rules: rules.into_iter().map(|rule| (fixed(&rule.pattern), rule.kind)).collect() }
});

impl Lexer {
    fn longest<'t>(&self, rest: &'t str) -> Option<(&'t str, Kind)> {
        let mut best: Option<(usize, &str, Kind)> = None;
        for rule_idx in self.any.matches(rest) {
            let (pattern, kind) = &self.rules[rule_idx];
            let Some(groups) = pattern.captures(rest) else { continue };
            let whole = groups.get_match();
            let reach = groups.name("reach").map_or(whole.end(), |group| group.end());
            if best.is_none_or(|(furthest, _, _)| reach > furthest) {
                best = Some((reach, groups.name("token").unwrap_or(whole).as_str(), *kind));
            }
        }
        best.map(|(_, token, kind)| (token, kind))
    }
}

/// Letters, with the marks that words of common scripts are written with, and the soft hyphen.
const LETTER: &str = r"[\p{L}\u{300}-\u{487}\u{591}-\u{5bd}\u{5bf}\u{5c1}\u{5c2}\u{5c4}\u{5c5}\u{5c7}\u{615}-\u{61a}\u{620}-\u{65e}\u{670}-\u{6d3}\u{6d5}-\u{6ed}\u{900}-\u{903}\u{93c}-\u{94e}\u{951}-\u{955}\u{962}\u{963}\u{981}-\u{9e3}\u{a01}-\u{a4d}\u{a81}-\u{acd}\u{b82}-\u{bcd}\u{c01}-\u{c03}\u{c3e}-\u{c56}\u{d3e}-\u{d48}\u{e31}-\u{e3a}\u{e40}-\u{e4e}\u{eb1}-\u{ecd}\u{ad}]";

/// Symbols that are tokens by themselves.
const SYMBOL: &str = r"[$&*+/:<=>\\^_`|~%@,.;?!\u{a1}\u{a5}-\u{a9}\u{ac}\u{ae}-\u{b4}\u{b6}-\u{b9}\u{bf}\u{d7}\u{f7}\u{37e}\u{387}\u{589}\u{5be}\u{5c0}\u{5c3}\u{5c6}\u{5f3}\u{5f4}\u{600}-\u{603}\u{606}-\u{60c}\u{61b}\u{61e}\u{61f}\u{66a}\u{66d}\u{6d4}\u{700}-\u{70d}\u{964}\u{965}\u{e3f}\u{e4f}\u{2016}\u{2017}\u{201a}\u{201e}-\u{2023}\u{2030}-\u{2038}\u{203b}\u{203e}-\u{2042}\u{2044}\u{2070}\u{2074}-\u{207e}\u{2080}-\u{208e}\u{20a4}\u{2100}\u{2101}\u{2103}-\u{2106}\u{2108}\u{2109}\u{2114}\u{2116}-\u{2118}\u{211e}-\u{2123}\u{2125}\u{2127}\u{2129}\u{212e}\u{213a}\u{213b}\u{2140}-\u{2144}\u{214a}-\u{214d}\u{214f}\u{2155}-\u{215e}\u{2190}-\u{2bff}\u{3001}\u{3002}\u{3012}\u{30fb}\u{ff01}-\u{ff0f}\u{ff1a}-\u{ff20}\u{ff3b}-\u{ff40}\u{ff5b}-\u{ff65}\u{ffe0}\u{ffe1}\u{ffe5}\u{ffe6}]";

/// Words whose full stop is their own.
const ABBREVIATION: &str = "adj|adm|adv|al|ala|alex|apr|ariz|assn|assoc|asst|atty|attys|aug|ave|bhd|bldg|blvd|brig|bros|calif|capt|cf|cie|cmdr|co|col|colo|comdr|conn|corp|cos|cpl|ct|dak|dec|dept|det|dr|drs|elec|ens|esq|est|etc|ext|feb|fla|fri|ft|ga|gen|gov|hon|inc|ind|intl|invt|jan|jos|jr|jul|jun|kan|kans|ky|lieut|lt|ltd|maj|mar|md|messrs|mfg|mich|minn|mlle|mme|mo|mon|mont|mr|mrs|ms|msgr|mt|mtg|natl|neb|nev|nov|oct|okla|penn|pfc|ph|plc|pres|prof|pte|pty|pvt|rd|rep|reps|rev|rt|sen|sens|sep|sept|seq|sfc|sgt|spc|sq|sr|st|ste|supt|sys|tel|tenn|thu|thurs|treas|tue|tues|univ|va|vs|vt|wed|wis|wisc|wm|wyo|ph\\.d";
/// Likewise, but ordinary words unless they begin with a capital.
const CAPITAL_ABBREVIATION: &str =
    "Ark|ARK|Az|AZ|Del|DEL|Ill|ILL|La|LA|Mass|MASS|Miss|MISS|Ore|ORE|Pa|PA|Tex|TEX|Wash|WASH";
/// Likewise, but ordinary words unless a number follows.
const NUMBER_ABBREVIATION: &str = "art|ca|fig|figs|no|nos|op|pp|prop";

/// Words that keep an apostrophe.
const APOSTROPHE_WORD: &str = "c['\u{2019}]mon|c['\u{2019}]est|n['\u{2019}]est|qu['\u{2019}]il|cap['\u{2019}]n|e['\u{2019}]er|ev['\u{2019}]ry|hallowe['\u{2019}]en|li['\u{2019}]l|ma['\u{2019}]am|nat['\u{2019}]l|ne['\u{2019}]er|o['\u{2019}]er|s['\u{2019}]mores|['\u{2019}]cause|['\u{2019}]em|['\u{2019}]n['\u{2019}]?|['\u{2019}]till?";
/// Words that keep one at their end.
const APOSTROPHE_END: &str = "dunkin|ol|somethin";

fn rules() -> Vec<Rule> {
    let apostrophe = r"['\u{2019}]";
    let letter = LETTER;
    let alnum = format!(r"(?:{letter}|\p{{Nd}})");
    let not_alnum = r"(?:\z|[^\p{L}\p{Nd}])";
    let not_letter = r"(?:\z|[^A-Za-z])";
    // numbers may begin at their point, and every comma, colon or point must have digits after it
    let number = r"[-+]?(?:\p{Nd}*(?:[.,:]\p{Nd}+)+|\p{Nd}+)";
    let word = format!("{letter}{alnum}*(?:[.!?]{letter}{alnum}*)*");
    let acronym = r"[A-Za-z](?:\.[A-Za-z])*\.";
    let suffix = format!("{apostrophe}(?i:s|m|d|ll|re|ve)");
    let part = format!("(?:[dDoOlL]{apostrophe}{alnum})?{alnum}+");
    let rule = |pattern: String, kind: Kind| Rule { pattern: format!(r"\A(?:{pattern})"), kind };

    let mut rules = Vec::new();
    let mut plain = |pattern: String| rules.push(rule(pattern, Kind::Plain));
    // markup and addresses
    plain(r#"https?://[^\s"<>|()]*[^\s"<>|().,;!?'-]"#.to_owned());
    plain(
        r#"(?i:www)\.(?:[^\s"<>|().!?,]+\.)+[A-Za-z]{2,4}(?:/[^\s"<>|()]*[^\s"<>|().,;:!?'-])?"#.to_owned(),
    );
    plain(r#"[A-Za-z0-9][^\s"<>|()\u{a0}@]*@(?:[^\s"<>|().\u{a0}@]+\.)*[^\s"<>|().\u{a0}@]+"#.to_owned());
    plain(r"@[A-Za-z_][A-Za-z0-9_]*".to_owned());
    plain(format!("#{letter}+"));
    // words that part
    for (head, tail) in
        [("can", "not"), ("gon", "na"), ("got", "ta"), ("lem", "me"), ("gim", "me"), ("wan", "na")]
    {
        plain(format!("(?<reach>(?<token>(?i:{head}))(?i:{tail})){not_alnum}"));
    }
    plain(format!("(?<reach>(?<token>(?i:more)){apostrophe}(?i:n)){not_alnum}"));
    plain(format!("(?<reach>(?<token>'(?i:t))(?i:is|was))(?:{not_alnum}|n't)"));
    plain(format!("(?<token>{letter}+?)(?i:n{apostrophe}t)"));
    plain(format!("(?<reach>(?<token>{alnum}+){suffix}){not_letter}"));
    plain(format!("[dDjJlL]{apostrophe}|(?<token>[yY]{apostrophe}){letter}"));
    // words
    plain(word.clone());
    plain(format!("{alnum}+(?:_{alnum}+)*"));
    plain(format!("{part}(?:[-_]{part})*"));
    plain(format!("(?:{part}-)+{acronym}"));
    plain(format!("(?:{acronym}|(?i:{ABBREVIATION})\\.|\\p{{Nd}}+(?:[.,:]\\p{{Nd}}+)*)(?:-{part})+"));
    plain("[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*(?:/[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*){1,2}".to_owned());
    plain(format!(r"\p{{Nd}}+-\p{{Nd}}+/\p{{Nd}}+|\p{{Nd}}+/\p{{Nd}}+(?:-{part})+"));
    plain(number.to_owned());
    plain(format!("(?i:{APOSTROPHE_WORD})"));
    plain(format!("(?i:{APOSTROPHE_END}){apostrophe}"));
    plain(format!(r"{apostrophe}\p{{Nd}}{{2}}s"));
    plain(format!(r"(?<token>{apostrophe}\p{{Nd}}{{2}})(?:\s|\z)"));
    // abbreviations
    plain(acronym.to_owned());
    plain(format!(r"(?i:{ABBREVIATION})\.|(?:{CAPITAL_ABBREVIATION})\."));
    plain(format!(r"(?<token>(?i:{NUMBER_ABBREVIATION})\.)\s?\p{{Nd}}"));
    plain(format!(r"(?<token>{alnum}+\.)[,;:]"));
    // symbols that stay together
    plain("[A-Z]+&[A-Z]+".to_owned());
    plain(r"[cC]\+\+|[cCfF]#".to_owned());
    plain("(?:US|HK|NZ|A|C|S)\\$".to_owned());
    plain(r"[!?]+|\*+|_+|#{2,}|@{2,}|>>|<<|\.\.\.|-{5,}|\^_\^".to_owned());
    plain(SYMBOL.to_owned());

    let mut special = |pattern: String, kind: Kind| rules.push(rule(pattern, kind));
    special(format!("(?i:n{apostrophe}t){alnum}*"), Kind::Contraction);
    special(format!("(?<token>{suffix}){not_letter}"), Kind::Contraction);
    special(r"\u{2019}(?i:s|m|d|ll|re|ve)".to_owned(), Kind::Contraction);
    special(r"</?[A-Za-z!?][^<>\n]*>".to_owned(), Kind::Bracketed);
    special(
        r"\([0-9]{3}\) ?[0-9]{3}[- ]?[0-9]{4}|[0-9]{3} [0-9]{3}[- ][0-9]{4}|[0-9]{1,4} [0-9]+/[0-9]+"
            .to_owned(),
        Kind::Bracketed,
    );
    // faces, unless a word begins in them
    special(
        r"(?<reach>(?<token>[<>]?[:;=][-o*']?[()DPdpO\\{@|\[\]]))(?:\z|[^A-Za-z0-9])".to_owned(),
        Kind::Bracketed,
    );
    // a quote that opens hides an apostrophe word that merely begins the same
    special(r"(?<token>')[A-Za-z]\S".to_owned(), Kind::Fixed("'"));
    for (pattern, text) in FIXED {
        special((*pattern).to_owned(), Kind::Fixed(text));
    }
    rules
}

/// Texts that always become the same token.
const FIXED: &[(&str, &str)] = &[
    (r"\(", "-lrb-"),
    (r"\)", "-rrb-"),
    (r"\[", "-lsb-"),
    (r"\]", "-rsb-"),
    (r"\{", "-lcb-"),
    (r"\}", "-rcb-"),
    (r"['\u{2019}\u{2018}\u{201b}\u{2039}\u{203a}\u{91}\u{92}]", "'"),
    (r#"["\u{201c}\u{201d}\u{ab}\u{bb}\u{93}\u{94}]|''"#, "''"),
    ("``", "``"),
    ("-", "-"),
    (r"-{2,4}|[\u{2013}-\u{2015}\u{96}\u{97}]", "--"),
    (r"\u{2026}", "..."),
    (r"[\u{20ac}\u{a4}\u{20a0}\u{80}]", "$"),
    (r"\u{a3}", "#"),
    ("#", "#"),
    (r"\u{a2}", "cents"),
    (r"\u{bc}", "1/4"),
    (r"\u{bd}", "1/2"),
    (r"\u{be}", "3/4"),
    (r"\u{2153}", "1/3"),
    (r"\u{2154}", "2/3"),
    ("&(?i:amp);", "&"),
    ("&(?i:lt);", "<"),
    ("&(?i:gt);", ">"),
    ("&(?i:quot);", "''"),
    ("&(?i:apos);", "'"),
    ("&(?i:nbsp);", ""),
];
