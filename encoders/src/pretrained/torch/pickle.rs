//! Reads the pickles of state dicts, and only those: nothing named in one is ever imported or run.
//!
//! A pickle is a program for a stack machine. Of its some seventy operations those are known that build plain values,
//! and "call this function on these arguments" builds a [`Node::Call`], a record of what was named: what such a record
//! means is decided by who reads the result. Values lie in one list and refer to each other by their place in it, so that a
//! pickle whose values contain each other is read and dropped like any other. Each operation adds at most one value
//! and every byte is read once: memory and time are proportional to the pickle.
//!
//! # Reference
//! Python 3.14 `pickletools`, protocols 2 to 4.

use std::collections::HashMap;

use crate::pretrained::error::quoted;

/// The place of a value.
pub(super) type NodeIdx = usize;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Tuple(Vec<NodeIdx>),
    List(Vec<NodeIdx>),
    /// Keys and values, in the order in which they were added.
    Dict(Vec<(NodeIdx, NodeIdx)>),
    /// Something named: module, name.
    Global(String, String),
    /// A function that was named, and its arguments.
    Call(NodeIdx, NodeIdx),
    /// Something that lies outside the pickle, and the key of it.
    Persistent(NodeIdx),
}

/// What a pickle holds.
#[derive(Debug)]
pub(super) struct Pickle {
    pub(super) nodes: Vec<Node>,
    pub(super) root: NodeIdx,
}

/// What is wrong with a pickle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) at: usize,
    pub(super) expected: String,
    pub(super) got: String,
}

/// Names that may stand in a pickle; any other is refused when it is met.
pub(super) type IsKnown = fn(module: &str, name: &str) -> bool;

/// Runs a pickle.
pub(super) fn read(bytes: &[u8], is_known: IsKnown) -> Result<Pickle, Refused> {
    let mut machine = Machine {
        bytes,
        at: 0,
        nodes: Vec::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
        is_known,
    };
    loop {
        if let Some(root) = machine.step()? {
            return Ok(Pickle { nodes: machine.nodes, root });
        }
    }
}

struct Machine<'a> {
    bytes: &'a [u8],
    at: usize,
    nodes: Vec<Node>,
    stack: Vec<NodeIdx>,
    /// Heights of the stack at the marks.
    marks: Vec<usize>,
    memo: HashMap<u64, NodeIdx>,
    is_known: IsKnown,
}

