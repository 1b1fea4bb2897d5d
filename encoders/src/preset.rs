//! Sizes by the names that papers gave them.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserializer, Error, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::{Deserialize, Serialize};

/// A configuration that has named sizes.
pub trait Preset: Serialize + for<'de> Deserialize<'de> {
    /// Their names, from the smallest.
    const PRESETS: &'static [&'static str];

    /// The sizes of that name; none where there is no such name.
    fn preset(name: &str) -> Option<Self>;
}

/// Reads a configuration, or the name of one of its presets in its place.
///
/// # Errors
/// When there is no preset of that name, or the configuration is none.
pub(crate) fn table_or_name<'de, C: Preset, D: Deserializer<'de>>(deserializer: D) -> Result<C, D::Error> {
    deserializer.deserialize_any(TableOrName(PhantomData))
}

struct TableOrName<C>(PhantomData<C>);

impl<'de, C: Preset> Visitor<'de> for TableOrName<C> {
    type Value = C;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match C::PRESETS {
            [] => f.write_str("a table of sizes"),
            names => write!(f, "a table of sizes, or the name of one: {}", names.join(", ")),
        }
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<C, E> {
        C::preset(name).ok_or_else(|| E::unknown_variant(name, C::PRESETS))
    }

    // `resnet = 50`
    fn visit_i64<E: Error>(self, name: i64) -> Result<C, E> {
        self.visit_str(&name.to_string())
    }

    fn visit_u64<E: Error>(self, name: u64) -> Result<C, E> {
        self.visit_str(&name.to_string())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<C, A::Error> {
        C::deserialize(MapAccessDeserializer::new(map))
    }
}
