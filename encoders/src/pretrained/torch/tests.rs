//! Hostile files, made by hand. What PyTorch itself writes is read in `tests/checkpoints.rs`.

use std::fs;

use super::*;

/// A zip file of these members, stored as they are.
fn archive_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::<u8>::new(), Vec::<u8>::new());
    for (name, content) in members {
        let (n_name, n_content) = ((name.len() as u16).to_le_bytes(), (content.len() as u32).to_le_bytes());
        let offset = (bytes.len() as u32).to_le_bytes();
        // version, flags, method, time, date, checksum
        let common: [u8; 14] = [0; 14];
        bytes.extend(b"PK\x03\x04".iter().chain(&common).chain(&n_content).chain(&n_content));
        bytes.extend(n_name.iter().chain(&[0, 0]).chain(name.as_bytes()).chain(content.iter()));
        directory.extend(b"PK\x01\x02\0\0".iter().chain(&common).chain(&n_content).chain(&n_content));
        directory.extend(n_name.iter().chain(&[0; 12]).chain(&offset).chain(name.as_bytes()));
    }
    let (start, n) = ((bytes.len() as u32).to_le_bytes(), (members.len() as u16).to_le_bytes());
    let size = (directory.len() as u32).to_le_bytes();
    bytes.extend(directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0".iter().chain(&n).chain(&n).chain(&size).chain(&start).chain(&[0, 0]));
    bytes
}

fn read(bytes: &[u8]) -> Result<BTreeMap<String, (StoredTensor, View)>, String> {
    tensors(Path::new("x.bin"), bytes).map_err(|error| error.to_string())
}

fn with_pickle(pickle: &[u8]) -> Vec<u8> {
    archive_of(&[("x/data.pkl", pickle), ("x/data/0", &[0; 24])])
}

/// What is wrong with a file of this pickle, beside a storage of 24 bytes.
fn message(pickle: &[u8]) -> String {
    match read(&with_pickle(pickle)) {
        Ok(tensors) => panic!("it was read: {tensors:?}"),
        Err(message) => message,
    }
}