impl<'a> Machine<'a> {
    /// Runs one operation; the last gives the result.
    fn step(&mut self) -> Result<Option<NodeIdx>, Refused> {
        let at = self.at;
        let [operation] = self.array()?;
        match operation {
            // PROTO, FRAME, MARK, STOP
            0x80 => {
                let [version] = self.array()?;
                if !(2..=5).contains(&version) {
                    return self.refuse(at, "pickle protocol 2 to 5", format!("protocol {version}"));
                }
            }
            0x95 => {
                self.array::<8>()?;
            }
            b'(' => self.marks.push(self.stack.len()),
            b'.' => {
                let root = self.pop()?;
                if !self.stack.is_empty() || !self.marks.is_empty() {
                    return self.refuse(at, "one value at the end", format!("{} more", self.stack.len()));
                }
                return Ok(Some(root));
            }
            // plain values
            b'N' => self.push(Node::None),
            0x88 => self.push(Node::Bool(true)),
            0x89 => self.push(Node::Bool(false)),
            b'J' => {
                let value = i32::from_le_bytes(self.array()?);
                self.push(Node::Int(i64::from(value)));
            }
            b'K' => {
                let [value] = self.array()?;
                self.push(Node::Int(i64::from(value)));
            }
            b'M' => {
                let value = u16::from_le_bytes(self.array()?);
                self.push(Node::Int(i64::from(value)));
            }
            0x8A => {
                let value = self.long()?;
                self.push(Node::Int(value));
            }
            b'G' => {
                let value = f64::from_be_bytes(self.array()?);
                self.push(Node::Float(value));
            }
            // BINUNICODE, SHORT_BINUNICODE, and the strings of Python 2
            b'X' | b'T' => {
                let length = u32::from_le_bytes(self.array()?);
                self.text(length as usize)?;
            }
            0x8C | b'U' => {
                let [length] = self.array()?;
                self.text(usize::from(length))?;
            }
            // containers
            b')' => self.push(Node::Tuple(Vec::new())),
            b']' => self.push(Node::List(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            b't' => {
                let items = self.items()?;
                self.push(Node::Tuple(items));
            }
            0x85..=0x87 => {
                let start = self.above(usize::from(operation - 0x84))?;
                let items = self.stack.split_off(start);
                self.push(Node::Tuple(items));
            }
            b'a' => {
                let item = self.pop()?;
                self.append(at, vec![item])?;
            }
            b'e' => {
                let items = self.items()?;
                self.append(at, items)?;
            }
            b's' => {
                let start = self.above(2)?;
                let items = self.stack.split_off(start);
                self.set(at, &items)?;
            }
            b'u' => {
                let items = self.items()?;
                self.set(at, &items)?;
            }
            // the memo: BINPUT, LONG_BINPUT, MEMOIZE, BINGET, LONG_BINGET
            b'q' => {
                let [key] = self.array()?;
                self.remember(u64::from(key))?;
            }
            b'r' => {
                let key = u32::from_le_bytes(self.array()?);
                self.remember(u64::from(key))?;
            }
            0x94 => self.remember(self.memo.len() as u64)?,
            b'h' => {
                let [key] = self.array()?;
                self.recall(at, u64::from(key))?;
            }
            b'j' => {
                let key = u32::from_le_bytes(self.array()?);
                self.recall(at, u64::from(key))?;
            }
            // GLOBAL, STACK_GLOBAL, REDUCE, BUILD, BINPERSID
            b'c' => {
                let (module, name) = (self.line()?, self.line()?);
                self.global(at, module, name)?;
            }
            0x93 => {
                let (name, module) = (self.pop_text(at)?, self.pop_text(at)?);
                self.global(at, module, name)?;
            }
            b'R' => {
                let arguments = self.pop()?;
                let function = self.pop()?;
                self.call(at, function, arguments)?;
            }
            b'b' => self.build(at)?,
            b'Q' => {
                let key = self.pop()?;
                self.push(Node::Persistent(key));
            }
            other => {
                let got = format!("operation {:#04x} ({})", other, quoted(&char::from(other).to_string()));
                return self.refuse(at, "an operation of a state dict's pickle", got);
            }
        }
        Ok(None)
    }

    fn refuse<T>(
        &self,
        at: usize,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Result<T, Refused> {
        Err(Refused { at, expected: expected.into(), got: got.into() })
    }

    fn take(&mut self, n: usize) -> Result<&'a [u8], Refused> {
        let rest = &self.bytes[self.at..];
        match rest.get(..n) {
            Some(taken) => {
                self.at += n;
                Ok(taken)
            }
            None => self.refuse(
                self.at,
                format!("{n} more bytes"),
                format!("{}, as of a file that is cut off", rest.len()),
            ),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Refused> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn push(&mut self, node: Node) {
        self.stack.push(self.nodes.len());
        self.nodes.push(node);
    }

    /// The height of the stack above which the topmost `n` values lie; a mark may not lie between them.
    fn above(&self, n: usize) -> Result<usize, Refused> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        match self.stack.len().checked_sub(n) {
            Some(start) if start >= bottom => Ok(start),
            _ => self.refuse(
                self.at,
                format!("{n} values on the stack"),
                (self.stack.len() - bottom).to_string(),
            ),
        }
    }

    fn pop(&mut self) -> Result<NodeIdx, Refused> {
        let start = self.above(1)?;
        Ok(self.stack.remove(start))
    }

    fn pop_text(&mut self, at: usize) -> Result<String, Refused> {
        let idx = self.pop()?;
        match &self.nodes[idx] {
            Node::Text(text) => Ok(text.clone()),
            _ => self.refuse(at, "the name of a module or in it", "another value"),
        }
    }

    /// What lies above the last mark.
    fn items(&mut self) -> Result<Vec<NodeIdx>, Refused> {
        match self.marks.pop() {
            Some(mark) => Ok(self.stack.split_off(mark)),
            None => self.refuse(self.at, "a mark on the stack", "none"),
        }
    }

    fn text(&mut self, length: usize) -> Result<(), Refused> {
        let at = self.at;
        let bytes = self.take(length)?;
        match str::from_utf8(bytes) {
            Ok(text) => {
                self.push(Node::Text(text.to_owned()));
                Ok(())
            }
            Err(_) => self.refuse(at, "text in UTF-8", quoted(&String::from_utf8_lossy(bytes))),
        }
    }

    fn line(&mut self) -> Result<String, Refused> {
        let at = self.at;
        let rest = &self.bytes[at..];
        let Some(length) = rest.iter().position(|&byte| byte == b'\n') else {
            return self.refuse(at, "a line", "no end of it");
        };
        self.at += length + 1;
        match str::from_utf8(&rest[..length]) {
            Ok(text) => Ok(text.to_owned()),
            Err(_) => self.refuse(at, "text in UTF-8", quoted(&String::from_utf8_lossy(&rest[..length]))),
        }
    }

    /// A whole number of up to eight bytes, in two's complement.
    fn long(&mut self) -> Result<i64, Refused> {
        let at = self.at;
        let [length] = self.array()?;
        let bytes = self.take(usize::from(length))?;
        let mut wide = [if bytes.last().is_some_and(|&byte| byte >= 0x80) { 0xFF } else { 0 }; 8];
        match wide.get_mut(..bytes.len()) {
            Some(low) => {
                low.copy_from_slice(bytes);
                Ok(i64::from_le_bytes(wide))
            }
            None => self.refuse(at, "a number of at most 8 bytes", format!("{length} bytes")),
        }
    }

    fn append(&mut self, at: usize, items: Vec<NodeIdx>) -> Result<(), Refused> {
        let list = self.stack[self.above(1)?];
        match &mut self.nodes[list] {
            Node::List(list) => {
                list.extend(items);
                Ok(())
            }
            _ => self.refuse(at, "a list to add to", "another value"),
        }
    }

    /// `items` are keys and values in turn.
    fn set(&mut self, at: usize, items: &[NodeIdx]) -> Result<(), Refused> {
        let dict = self.stack[self.above(1)?];
        let (pairs, rest) = items.as_chunks::<2>();
        match &mut self.nodes[dict] {
            Node::Dict(dict) if rest.is_empty() => {
                dict.extend(pairs.iter().map(|&[key, value]| (key, value)));
                Ok(())
            }
            Node::Dict(_) => self.refuse(at, "a value for each key", "a key alone"),
            _ => self.refuse(at, "a dict to add to", "another value"),
        }
    }

    fn remember(&mut self, key: u64) -> Result<(), Refused> {
        let top = self.stack[self.above(1)?];
        self.memo.insert(key, top);
        Ok(())
    }

    fn recall(&mut self, at: usize, key: u64) -> Result<(), Refused> {
        match self.memo.get(&key) {
            Some(&idx) => {
                self.stack.push(idx);
                Ok(())
            }
            None => self.refuse(at, "a value that was remembered", format!("none under {key}")),
        }
    }

    fn global(&mut self, at: usize, module: String, name: String) -> Result<(), Refused> {
        if !(self.is_known)(&module, &name) {
            let got = quoted(&format!("{module}.{name}"));
            return self.refuse(at, "tensors, their storages and plain values", got);
        }
        self.push(Node::Global(module, name));
        Ok(())
    }

    fn call(&mut self, at: usize, function: NodeIdx, arguments: NodeIdx) -> Result<(), Refused> {
        let (Node::Global(module, name), Node::Tuple(items)) =
            (&self.nodes[function], &self.nodes[arguments])
        else {
            return self.refuse(at, "a function and its arguments", "other values");
        };
        // an ordered dict is a dict, to which keys are added later
        if (module.as_str(), name.as_str()) == ("collections", "OrderedDict") {
            if !items.is_empty() {
                return self.refuse(at, "an empty OrderedDict that is filled later", "one made of arguments");
            }
            self.push(Node::Dict(Vec::new()));
        } else {
            self.push(Node::Call(function, arguments));
        }
        Ok(())
    }

    /// Attributes of a dict, such as the `_metadata` of a state dict: of no meaning here.
    fn build(&mut self, at: usize) -> Result<(), Refused> {
        let state = self.pop()?;
        let target = self.stack[self.above(1)?];
        match (&self.nodes[target], &self.nodes[state]) {
            (Node::Dict(_), Node::Dict(_)) => Ok(()),
            _ => self.refuse(at, "attributes of a dict", "those of another value"),
        }
    }
}
