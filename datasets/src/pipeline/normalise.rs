//! *normalise*: one form for all. Sound becomes 16 kHz mono 16-bit WAV, text NFC or NFKC with single spaces; pictures
//! that are larger than asked for are made smaller.

use serde::{Deserialize, Serialize};
use unicode_normalization::UnicodeNormalization;

use super::error::PipelineError;
use super::item::{Blob, Item, Picture, Sound};
use super::ledger::Fault;
use super::recipe::Objection;
use super::stage::{Context, Decision, Stage, Tally, as_value, count};
use crate::audio::{self, RATE_HZ, Waveform};
use crate::image::{self, CropBox, Pixels};
use crate::sample::Question;

/// Sounds of any length: the limit was *decode*'s.
const NO_LIMIT_S: f64 = f64::INFINITY;

/// Which form.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NormaliseSettings {
    /// Whether sound becomes 16 kHz mono 16-bit WAV.
    pub audio: bool,
    /// The Unicode form of texts.
    pub unicode: UnicodeForm,
    /// Whether any white space becomes one space, none at the ends, and control characters go.
    pub spaces: bool,
    /// Whether texts become lower case.
    pub lower_case: bool,
    /// Pictures with a longer side become this large.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image_max_side: Option<u32>,
    /// How pictures are encoded anew.
    pub image_format: ImageForm,
    /// JPEG's quality, 1 to 100.
    pub jpeg_quality: u8,
}

/// A Unicode normalisation form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UnicodeForm {
    /// Canonical composition.
    #[default]
    Nfc,
    /// Compatibility composition: wide letters, ligatures and the like become plain ones.
    Nfkc,
    /// As it is.
    Keep,
}

/// How a picture is encoded anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImageForm {
    /// Pictures that are small enough stay as they are; others become JPEG if they were, else PNG.
    #[default]
    Keep,
    /// All become JPEG.
    Jpeg,
    /// All become PNG.
    Png,
}

impl Default for NormaliseSettings {
    fn default() -> Self {
        Self {
            audio: true,
            unicode: UnicodeForm::Nfc,
            spaces: true,
            lower_case: false,
            image_max_side: None,
            image_format: ImageForm::Keep,
            jpeg_quality: 90,
        }
    }
}

impl NormaliseSettings {
    pub(crate) fn objections(&self) -> Vec<Objection> {
        let mut objections = Vec::new();
        if !(1..=100).contains(&self.jpeg_quality) {
            let message = format!("expected 1 to 100, got {}", self.jpeg_quality);
            objections.push((vec!["normalise", "jpeg_quality"], message));
        }
        if self.image_max_side == Some(0) {
            objections.push((vec!["normalise", "image_max_side"], "expected at least 1 pixel".to_owned()));
        }
        objections
    }
}

pub(crate) struct Normalise(pub NormaliseSettings);

impl Stage for Normalise {
    fn name(&self) -> &'static str {
        "normalise"
    }

    fn version(&self) -> u32 {
        1
    }

    fn settings(&self) -> Result<serde_json::Value, PipelineError> {
        as_value(&self.0)
    }

    fn apply(
        &self,
        item: &mut Item,
        _place: u64,
        _decision: &Decision,
        context: &Context<'_>,
        tally: &mut Tally,
    ) -> Result<Option<Fault>, PipelineError> {
        self.texts(item, tally);
        if let Some(picture) = &mut item.image
            && let Some(fault) = self.picture(picture, context, tally)?
        {
            return Ok(Some(fault));
        }
        if self.0.audio
            && let Some(sound) = &mut item.audio
            && let Some(fault) = resampled(sound, context, tally)?
        {
            return Ok(Some(fault));
        }
        if item.is_empty() {
            return Ok(Some(Fault::unwanted("empty", "nothing but white space was in its texts")));
        }
        Ok(None)
    }
}

impl Normalise {
    fn texts(&self, item: &mut Item, tally: &mut Tally) {
        let mut texts: Vec<String> = Vec::with_capacity(item.texts.len());
        for text in &item.texts {
            let normalised = self.text(text);
            count(tally, "texts changed", u64::from(normalised != *text));
            if normalised.is_empty() || texts.contains(&normalised) {
                count(tally, "texts empty or repeated", 1);
                continue;
            }
            texts.push(normalised);
        }
        item.texts = texts;
        self.questions(item, tally);
    }

    /// Answers stay as often as they were given.
    fn questions(&self, item: &mut Item, tally: &mut Tally) {
        let n_before = item.questions.len();
        item.questions.iter_mut().flat_map(Question::texts_mut).for_each(|text| *text = self.text(text));
        item.questions.retain_mut(Question::tidied);
        count(tally, "questions without words or answers", (n_before - item.questions.len()) as u64);
    }

    fn text(&self, text: &str) -> String {
        let composed = |text: &str| match self.0.unicode {
            UnicodeForm::Nfc => text.nfc().collect::<String>(),
            UnicodeForm::Nfkc => text.nfkc().collect(),
            UnicodeForm::Keep => text.to_owned(),
        };
        let mut normalised = composed(text);
        if self.0.lower_case {
            normalised = composed(&normalised.to_lowercase());
        }
        if self.0.spaces {
            normalised = single_spaces(&normalised);
        }
        normalised
    }