/// `{"w": tensor}` of six floats by protocol 2; the shape and the strides have two axes.
fn state(offset: u8, shape: [u8; 2], strides: [u8; 2], n_values: u8) -> Vec<u8> {
    let mut pickle = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(".to_vec();
    pickle.extend(b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK");
    pickle.extend([n_values, b't', b'Q', b'K', offset]);
    for [first, second] in [shape, strides] {
        pickle.extend([b'K', first, b'K', second, 0x86]);
    }
    pickle.extend(b"\x89ccollections\nOrderedDict\n)RtRs.");
    pickle
}

#[test]
fn a_state_dict_by_hand_is_read() {
    let tensors = read(&with_pickle(&state(0, [2, 3], [3, 1], 6))).expect("it is a state dict");
    let (tensor, _) = &tensors["w"];
    assert_eq!((tensor.dtype, tensor.shape.as_slice()), (safetensors::Dtype::F32, [2, 3].as_slice()));
}

#[test]
fn nothing_that_a_pickle_names_is_run_or_accepted() {
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("builtins", "eval"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch.nn.modules.linear", "Linear"),
        ("torch._utils", "_rebuild_tensor_v3"),
        ("collections", "defaultdict"),
        ("", ""),
    ] {
        let by_line = format!("\u{2}c{module}\n{name}\nX\u{4}\0\0\0trueR.").replace('\u{2}', "");
        let expected = format!("expected tensors, their storages and plain values, got `{module}.{name}`");
        let got = message(&[b"\x80\x02".as_slice(), by_line.as_bytes()].concat());
        assert!(got.ends_with(&expected), "{got}");
        // the same by the operation of protocol 4
        let text = |text: &str| [&[0x8C, text.len() as u8], text.as_bytes()].concat();
        let by_stack = [b"\x80\x04".as_slice(), &text(module), &text(name), b"\x93)R."].concat();
        assert!(message(&by_stack).ends_with(&expected));
    }
    // operations that make or import objects in other ways: INST, OBJ, NEWOBJ, EXT1, and a string that is evaluated
    for operation in [b'i', b'o', 0x81, 0x82, b'S', b'P', b'2', b'0'] {
        let got = message(&[0x80, 2, b'N', operation, b'\n', b'.']);
        assert!(got.contains("expected an operation of a state dict's pickle"), "{got}");
    }
}

#[test]
fn programs_that_break_the_machine_are_errors() {
    for (pickle, expected) in [
        (b"".as_slice(), "expected 1 more bytes, got 0"),
        (b"\x80\x02", "expected 1 more bytes, got 0"),
        (b"\x80\x00.", "expected pickle protocol 2 to 5, got protocol 0"),
        (b"\x80\x02.", "expected 1 values on the stack, got 0"),
        (b"\x80\x02(.", "expected 1 values on the stack, got 0"),
        (b"\x80\x02NN.", "expected one value at the end, got 1 more"),
        (b"\x80\x02N(.", "expected 1 values on the stack, got 0"),
        (b"\x80\x02t.", "expected a mark on the stack, got none"),
        (b"\x80\x02N\x87.", "expected 3 values on the stack, got 1"),
        (b"\x80\x02N(N\x86.", "expected 2 values on the stack, got 1"),
        (b"\x80\x02NNs.", "expected 1 values on the stack, got 0"),
        (b"\x80\x02NNNs.", "expected a dict to add to, got another value"),
        (b"\x80\x02}(Nu.", "expected a value for each key, got a key alone"),
        (b"\x80\x02NNa.", "expected a list to add to, got another value"),
        (b"\x80\x02h\x00.", "expected a value that was remembered, got none under 0"),
        (b"\x80\x02j\xff\xff\xff\xff.", "got none under 4294967295"),
        (b"\x80\x02q\x00.", "expected 1 values on the stack, got 0"),
        (b"\x80\x02X\xff\xff\xff\x7f.", "expected 2147483647 more bytes, got 1"),
        (b"\x80\x02X\x01\0\0\0\xff.", "expected text in UTF-8"),
        (b"\x80\x02\x8a\x09123456789.", "expected a number of at most 8 bytes, got 9 bytes"),
        (b"\x80\x02N)R.", "expected a function and its arguments, got other values"),
        (
            b"\x80\x02ccollections\nOrderedDict\nNR.",
            "expected a function and its arguments, got other values",
        ),
        (b"\x80\x02ccollections\nOrderedDict\n(NtR.", "got one made of arguments"),
        (b"\x80\x02ctorch", "expected a line, got no end of it"),
        (b"\x80\x02N}b.", "expected attributes of a dict"),
        (b"\x80\x02N.", "expected a dict of tensors by name, got None"),
        (b"\x80\x02}NNs.", "expected names of tensors, got None"),
        (b"\x80\x02}X\x01\0\0\0aK\x01s.", "tensor `a`: expected a tensor, got the number 1"),
    ] {
        let got = message(pickle);
        assert!(got.contains(expected), "{pickle:?}: {got}");
    }
}

#[test]
fn values_that_contain_themselves_or_lie_deep_are_read_and_dropped() {
    // a dict that is its own value, and a list that is its own item
    assert!(message(b"\x80\x02}q\0X\x01\0\0\0ah\0s.").ends_with("expected a tensor, got a dict of 1"));
    assert!(message(b"\x80\x02]q\0h\0a.").ends_with("got a list of 1"));
    // a million tuples within each other
    let mut deep = b"\x80\x02N".to_vec();
    deep.extend(std::iter::repeat_n(0x85, 1_000_000));
    deep.push(b'.');
    assert!(message(&deep).ends_with("got a tuple of 1"));
    // a memo whose keys leave gaps takes no more than its entries
    let mut sparse = b"\x80\x02}".to_vec();
    for key in (0..u32::MAX).step_by(1 << 24) {
        sparse.extend([b"r".as_slice(), &key.to_le_bytes()].concat());
    }
    sparse.push(b'.');
    assert_eq!(read(&with_pickle(&sparse)), Ok(BTreeMap::new()));
}

#[test]
fn tensors_that_leave_their_storage_are_refused() {
    for (offset, shape, strides, n_values) in [
        (1, [2, 3], [3, 1], 6),
        (0, [2, 4], [3, 1], 6),
        (0, [3, 2], [3, 1], 6),
        (0, [255, 255], [255, 255], 6),
        (6, [1, 1], [1, 1], 6),
    ] {
        let got = message(&state(offset, shape, strides, n_values));
        assert!(got.contains("tensor `w`: expected values within its storage of 6"), "{got}");
    }
    let got = message(&state(0, [2, 3], [3, 1], 7));
    assert!(got.ends_with("expected a storage of 7 values of F32, got 24 bytes"), "{got}");
    // a shape of 255 * 255 values at one place is small enough, one of 2^31 * 255 is not
    assert!(read(&with_pickle(&state(0, [255, 255], [0, 0], 6))).is_ok());
    let small = state(0, [1, 255], [0, 0], 6);
    let at = small.windows(4).position(|bytes| bytes == [b'K', 1, b'K', 255]).expect("it is there");
    let huge = [&small[..at], b"J\xff\xff\xff\x7f", &small[at + 2..]].concat();
    assert!(message(&huge).contains("got shape [2147483647, 255], strides [0, 0]"));
    let negative = [&small[..at], b"J\xff\xff\xff\xff", &small[at + 2..]].concat();
    assert!(message(&negative).ends_with("expected a size of at least 0, got -1"));
}

#[test]
fn archives_that_lie_are_refused() {
    let pickle = state(0, [2, 3], [3, 1], 6);
    let of = |members: &[(&str, &[u8])]| read(&archive_of(members)).expect_err("it lies");
    assert!(of(&[]).ends_with("expected one data.pkl, got no members and 0 more"));
    assert!(of(&[("data.pkl", &pickle)]).contains("expected one data.pkl, got `data.pkl` and 0 more"));
    assert!(of(&[("a/data.pkl", &pickle), ("b/data.pkl", &pickle)]).ends_with("got several"));
    assert!(
        of(&[("x/data.pkl", &pickle), ("x/data.pkl", &pickle)])
            .contains("expected one member `x/data.pkl`, got two")
    );
    assert!(of(&[("x/data.pkl", &pickle)]).ends_with("expected member `data/0`, got none of that name"));
    let big_endian = [("x/data.pkl", pickle.as_slice()), ("x/byteorder", b"big"), ("x/data/0", &[0; 24])];
    assert!(of(&big_endian).ends_with("byteorder: expected `little`, got `big`"));

    let whole = with_pickle(&pickle);
    let second = whole.windows(4).rposition(|bytes| bytes == b"PK\x01\x02").expect("an entry");
    let changed = |at: usize, bytes: &[u8]| {
        let mut changed = whole.clone();
        changed[at..at + bytes.len()].copy_from_slice(bytes);
        read(&changed).expect_err("it lies")
    };
    assert!(changed(second + 10, &[8]).contains("expected member `x/data/0` stored as it is, got method 8"));
    assert!(changed(second + 8, &[1]).contains("in the clear, got an encrypted one"));
    let longer = changed(second + 20, &[25, 0, 0, 0, 25]);
    assert!(
        longer.ends_with("expected member `x/data/0` in front of the directory, got it behind"),
        "{longer}"
    );
    assert!(changed(second + 42, &[0, 0, 0, 0]).contains("expected member `x/data/0`, got `x/data.pkl`"));
    let end = whole.len() - 22;
    assert!(changed(end + 16, &[0xFF, 0xFF]).contains("expected a directory in front of byte"));
    assert!(changed(end + 4, &[1]).contains("expected an archive in one file"));
    assert!(changed(end + 10, &[3, 0]).contains("an archive in one file"));
    assert!(changed(end + 16, &[0xFF; 4]).contains("PK\\u{6}\\u{7}"));
}

#[test]
fn every_cut_and_every_changed_byte_gives_an_error_or_tensors_within_the_file() {
    let whole = with_pickle(&state(0, [2, 3], [1, 2], 6));
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("x.bin");
    fs::write(&path, &whole).expect("a file");
    for length in 0..whole.len() {
        assert!(read(&whole[..length]).is_err(), "cut to {length} bytes");
    }
    for i in 0..whole.len() {
        for value in 0..=u8::MAX {
            let mut changed = whole.clone();
            changed[i] = value;
            let Ok(tensors) = read(&changed) else { continue };
            for (tensor, view) in tensors.values() {
                let mut n = 0;
                view.for_each_run(&tensor.shape, tensor.dtype.bitsize() / 8, |run| n += changed[run].len());
                assert_eq!(n, tensor.n_elements() * tensor.dtype.bitsize() / 8);
            }
        }
    }
}
