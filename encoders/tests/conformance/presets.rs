//! Sizes by name.

use std::fmt::Debug;

use serde::de::DeserializeOwned;
use serde_json::json;
use triptych_encoders::Preset;
use triptych_encoders::audio::{AudioEncoderConfig, ConformerConfig, Wav2vec2Config, WhisperEncoderConfig};
use triptych_encoders::text::{BertConfig, CausalTextConfig, ClipTextConfig, TextEncoderConfig};
use triptych_encoders::vision::{ConvNextConfig, ResNetConfig, VisionEncoderConfig, VitConfig};

/// Every preset of a configuration, read by its name from a config.
fn assert_read_by_name<C, E>(encoder: &str, wrap: impl Fn(C) -> E)
where
    C: Preset + PartialEq + Debug,
    E: DeserializeOwned + PartialEq + Debug,
{
    assert!(!C::PRESETS.is_empty(), "{encoder}");
    for name in C::PRESETS {
        let preset = C::preset(name).unwrap_or_else(|| panic!("{encoder} {name}"));
        let read: E = serde_json::from_value(json!({ encoder: name })).expect("a known name");
        assert_eq!(read, wrap(preset), "{encoder} {name}");
    }
    assert_eq!(C::preset("no_such_size"), None);
    let error = serde_json::from_value::<E>(json!({ encoder: "no_such_size" })).expect_err("unknown");
    assert!(error.to_string().contains(C::PRESETS[0]), "{error}");
}

#[test]
fn a_config_names_a_preset_in_place_of_sizes() {
    assert_read_by_name("bert", TextEncoderConfig::Bert);
    assert_read_by_name("causal", TextEncoderConfig::Causal);
    assert_read_by_name("clip", TextEncoderConfig::Clip);
    assert_read_by_name("vit", VisionEncoderConfig::Vit);
    assert_read_by_name("convnext", VisionEncoderConfig::ConvNext);
    assert_read_by_name("resnet", VisionEncoderConfig::ResNet);
    assert_read_by_name("whisper", AudioEncoderConfig::Whisper);
    assert_read_by_name("conformer", AudioEncoderConfig::Conformer);
    assert_read_by_name("wav2vec2", AudioEncoderConfig::Wav2vec2);
}

#[test]
fn presets_have_the_published_numbers_of_parameters() {
    fn preset<C: Preset>(name: &str) -> C {
        C::preset(name).expect("a known name")
    }
    // `transformers`' and torchvision's models without poolers and classifiers
    let published = [
        ("bert base", preset::<BertConfig>("base").cost(30_522, 8), 108_891_648),
        ("bert large", preset::<BertConfig>("large").cost(30_522, 8), 334_092_288),
        ("clip B/32", preset::<ClipTextConfig>("B/32").cost(49_408, 8), 63_165_952),
        ("vit B/16", preset::<VitConfig>("B/16").cost(224), 85_798_656),
        ("vit L/16", preset::<VitConfig>("L/16").cost(224), 303_301_632),
        ("convnext tiny", preset::<ConvNextConfig>("tiny").cost(224), 27_820_128),
        ("resnet 18", preset::<ResNetConfig>("18").cost(224), 11_176_512),
        ("resnet 50", preset::<ResNetConfig>("50").cost(224), 23_508_032),
        // without the vector of masks and the lengths of the weight norm
        ("wav2vec2 base", preset::<Wav2vec2Config>("base").cost(100), 94_371_712 - 768 - 128),
        ("wav2vec2 large", preset::<Wav2vec2Config>("large").cost(100), 315_438_720 - 1024 - 128),
        // with a bias of the keys, which changes nothing, and without the table of sinusoids
        (
            "whisper base",
            preset::<WhisperEncoderConfig>("base").cost(80, 3000),
            20_590_592 + 6 * 512 - 1500 * 512,
        ),
    ];
    for (name, cost, expected) in published {
        assert_eq!(cost.cost.parameters, expected, "{name}");
    }
    // the paper's 10.3, 30.7 and 118.8 million have a decoder of 0.5 to 4 million in them
    for (name, low, high) in [("small", 8.5, 10.3), ("medium", 25.0, 30.7), ("large", 108.0, 118.8)] {
        let millions = preset::<ConformerConfig>(name).cost(80, 1000).cost.parameters as f64 / 1e6;
        assert!((low..high).contains(&millions), "conformer {name}: {millions}");
    }
    // Brown et al. 2020's 125 million have a vocabulary of 50,257 in them
    let small = preset::<CausalTextConfig>("small").cost(50_257, 8).cost.parameters as f64 / 1e6;
    assert!((110.0..130.0).contains(&small), "causal small: {small}");
}
