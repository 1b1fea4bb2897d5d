//! The calls in a Lua script of dialogues: names and texts, nothing is run.

/// `name("a", "b" .. "c")`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub name: String,
    /// The texts; pieces joined by `..` are one.
    pub arguments: Vec<String>,
    /// Where it begins, from 1.
    pub line: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Name(String, u64),
    Text(String),
    Open,
    Close,
    Comma,
    Join,
    Other,
}

/// Every call whose arguments are texts, in its order. Whatever else a script does is passed over.
pub(super) fn calls(script: &str) -> Vec<Call> {
    let mut tokens = Tokens { rest: script, line: 1 }.peekable();
    let mut calls = Vec::new();
    while let Some(token) = tokens.next() {
        let Token::Name(name, line) = token else { continue };
        if tokens.next_if_eq(&Token::Open).is_none() {
            continue;
        }
        let mut arguments: Vec<String> = Vec::new();
        let mut is_joined = false;
        let is_whole = loop {
            match tokens.next() {
                Some(Token::Text(text)) if is_joined => {
                    if let Some(last) = arguments.last_mut() {
                        last.push_str(&text);
                    }
                    is_joined = false;
                }
                Some(Token::Text(text)) => arguments.push(text),
                Some(Token::Join) => is_joined = true,
                Some(Token::Comma) => is_joined = false,
                Some(Token::Close) => break true,
                _ => break false,
            }
        };
        if is_whole {
            calls.push(Call { name, arguments, line });
        }
    }
    calls
}

struct Tokens<'a> {
    rest: &'a str,
    line: u64,
}

impl Tokens<'_> {
    /// Passes over so many bytes.
    fn skip(&mut self, n_bytes: usize) {
        let (gone, rest) = self.rest.split_at(n_bytes);
        self.line += gone.bytes().filter(|b| *b == b'\n').count() as u64;
        self.rest = rest;
    }

    /// A text in quotes; the rest of the script where it is never closed.
    fn text(&mut self, quote: char) -> String {
        let mut text = String::new();
        let mut characters = self.rest.char_indices().skip(1);
        let mut end = self.rest.len();
        while let Some((place, c)) = characters.next() {
            match c {
                c if c == quote => {
                    end = place + c.len_utf8();
                    break;
                }
                '\\' => match characters.next() {
                    Some((_, 'n')) => text.push('\n'),
                    Some((_, 't')) => text.push('\t'),
                    Some((_, other)) => text.push(other),
                    None => {}
                },
                c => text.push(c),
            }
        }
        self.skip(end);
        text
    }
}

impl Iterator for Tokens<'_> {
    type Item = Token;

    fn next(&mut self) -> Option<Token> {
        loop {
            let blank = self.rest.len() - self.rest.trim_start().len();
            self.skip(blank);
            if !self.rest.starts_with("--") {
                break;
            }
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.skip(end);
        }
        let first = self.rest.chars().next()?;
        let line = self.line;
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if is_name(first) {
            let end = self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len());
            let name = self.rest[..end].to_owned();
            self.skip(end);
            return Some(Token::Name(name, line));
        }
        if matches!(first, '"' | '\'') {
            return Some(Token::Text(self.text(first)));
        }
        if self.rest.starts_with("..") {
            self.skip(2);
            return Some(Token::Join);
        }
        self.skip(first.len_utf8());
        Some(match first {
            '(' => Token::Open,
            ')' => Token::Close,
            ',' => Token::Comma,
            _ => Token::Other,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn texts_are_joined_and_comments_passed_over() {
        let script = "\n-- a comment \"(\ndialogId(\"a-b\", 'font',\n  \"one \" ..\n  \"\\\"two\\\"\")\nx = f(1)\nend g()";
        let got = calls(script);
        assert_eq!(got.len(), 2);
        assert_eq!(got[0].arguments, ["a-b", "font", "one \"two\""]);
        assert_eq!((got[0].name.as_str(), got[0].line), ("dialogId", 3));
        assert_eq!((got[1].name.as_str(), got[1].line), ("g", 7));
    }

    proptest! {
        #[test]
        fn no_script_is_too_broken(script in "[a-z\"'(),.\\\\\n é-]{0,200}") {
            calls(&script);
        }
    }
}
