//! What a configuration must survive.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Asserts that the config comes back from JSON and TOML as it was, and that an unknown key is refused wherever it
/// stands.
pub(crate) fn assert_round_trips<C: Serialize + DeserializeOwned + PartialEq + Debug>(config: &C) {
    #[derive(Serialize, Deserialize)]
    struct File<C> {
        model: C,
    }

    let value = serde_json::to_value(config).expect("a config is plain data");
    let read: C = serde_json::from_value(value.clone()).expect("JSON comes back");
    assert_eq!(&read, config, "from JSON");
    let text = toml::to_string(&File { model: config }).expect("a config is plain data");
    let read: File<C> = toml::from_str(&text).expect("TOML comes back");
    assert_eq!(&read.model, config, "from TOML:\n{text}");

    let n_objects = count_objects(&value);
    assert!(n_objects > 0, "a config is a table: {value}");
    for target in 0..n_objects {
        let mut misspelt = value.clone();
        add_key(&mut misspelt, &mut { target });
        assert_ne!(misspelt, value);
        assert!(serde_json::from_value::<C>(misspelt.clone()).is_err(), "accepts {misspelt}");
    }
}

fn count_objects(value: &Value) -> usize {
    match value {
        Value::Object(entries) => 1 + entries.values().map(count_objects).sum::<usize>(),
        Value::Array(items) => items.iter().map(count_objects).sum(),
        _ => 0,
    }
}

/// Adds a key that no config has to the `target`-th object, counted from the outside in.
fn add_key(value: &mut Value, target: &mut usize) -> bool {
    match value {
        Value::Object(entries) => {
            if *target == 0 {
                entries.insert("no_such_key".to_owned(), json!(1));
                return true;
            }
            *target -= 1;
            entries.values_mut().any(|value| add_key(value, target))
        }
        Value::Array(items) => items.iter_mut().any(|value| add_key(value, target)),
        _ => false,
    }
}
