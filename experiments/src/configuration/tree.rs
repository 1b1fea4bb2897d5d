//! Values with the place in which each was written, and how layers of them merge.

use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// Where something was written: bytes `span` of layer `layer`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// Index into the layers, the weakest first.
    pub(super) layer: usize,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) place: Place,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    String(String),
    Integer(i128),
    Float(f64),
    Boolean(bool),
    Array(Vec<Node>),
    /// In the order of the file, keys of later layers behind those of earlier ones.
    Table(Vec<Entry>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    /// The strongest layer that set anything under this key.
    pub(super) last_layer: usize,
    pub(super) node: Node,
}

impl Node {
    /// The tree of one parsed layer.
    pub(super) fn from_table(table: &DeTable<'_>, layer: usize, span: Range<usize>) -> Node {
        let mut entries: Vec<Entry> = table
            .iter()
            .map(|(key, value)| Entry {
                key: key.get_ref().to_string(),
                key_place: Place { layer, span: key.span() },
                last_layer: layer,
                node: Node::from_value(value.get_ref(), layer, value.span()),
            })
            .collect();
        // the parser hands keys over in the order of the alphabet
        entries.sort_by_key(|entry| entry.key_place.span.start);
        Node { value: Value::Table(entries), place: Place { layer, span } }
    }

    fn from_value(value: &DeValue<'_>, layer: usize, span: Range<usize>) -> Node {
        let value = match value {
            DeValue::Table(table) => return Node::from_table(table, layer, span),
            DeValue::String(text) => Value::String(text.to_string()),
            DeValue::Boolean(flag) => Value::Boolean(*flag),
            DeValue::Datetime(datetime) => Value::String(datetime.to_string()),
            DeValue::Float(float) => match float.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() || float.as_str().ends_with(['f', 'n']) => {
                    Value::Float(number)
                }
                // 1e999 is no infinity: the type error shows it as it was written
                _ => Value::String(float.to_string()),
            },
            DeValue::Integer(integer) => match i128::from_str_radix(integer.as_str(), integer.radix()) {
                Ok(integer) => Value::Integer(integer),
                // too long for any integer type: let the type error show it as it was written
                Err(_) => Value::String(integer.to_string()),
            },
            DeValue::Array(array) => Value::Array(
                array.iter().map(|item| Node::from_value(item.get_ref(), layer, item.span())).collect(),
            ),
        };
        Node { value, place: Place { layer, span } }
    }

    /// Lays `upper` over `self`. A table keeps the place of its last file: `is_override` layers do not move it.
    pub(super) fn merge(&mut self, upper: Node, is_override: bool) {
        match (&mut self.value, upper.value) {
            (Value::Table(entries), Value::Table(uppers)) => {
                for upper in uppers {
                    match entries.iter_mut().find(|entry| entry.key == upper.key) {
                        Some(entry) => {
                            entry.last_layer = upper.last_layer;
                            if !is_override || !matches!(upper.node.value, Value::Table(_)) {
                                entry.key_place = upper.key_place;
                            }
                            entry.node.merge(upper.node, is_override);
                        }
                        None => entries.push(upper),
                    }
                }
                if !is_override {
                    self.place = upper.place;
                }
            }
            (value, upper_value) => {
                *value = upper_value;
                self.place = upper.place;
            }
        }
    }

    /// Makes room for a layer at `from`.
    pub(super) fn move_up(&mut self, from: usize) {
        let raise = |layer: &mut usize| *layer += usize::from(*layer >= from);
        raise(&mut self.place.layer);
        match &mut self.value {
            Value::Table(entries) => {
                for entry in entries {
                    raise(&mut entry.key_place.layer);
                    raise(&mut entry.last_layer);
                    entry.node.move_up(from);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| item.move_up(from)),
            Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) => {}
        }
    }

    /// The node at the end of a path of keys.
    pub(super) fn get(&self, path: &[&str]) -> Option<&Node> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self);
        };
        let Value::Table(entries) = &self.value else {
            return None;
        };
        entries.iter().find(|entry| entry.key == *first)?.node.get(rest)
    }
}
