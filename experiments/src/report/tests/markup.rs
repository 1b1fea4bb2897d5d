//! A strict reader of the report's markup: every tag closes, every attribute is quoted.

use std::fmt::Write;

/// An opening tag.
#[derive(Debug)]
pub(crate) struct Tag {
    pub(crate) name: String,
    pub(crate) attributes: Vec<(String, String)>,
    /// The text up to the next tag.
    pub(crate) text: String,
}

impl Tag {
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        self.attributes.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    pub(crate) fn has(&self, key: &str) -> bool {
        self.value(key).is_some()
    }
}

/// The opening tags in order, or the first fault.
pub(crate) fn parse(page: &str) -> Result<Vec<Tag>, String> {
    let mut rest = page.strip_prefix("<!doctype html>").ok_or("no doctype")?;
    let mut tags: Vec<Tag> = Vec::new();
    let mut open: Vec<String> = Vec::new();
    while let Some(start) = rest.find('<') {
        let text = rest[..start].trim();
        if text.contains('>') {
            return Err(format!("a stray `>` in `{text}`"));
        }
        if let Some(tag) = tags.last_mut().filter(|tag| tag.text.is_empty()) {
            tag.text = text.into();
        }
        rest = &rest[start + 1..];
        if let Some(closing) = rest.strip_prefix('/') {
            let end = closing.find('>').ok_or("a closing tag without an end")?;
            let name = closing[..end].trim();
            match open.pop() {
                Some(expected) if expected == name => {}
                other => return Err(format!("`</{name}>` closes {other:?}; open: {open:?}")),
            }
            rest = &closing[end + 1..];
            continue;
        }
        let n_letters = rest.find(|c: char| !c.is_ascii_alphanumeric()).ok_or("a tag without an end")?;
        let name = rest[..n_letters].to_owned();
        if name.is_empty() {
            return Err(format!("a stray `<` before `{}`", &rest[..rest.len().min(20)]));
        }
        rest = &rest[n_letters..];
        let mut attributes = Vec::new();
        let is_closed = loop {
            rest = rest.trim_start();
            if let Some(after) = rest.strip_prefix("/>") {
                rest = after;
                break true;
            }
            if let Some(after) = rest.strip_prefix('>') {
                rest = after;
                break false;
            }
            let end = rest.find(|c: char| "=> /\n".contains(c)).ok_or("an attribute without an end")?;
            let key = rest[..end].to_owned();
            if key.is_empty() || key.contains(['"', '\'', '<']) {
                return Err(format!("<{name}>: attribute `{key}`"));
            }
            rest = &rest[end..];
            let mut value = String::new();
            if let Some(quoted) = rest.strip_prefix("=\"") {
                let end = quoted.find('"').ok_or("a quote without an end")?;
                value = quoted[..end].to_owned();
                rest = &quoted[end + 1..];
            } else if rest.starts_with('=') {
                return Err(format!("<{name}>: `{key}` has no quotes"));
            }
            attributes.push((key, value));
        };
        tags.push(Tag { name: name.clone(), attributes, text: String::new() });
        if matches!(name.as_str(), "style" | "script") {
            let end = rest.find(&format!("</{name}>")).ok_or("a style or script without an end")?;
            rest = &rest[end + name.len() + 3..];
        } else if !is_closed && !matches!(name.as_str(), "meta" | "img" | "br" | "hr" | "input") {
            open.push(name);
        }
    }
    if open.is_empty() { Ok(tags) } else { Err(format!("left open: {open:?}")) }
}

/// Headings, tables and counts, section by section.
pub(crate) fn outline(tags: &[Tag]) -> String {
    let mut text = String::new();
    let mut counts: Vec<(&str, usize)> = Vec::new();
    let flush = |text: &mut String, counts: &mut Vec<(&str, usize)>| {
        for (name, n) in counts.drain(..) {
            let _ = writeln!(text, "  {name} × {n}");
        }
    };
    for (index, tag) in tags.iter().enumerate() {
        match tag.name.as_str() {
            "section" => {
                flush(&mut text, &mut counts);
                let _ = writeln!(text, "section #{}", tag.value("id").unwrap_or("?"));
            }
            "h1" | "h2" | "h3" => {
                flush(&mut text, &mut counts);
                let words = if tag.text.is_empty() { &tags[index + 1].text } else { &tag.text };
                let _ = writeln!(text, "{} {words}", tag.name);
            }
            "img" | "audio" | "svg" | "tr" | "li" | "details" | "polyline" | "script" | "nav" => {
                match counts.iter_mut().find(|(name, _)| *name == tag.name) {
                    Some((_, n)) => *n += 1,
                    None => counts.push((&tag.name, 1)),
                }
            }
            _ => {}
        }
    }
    flush(&mut text, &mut counts);
    text
}
