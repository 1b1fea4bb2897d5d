//! Single files to what a model sees and hears, without the random changes of training.

use std::fs;
use std::io;
use std::path::Path;

use triptych_datasets::audio::{AudioError, AudioPipeline, Frames, RATE_HZ};
use triptych_datasets::batch::HostBatch;
use triptych_datasets::image::{ImageError, ImageTransform, decode};
use triptych_datasets::loader::{audio_batch, image_batch};

/// Why a file is no picture or no recording.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MediaError {
    /// The system does not hand it over.
    #[error("cannot be read: {0}")]
    Read(#[from] io::Error),
    /// It is no picture.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// It is no recording.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// It is neither.
    #[error("neither a picture nor a recording: {image}; {audio}")]
    Neither {
        /// Why it is no picture.
        image: Box<ImageError>,
        /// Why it is no recording.
        audio: Box<AudioError>,
    },
}

/// A recording as a model hears it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Recording {
    pub(crate) frames: Frames,
    /// Its length.
    pub(crate) duration_s: f64,
}

/// A picture or a recording.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Media {
    /// `[side, side, 3]`
    Picture(Vec<f32>),
    /// Log-mel frames.
    Recording(Recording),
}

/// Reads a picture file.
///
/// # Shapes
/// Returns `[side, side, 3]`.
///
/// # Errors
/// When it cannot be read or is no picture.
pub(crate) fn read_picture(path: &Path, transform: &ImageTransform) -> Result<Vec<f32>, MediaError> {
    Ok(picture(&fs::read(path)?, &extension(path), transform)?)
}

/// Reads an audio file.
///
/// # Errors
/// When it cannot be read or is no recording.
pub(crate) fn read_recording(path: &Path, pipeline: &AudioPipeline) -> Result<Recording, MediaError> {
    Ok(recording(&fs::read(path)?, &extension(path), pipeline)?)
}

/// Reads a file that may be either. What is in it decides, whatever it is called.
///
/// # Errors
/// When it cannot be read, is broken, or is neither.
pub(crate) fn read_media(
    path: &Path,
    transform: &ImageTransform,
    pipeline: &AudioPipeline,
) -> Result<Media, MediaError> {
    let (bytes, extension) = (fs::read(path)?, extension(path));
    match picture(&bytes, &extension, transform) {
        Ok(pixels) => Ok(Media::Picture(pixels)),
        Err(image @ ImageError::UnknownFormat { .. }) => match recording(&bytes, &extension, pipeline) {
            Ok(recording) => Ok(Media::Recording(recording)),
            Err(audio @ AudioError::UnknownFormat { .. }) => {
                Err(MediaError::Neither { image: Box::new(image), audio: Box::new(audio) })
            }
            Err(audio) => Err(audio.into()),
        },
        Err(image) => Err(image.into()),
    }
}

/// Pictures that [`read_picture`] gave, as a batch; `None` where there are none.
pub(crate) fn batch_of_pictures(pictures: Vec<Vec<f32>>, side: usize) -> Option<HostBatch> {
    let rows = pictures.into_iter().map(Some).collect::<Vec<_>>();
    let image = image_batch(&rows, side)?;
    Some(HostBatch { ids: numbers(rows.len()), image: Some(image), ..HostBatch::default() })
}

/// Recordings that [`read_recording`] gave, as a batch; `None` where there are none.
pub(crate) fn batch_of_recordings(recordings: Vec<Recording>) -> Option<HostBatch> {
    let rows = recordings.into_iter().map(|recording| Some(recording.frames)).collect::<Vec<_>>();
    let audio = audio_batch(&rows)?;
    Some(HostBatch { ids: numbers(rows.len()), audio: Some(audio), ..HostBatch::default() })
}

/// An encoded picture as a model sees it.
///
/// # Shapes
/// Returns `[side, side, 3]`.
pub(crate) fn picture(
    bytes: &[u8],
    extension: &str,
    transform: &ImageTransform,
) -> Result<Vec<f32>, ImageError> {
    Ok(transform.apply(&decode(bytes, extension)?, None))
}

/// An encoded recording as a model hears it.
pub(crate) fn recording(
    bytes: &[u8],
    extension: &str,
    pipeline: &AudioPipeline,
) -> Result<Recording, AudioError> {
    let samples = pipeline.decode(bytes, extension)?;
    let duration_s = samples.len() as f64 / f64::from(RATE_HZ);
    Ok(Recording { frames: pipeline.frames(samples, None), duration_s })
}

fn numbers(n: usize) -> Vec<String> {
    (0..n).map(|row| row.to_string()).collect()
}

fn extension(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

#[cfg(test)]
mod tests {
    use triptych_datasets::audio::{AudioTransform, Waveform, encode_wav};
    use triptych_datasets::image::{Pixels, encode_png};

    use super::*;

    #[test]
    fn content_decides_whether_a_file_is_a_picture_or_a_recording() {
        let folder = tempfile::tempdir().unwrap();
        let (transform, pipeline) = (ImageTransform::new(8), AudioPipeline::new(&AudioTransform::default()));
        let read = |name: &str, bytes: &[u8]| {
            let path = folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            read_media(&path, &transform, &pipeline)
        };
        let png = encode_png(&Pixels::filled(4, 4, [255, 0, 0])).unwrap();
        let wav = encode_wav(&Waveform { samples: vec![0.1; 8000], rate_hz: RATE_HZ }).unwrap();
        match read("picture.wav", &png).unwrap() {
            Media::Picture(values) => assert_eq!((values.len(), &values[..3]), (192, &[1.0, -1.0, -1.0][..])),
            other => panic!("expected a picture, got {other:?}"),
        }
        match read("sound.png", &wav).unwrap() {
            Media::Recording(recording) => {
                assert_eq!((recording.frames.n_frames, recording.duration_s), (50, 0.5));
            }
            other => panic!("expected a recording, got {other:?}"),
        }
        let message = read("words.txt", b"neither of them").unwrap_err().to_string();
        assert!(message.starts_with("neither a picture nor a recording: "), "{message}");
        let message = read("cut.png", &png[..40]).unwrap_err().to_string();
        assert!(message.starts_with("broken picture in a file .png"), "{message}");
        let message = read("empty.wav", b"").unwrap_err().to_string();
        assert!(message.ends_with("got an empty file"), "{message}");
    }
}
