//! Blocks of a picture's patches.

use triptych_datasets::draw::Draw;

/// Of 196 patches, the fewest in a block (Bao et al. 2022, algorithm 1).
const SMALLEST_BLOCK: f32 = 16.0 / 196.0;
/// The flattest block's height by its width; the steepest is its inverse.
const FLATTEST: f32 = 0.3;
/// How often a block is drawn anew that does not fit.
const N_ATTEMPTS: usize = 10;

/// Hides rectangles of patches, which may overlap, until exactly `n_hidden` are hidden.
///
/// # Shapes
/// -> `[rows * columns]`, true = hidden
///
/// # Reference
/// Bao et al. 2022 (BEiT), algorithm 1, and its `masking_generator.py`: the area of each block is uniform between the
/// smallest and what is left, its aspect log-uniform between 0.3 and 1 / 0.3.
///
/// # Differences from the reference
/// It stops short of the number where no further block fits; here single patches beside the blocks make it up, so that every
/// picture has as many. The smallest block is a share of the grid, and not a number.
pub fn blocks([rows, columns]: [usize; 2], n_hidden: usize, draw: &mut Draw) -> Vec<bool> {
    let n_hidden = n_hidden.min(rows * columns);
    let mut hidden = vec![false; rows * columns];
    let mut n_left = n_hidden;
    while n_left > 0 {
        let block = (0..N_ATTEMPTS).find_map(|_| block([rows, columns], n_left, &hidden, draw));
        let Some(places) = block else { break };
        for place in places {
            n_left -= usize::from(!std::mem::replace(&mut hidden[place], true));
        }
    }
    while n_left > 0 {
        let touches = |place: usize| {
            let (row, column) = (place / columns, place % columns);
            let beside = [
                (row > 0).then(|| place - columns),
                (row + 1 < rows).then_some(place + columns),
                (column > 0).then(|| place - 1),
                (column + 1 < columns).then_some(place + 1),
            ];
            beside.into_iter().flatten().any(|other| hidden[other])
        };
        let open = (0..hidden.len()).filter(|&place| !hidden[place]).collect::<Vec<_>>();
        let edge = open.iter().copied().filter(|&place| touches(place)).collect::<Vec<_>>();
        let candidates = if edge.is_empty() { open } else { edge };
        hidden[candidates[draw.below(candidates.len())]] = true;
        n_left -= 1;
    }
    hidden
}

/// The places of one block that hides at least one patch more and at most `n_left`; `None` where the draw does not fit.
fn block([rows, columns]: [usize; 2], n_left: usize, hidden: &[bool], draw: &mut Draw) -> Option<Vec<usize>> {
    let smallest = (SMALLEST_BLOCK * (rows * columns) as f32).max(1.0);
    let area = draw.range(smallest.min(n_left as f32), n_left as f32);
    let aspect = draw.range(FLATTEST.ln(), -FLATTEST.ln()).exp();
    let [height, width] = [area * aspect, area / aspect].map(|square| square.sqrt().round() as usize);
    if height == 0 || width == 0 || height >= rows || width >= columns {
        return None;
    }
    let (top, left) = (draw.below(rows - height + 1), draw.below(columns - width + 1));
    let places = (top..top + height).flat_map(|row| (left..left + width).map(move |x| row * columns + x));
    let places = places.collect::<Vec<_>>();
    let n_new = places.iter().filter(|&&place| !hidden[place]).count();
    (1..=n_left).contains(&n_new).then_some(places)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn as_many_patches_are_hidden_as_are_asked_for(rows in 1usize..20, columns in 1usize..20, share in 0.0f32..1.0, seed: u64) {
            let n = (share * (rows * columns) as f32) as usize;
            let hidden = blocks([rows, columns], n, &mut Draw::new(seed, 0, "", ""));
            prop_assert_eq!(hidden.iter().filter(|hidden| **hidden).count(), n);
        }
    }

    /// Pairs of neighbours in a row of which both are hidden.
    fn n_pairs(hidden: &[bool]) -> usize {
        hidden.chunks(14).map(|row| row.windows(2).filter(|pair| pair[0] && pair[1]).count()).sum()
    }

    #[test]
    fn hidden_patches_lie_together() {
        let (mut in_blocks, mut alone) = (0, 0);
        for seed in 0..50 {
            let draw = &mut Draw::new(seed, 0, "", "");
            in_blocks += n_pairs(&blocks([14, 14], 75, draw));
            let mut scattered = vec![false; 196];
            draw.choose(196, 75).into_iter().for_each(|place| scattered[place] = true);
            alone += n_pairs(&scattered);
        }
        // of 182 pairs a scattered mask hides 0.38 squared
        assert!((1200..1500).contains(&alone), "{alone}");
        assert!(in_blocks as f32 > 1.7 * alone as f32, "{in_blocks} pairs, {alone} if scattered");
    }
}
