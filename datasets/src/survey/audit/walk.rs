//! A walk over the members of a tar file that goes on behind a damaged header.

/// Tar files consist of blocks of so many bytes.
pub(super) const BLOCK: usize = 512;
/// Where a header's checksum lies.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// What stands at a place of the file.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Item<'a> {
    /// A plain file.
    Member {
        /// As the header has it.
        name: String,
        /// Where its header begins.
        header: usize,
        /// Where its content begins.
        offset: usize,
        /// Its content.
        bytes: &'a [u8],
    },
    /// Something that should not be there.
    Damage {
        /// Where.
        byte: usize,
        /// What was expected and what was found.
        problem: String,
    },
}

/// Walks over a whole file and hands over everything that it finds.
pub(super) fn walk<'a>(file: &'a [u8], mut accept: impl FnMut(Item<'a>)) {
    let mut at = 0;
    loop {
        if at + BLOCK > file.len() {
            accept(Item::Damage { byte: file.len(), problem: "it is cut short".to_owned() });
            return;
        }
        if file[at..at + BLOCK].iter().all(|byte| *byte == 0) {
            match end(file, at) {
                Ok(()) => return,
                Err(byte) => {
                    let problem = "expected zeros to the end of the file".to_owned();
                    accept(Item::Damage { byte, problem });
                    match next_header(file, at) {
                        Some(header) => at = header,
                        None => return,
                    }
                    continue;
                }
            }
        }
        match member(file, at) {
            Ok((item, after)) => {
                if let Item::Member { offset, bytes, .. } = &item {
                    let padding = offset + bytes.len()..after.min(file.len());
                    let damage = padding.clone().find(|byte| file[*byte] != 0);
                    let is_cut = padding.end < after;
                    accept(item);
                    if let Some(byte) = damage {
                        let problem = "expected zeros between two members".to_owned();
                        accept(Item::Damage { byte, problem });
                    }
                    if is_cut {
                        accept(Item::Damage { byte: file.len(), problem: "it is cut short".to_owned() });
                        return;
                    }
                }
                at = after;
            }
            Err(problem) => {
                accept(Item::Damage { byte: at, problem });
                match next_header(file, at) {
                    Some(header) => at = header,
                    None => return,
                }
            }
        }
    }
}

/// The member whose header begins at a place, and where the next one begins.
fn member(file: &[u8], at: usize) -> Result<(Item<'_>, usize), String> {
    let mut archive = tar::Archive::new(&file[at..]);
    let mut entries = archive.entries().map_err(|e| e.to_string())?;
    let entry = match entries.next() {
        Some(Ok(entry)) => entry,
        Some(Err(e)) => return Err(format!("broken header: {e}")),
        None => return Err("expected a header, got none".to_owned()),
    };
    let kind = entry.header().entry_type();
    if !kind.is_file() {
        return Err(format!("expected a plain file, got one of kind {kind:?}"));
    }
    let name = String::from_utf8(entry.path_bytes().into_owned())
        .map_err(|_| "expected a name in UTF-8".to_owned())?;
    let offset = usize::try_from(entry.raw_file_position()).map_err(|e| e.to_string())? + at;
    let n_bytes = usize::try_from(entry.size()).map_err(|e| e.to_string())?;
    let end = offset.checked_add(n_bytes).filter(|end| *end <= file.len());
    let end = end.ok_or_else(|| {
        format!("{name:?}: expected {n_bytes} bytes, got {}", file.len().saturating_sub(offset))
    })?;
    let bytes = &file[offset..end];
    Ok((Item::Member { name, header: at, offset, bytes }, end.next_multiple_of(BLOCK)))
}

/// An archive ends with two blocks of zeros or more, and nothing after them. Gives the first byte that is not so.
fn end(file: &[u8], at: usize) -> Result<(), usize> {
    match file[at..].iter().position(|byte| *byte != 0) {
        Some(place) => Err(at + place),
        None if file.len() - at < 2 * BLOCK => Err(file.len()),
        None => Ok(()),
    }
}

/// The next block behind a place that is a header by its checksum.
fn next_header(file: &[u8], at: usize) -> Option<usize> {
    (at + BLOCK..file.len().saturating_sub(BLOCK - 1)).step_by(BLOCK).find(|at| {
        let block = &file[*at..*at + BLOCK];
        let told = std::str::from_utf8(&block[CHECKSUM]).ok().map(|text| text.trim_matches(['\0', ' ']));
        let told = told.and_then(|digits| u32::from_str_radix(digits, 8).ok());
        let outside = block.iter().enumerate().filter(|(place, _)| !CHECKSUM.contains(place));
        // the checksum is taken with spaces in its own place
        let sum: u32 = outside.map(|(_, byte)| u32::from(*byte)).sum::<u32>() + 8 * u32::from(b' ');
        told == Some(sum)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(names: &[&str]) -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        for name in names {
            let mut header = tar::Header::new_gnu();
            header.set_size(700);
            header.set_mode(0o644);
            builder.append_data(&mut header, name, &[b'x'; 700][..]).expect("memory takes it");
        }
        builder.into_inner().expect("memory takes it")
    }

    fn found(file: &[u8]) -> (Vec<String>, Vec<usize>) {
        let (mut names, mut damage) = (Vec::new(), Vec::new());
        walk(file, |item| match item {
            Item::Member { name, bytes, .. } => {
                assert_eq!(bytes.len(), 700);
                names.push(name);
            }
            Item::Damage { byte, .. } => damage.push(byte),
        });
        (names, damage)
    }

    #[test]
    fn a_whole_archive_has_all_members_and_no_damage() {
        let long = "folder/".repeat(20) + "name.png";
        let (names, damage) = found(&archive(&["a.json", &long, "b.png"]));
        assert_eq!(names, ["a.json", &long, "b.png"]);
        assert_eq!(damage, [0usize; 0]);
    }

    #[test]
    fn the_walk_goes_on_behind_a_damaged_header_and_over_damaged_padding() {
        let mut file = archive(&["a.json", "b.json", "c.json"]);
        file[1536 + 3] ^= 8;
        file[512 + 701] = 1;
        let (names, damage) = found(&file);
        assert_eq!(names, ["a.json", "c.json"]);
        assert_eq!(damage, [512 + 701, 1536]);
    }

    #[test]
    fn cut_files_say_where_they_end() {
        let file = archive(&["a.json", "b.json"]);
        for n_bytes in [0, 100, 600, 1024 + 20, 1536 + 100, 1536 + 512 + 699, 3072 + 300] {
            let (_, damage) = found(&file[..n_bytes]);
            assert!(!damage.is_empty(), "{n_bytes}");
        }
    }
}