    fn picture(
        &self,
        picture: &mut Picture,
        context: &Context<'_>,
        tally: &mut Tally,
    ) -> Result<Option<Fault>, PipelineError> {
        let is_jpeg = matches!(picture.blob.extension.as_str(), "jpg" | "jpeg");
        let is_png = picture.blob.extension == "png";
        let long_side = picture.width.max(picture.height);
        let max_side = self.0.image_max_side.unwrap_or(u32::MAX);
        let is_in_form = match self.0.image_format {
            ImageForm::Keep => true,
            ImageForm::Jpeg => is_jpeg,
            ImageForm::Png => is_png,
        };
        if is_in_form && long_side <= max_side {
            return Ok(None);
        }
        let bytes = context.store.bytes(&picture.blob)?;
        let mut pixels = match image::decode(&bytes, &picture.blob.extension) {
            Ok(pixels) => pixels,
            Err(e) => return Ok(Some(Fault::bad("image", e.to_string()))),
        };
        if long_side > max_side {
            count(tally, "pictures made smaller", 1);
            pixels = smaller(&pixels, max_side);
        }
        let becomes_jpeg = match self.0.image_format {
            ImageForm::Keep => is_jpeg,
            form => form == ImageForm::Jpeg,
        };
        let (encoded, extension) = if becomes_jpeg {
            (encode_jpeg(&pixels, self.0.jpeg_quality), "jpg")
        } else {
            (image::encode_png(&pixels).map_err(|e| e.to_string()), "png")
        };
        count(tally, "pictures encoded anew", 1);
        match encoded {
            Ok(bytes) => {
                let (width, height) = (pixels.width as u32, pixels.height as u32);
                *picture = Picture { blob: Blob::new(bytes, extension), width, height };
                Ok(None)
            }
            Err(reason) => Ok(Some(Fault::bad("image", reason))),
        }
    }
}

/// Any white space as one space, none at the ends, no control characters.
pub(crate) fn single_spaces(text: &str) -> String {
    let visible = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect::<String>();
    visible.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn smaller(pixels: &Pixels, max_side: u32) -> Pixels {
    let scale = f64::from(max_side) / pixels.width.max(pixels.height) as f64;
    let scaled = |side: usize| ((side as f64 * scale).round() as usize).max(1);
    let whole = CropBox { left: 0.0, top: 0.0, width: pixels.width as f64, height: pixels.height as f64 };
    image::crop_resize(pixels, whole, scaled(pixels.width), scaled(pixels.height))
}

pub(crate) fn encode_jpeg(pixels: &Pixels, quality: u8) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let (width, height) = (pixels.width as u32, pixels.height as u32);
    ::image::codecs::jpeg::JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(&pixels.rgb, width, height, ::image::ExtendedColorType::Rgb8)
        .map_err(|e| e.to_string())?;
    Ok(bytes)
}

fn resampled(
    sound: &mut Sound,
    context: &Context<'_>,
    tally: &mut Tally,
) -> Result<Option<Fault>, PipelineError> {
    let bytes = context.store.bytes(&sound.blob)?;
    if sound.blob.extension == "wav" && is_plain_wav(&bytes) {
        return Ok(None);
    }
    let decoded = audio::decode(&bytes, &sound.blob.extension, NO_LIMIT_S);
    let converted = decoded.and_then(Waveform::at_rate).and_then(|waveform| {
        let bytes = audio::encode_wav(&waveform)?;
        Ok((bytes, waveform.duration_s()))
    });
    match converted {
        Ok((bytes, duration_s)) => {
            count(tally, "sounds converted", 1);
            *sound = Sound { blob: Blob::new(bytes, "wav"), duration_s };
            Ok(None)
        }
        Err(e) => Ok(Some(Fault::bad("audio", e.to_string()))),
    }
}

/// 16 kHz, mono, 16 bits, and nothing but the samples behind a header of 44 bytes.
pub(crate) fn is_plain_wav(bytes: &[u8]) -> bool {
    let Ok(reader) = hound::WavReader::new(bytes) else { return false };
    let spec = reader.spec();
    spec.channels == 1
        && spec.sample_rate == RATE_HZ
        && spec.bits_per_sample == 16
        && spec.sample_format == hound::SampleFormat::Int
        && bytes.len() as u64 == 44 + 2 * u64::from(reader.duration())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_take_the_form_asked_for() {
        let nfc = Normalise(NormaliseSettings::default());
        assert_eq!(nfc.text("  Cafe\u{301}\t\u{ff21}\u{0}b\n"), "Café \u{ff21} b");
        let settings = NormaliseSettings {
            unicode: UnicodeForm::Nfkc,
            lower_case: true,
            ..NormaliseSettings::default()
        };
        assert_eq!(Normalise(settings).text("\u{ff21}\u{fb01}x  İ"), "afix i\u{307}");
    }

    #[test]
    fn smaller_pictures_keep_their_shape_and_at_least_a_pixel() {
        let wide = smaller(&Pixels::filled(1000, 2, [9; 3]), 100);
        assert_eq!((wide.width, wide.height), (100, 1));
        let plain = smaller(&Pixels::filled(300, 200, [9; 3]), 100);
        assert_eq!((plain.width, plain.height), (100, 67));
    }
}
