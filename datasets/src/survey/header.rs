//! What the headers of pictures and sounds tell, without decoding what follows.

use std::io::Cursor;

use image::{ImageDecoder, ImageReader, Limits};
use resvg::usvg;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;
use symphonia::core::units::Duration;

/// No header of a picture needs more memory.
const MAX_HEADER_BYTES: u64 = 16 << 20;

/// A picture's header.
#[derive(Clone, Debug, PartialEq)]
pub struct ImageHeader {
    /// By its content: `png`, `jpeg`.
    pub format: String,
    /// In pixels, upright.
    pub width: u32,
    /// In pixels, upright.
    pub height: u32,
}

/// A sound's header.
#[derive(Clone, Debug, PartialEq)]
pub struct AudioHeader {
    /// The container, by its content: `wave`, `ogg`.
    pub format: String,
    /// Samples a second, where the header tells.
    pub rate_hz: Option<u32>,
    /// Number of channels, where the header tells.
    pub n_channels: Option<usize>,
    /// Length in seconds: the header's, or else the sum of its packets.
    pub duration_s: Option<f64>,
}

/// Reads a picture's header. Vector pictures have the size that their document gives, rounded up.
///
/// # Errors
/// What is wrong with it, in words.
pub fn image_header(bytes: &[u8], extension: &str) -> Result<ImageHeader, String> {
    if bytes.is_empty() {
        return Err("expected a picture, got an empty file".to_owned());
    }
    if extension.eq_ignore_ascii_case("svg") {
        return svg_header(bytes);
    }
    let format = image::guess_format(bytes)
        .map_err(|_| format!("expected a picture, got something else in a file .{extension}"))?;
    let broken = |e: image::ImageError| format!("broken picture in a file .{extension}: {e}");
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_HEADER_BYTES);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(broken)?;
    let (mut width, mut height) = decoder.dimensions();
    if width == 0 || height == 0 {
        return Err(format!("expected at least one pixel, got {width}x{height}"));
    }
    use image::metadata::Orientation as O;
    if let Ok(O::Rotate90 | O::Rotate270 | O::Rotate90FlipH | O::Rotate270FlipH) = decoder.orientation() {
        std::mem::swap(&mut width, &mut height);
    }
    let name = format.extensions_str().first().copied().unwrap_or(extension);
    Ok(ImageHeader { format: if name == "jpg" { "jpeg" } else { name }.to_owned(), width, height })
}

fn svg_header(bytes: &[u8]) -> Result<ImageHeader, String> {
    // nothing outside the document is read: it may come from anywhere
    let options = usvg::Options {
        resources_dir: None,
        image_href_resolver: usvg::ImageHrefResolver {
            resolve_data: Box::new(|_, _, _| None),
            resolve_string: Box::new(|_, _| None),
        },
        ..usvg::Options::default()
    };
    let tree = usvg::Tree::from_data(bytes, &options).map_err(|e| format!("broken picture: {e}"))?;
    let pixels = |length: f32| (length.ceil() as u32).max(1);
    let (width, height) = (pixels(tree.size().width()), pixels(tree.size().height()));
    Ok(ImageHeader { format: "svg".to_owned(), width, height })
}

/// Reads a sound's header; where that does not tell the length, the lengths of its packets are added up, still
/// without decoding them.
///
/// # Errors
/// What is wrong with it, in words.
pub fn audio_header(bytes: &[u8], extension: &str) -> Result<AudioHeader, String> {
    if bytes.is_empty() {
        return Err("expected a sound, got an empty file".to_owned());
    }
    let unknown =
        |reason: String| format!("expected a sound, got something else in a file .{extension}: {reason}");
    let stream = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let mut hint = Hint::new();
    hint.with_extension(extension);
    let mut format = symphonia::default::get_probe()
        .probe(&hint, stream, FormatOptions::default(), MetadataOptions::default())
        .map_err(|e| unknown(e.to_string()))?;
    let name = format.format_info().short_name.to_owned();
    let track = format.default_track(TrackType::Audio).ok_or_else(|| unknown("no sound track".into()))?;
    let (track_id, time_base) = (track.id, track.time_base);
    let parameters = track.codec_params.as_ref().and_then(|parameters| parameters.audio());
    let rate_hz = parameters.and_then(|parameters| parameters.sample_rate).filter(|rate| *rate > 0);
    let n_channels =
        parameters.and_then(|parameters| parameters.channels.as_ref()).map(|channels| channels.count());
    let seconds =
        |ticks: Duration| time_base.and_then(|base| base.calc_duration(ticks)).map(|time| time.as_secs_f64());
    let told = match (track.num_frames, rate_hz) {
        (Some(n_frames), Some(rate_hz)) => Some(n_frames as f64 / f64::from(rate_hz)),
        _ => track.duration.and_then(seconds),
    };
    let duration_s = told.or_else(|| {
        let mut ticks = 0u64;
        while let Ok(Some(packet)) = format.next_packet() {
            if packet.track_id == track_id {
                ticks = ticks.saturating_add(packet.dur.get());
            }
        }
        seconds(Duration::from(ticks))
    });
    Ok(AudioHeader { format: name, rate_hz, n_channels, duration_s })
}
