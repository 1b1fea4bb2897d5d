//! Texts that are nearly the same, of any number of them: band by band, each band sorted, in 40 bytes a text.

use std::io;

use super::spill::Spill;
use super::text::{N_BANDS, TextSignature};

/// So many bands are sorted at once; the signatures are read once for each such group.
const BANDS_AT_ONCE: usize = 4;
/// A text is compared with so many others of its band at most, so that a phrase that a million texts begin with does not
/// cost their number squared. Texts that are near share most of their 32 bands, and so meet elsewhere.
const MAX_HEADS: usize = 32;

/// For each text the first one that is nearly the same and itself has none before it; its own number else.
/// `numbers` are those of the signatures, in the order that decides which is first.
pub(crate) fn near_leaders(
    signatures: &mut Spill<TextSignature>,
    numbers: &[u32],
    min_similarity: f64,
) -> io::Result<Vec<u32>> {
    let mut pairs: Vec<(u32, u32)> = Vec::new();
    for first_band in (0..N_BANDS).step_by(BANDS_AT_ONCE) {
        let mut bands: [Vec<(u32, u32)>; BANDS_AT_ONCE] = std::array::from_fn(|_| Vec::new());
        bands.iter_mut().for_each(|band| band.reserve_exact(numbers.len()));
        for (rank, number) in numbers.iter().enumerate() {
            let signature = signatures.get(*number)?;
            for (band, key) in bands.iter_mut().zip(signature.bands().skip(first_band)) {
                band.push((key, rank as u32));
            }
        }
        for mut band in bands {
            band.sort_unstable();
            for group in band.chunk_by(|a, b| a.0 == b.0).filter(|group| group.len() > 1) {
                compare(signatures, numbers, group, min_similarity, &mut pairs)?;
            }
        }
        pairs.sort_unstable();
        pairs.dedup();
    }
    let mut leaders: Vec<u32> = (0..numbers.len() as u32).collect();
    // sorted by the later text, which comes after everything that may lead it
    for (later, earlier) in pairs {
        let leader = leaders[earlier as usize];
        if leaders[later as usize] != later {
            continue;
        }
        let is_led = leader == earlier || {
            // what it is near to went; is it near to what stayed?
            let (a, b) = (numbers[later as usize], numbers[leader as usize]);
            signatures.get(a)?.similarity(&signatures.get(b)?) >= min_similarity
        };
        if is_led {
            leaders[later as usize] = leader;
        }
    }
    Ok(leaders)
}

/// Every text of a band against those before it that are not near to one before them.
fn compare(
    signatures: &mut Spill<TextSignature>,
    numbers: &[u32],
    group: &[(u32, u32)],
    min_similarity: f64,
    pairs: &mut Vec<(u32, u32)>,
) -> io::Result<()> {
    let mut heads: Vec<(u32, TextSignature)> = Vec::new();
    for (_, rank) in group {
        let signature = signatures.get(numbers[*rank as usize])?;
        let near = heads.iter().find(|(_, head)| head.similarity(&signature) >= min_similarity);
        match near {
            Some((head, _)) => pairs.push((*rank, *head)),
            None if heads.len() < MAX_HEADS => heads.push((*rank, signature)),
            None => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::TextHasher;
    use super::super::spill::SpillWriter;
    use super::*;
    use crate::draw::Draw;

    #[test]
    fn leaders_are_those_of_comparing_everything_with_everything() {
        let mut draw = Draw::new(7, 0, "", "texts");
        let hasher = TextHasher::new();
        let mut texts: Vec<String> = Vec::new();
        for n in 0..400 {
            let text = if n % 3 == 2 {
                // an earlier text with one word changed
                let earlier = &texts[draw.next_u64() as usize % texts.len()];
                let mut words: Vec<&str> = earlier.split(' ').collect();
                let place = draw.next_u64() as usize % words.len();
                words[place] = "altered";
                words.join(" ")
            } else {
                let word = |draw: &mut Draw| format!("w{}", draw.next_u64() % 100_000);
                (0..25).map(|_| word(&mut draw)).collect::<Vec<_>>().join(" ")
            };
            texts.push(text);
        }
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut writer = SpillWriter::in_dir(dir.path()).expect("it is writable");
        let signatures: Vec<TextSignature> = texts
            .iter()
            .map(|text| hasher.sign(std::slice::from_ref(text)).expect("it has letters"))
            .collect();
        let numbers: Vec<u32> =
            signatures.iter().map(|signature| writer.push(signature).expect("it is writable")).collect();
        let mut spill = writer.finish().expect("it is writable");
        let found = near_leaders(&mut spill, &numbers, 0.8).expect("it is readable");
        let mut expected: Vec<u32> = Vec::new();
        for (idx, signature) in signatures.iter().enumerate() {
            let leads = |other: &usize| {
                expected[*other] == *other as u32 && signatures[*other].similarity(signature) >= 0.8
            };
            expected.push((0..idx).find(leads).unwrap_or(idx) as u32);
        }
        assert_eq!(found, expected);
        assert!(found.iter().enumerate().filter(|(idx, leader)| *idx as u32 != **leader).count() > 80);
    }
}
