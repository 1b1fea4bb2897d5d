//! Sizes beyond which no model is, so that what one costs can be counted before any of it is made.

use std::path::Path;

use serde_json::Value;

use super::error::CheckpointError;

/// Tokens, widths and sides.
const MAX_SIZE: u64 = 1 << 17;

/// Values of one key that lie below or above the rest.
const BY_KEY: [(&str, u64); 3] = [("depth", 1 << 10), ("n_vocab", 1 << 22), ("d_model", 1 << 16)];

/// Patches on a side of a picture.
const MAX_PATCHES_A_SIDE: u64 = 1 << 8;

/// Samples behind one token.
const MAX_STRIDE: u64 = 1 << 16;

/// Checks a model's config: with these sizes no product of a few of them leaves 64 bits.
///
/// # Errors
/// At the first size that is larger.
pub(super) fn check(path: &Path, config: &Value) -> Result<(), CheckpointError> {
    let wrong = |place: &str, most: u64, got: u64| {
        let expected = format!("at most {most}, more than any model has");
        Err(CheckpointError::content(path, format!("size `{place}`"), expected, got.to_string()))
    };
    match config {
        Value::Object(table) => {
            let size = |key: &str| table.get(key).and_then(Value::as_u64);
            if let (Some(side), Some(patch)) = (size("side"), size("patch_side"))
                && side / patch.max(1) > MAX_PATCHES_A_SIDE
            {
                return wrong("side", MAX_PATCHES_A_SIDE * patch.max(1), side);
            }
            if let Some(layers) = table.get("layers").and_then(Value::as_array) {
                let strides = layers.iter().filter_map(|layer| layer[2].as_u64());
                let stride = strides.fold(1_u64, u64::saturating_mul);
                if stride > MAX_STRIDE {
                    return wrong("layers", MAX_STRIDE, stride);
                }
            }
            for (key, value) in table {
                let most = BY_KEY.iter().find(|(name, _)| name == key).map_or(MAX_SIZE, |&(_, most)| most);
                match value.as_u64() {
                    // a number of a token is no size
                    Some(_) if key.ends_with("_token") => {}
                    Some(size) if size > most => return wrong(key, most, size),
                    _ => check(path, value)?,
                }
            }
            Ok(())
        }
        Value::Array(values) => {
            for value in values {
                match value.as_u64() {
                    Some(size) if size > MAX_SIZE => return wrong("layers", MAX_SIZE, size),
                    _ => check(path, value)?,
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sizes_of_models_pass_and_larger_ones_are_told() {
        let checked = |config: Value| check(Path::new("model"), &config).map_err(|error| error.to_string());
        checked(
            json!({ "n_vocab": 250_000, "end_token": 4_000_000_000_u64, "transformer": { "d_model": 8192 } }),
        )
        .expect("there are such models");
        checked(json!({ "side": 1024, "patch_side": 4 })).expect("256 patches a side");
        let cases = [
            (json!({ "image": { "d_model": 1 << 17 } }), "size `d_model`: expected at most 65536"),
            (json!({ "transformer": { "depth": 1 << 20 } }), "size `depth`: expected at most 1024"),
            (json!({ "side": 65_536, "patch_side": 1 }), "size `side`: expected at most 256"),
            (json!({ "layers": [[1, 1, 1 << 16], [1, 1, 2]] }), "size `layers`: expected at most 65536"),
            (json!({ "layers": [[1, 1 << 18, 1]] }), "size `layers`: expected at most 131072"),
        ];
        for (config, expected) in cases {
            let error = checked(config).expect_err(expected);
            assert!(error.contains(expected), "{error}");
        }
    }
}
