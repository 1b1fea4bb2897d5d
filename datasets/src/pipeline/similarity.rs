//! Where a trained model comes in. This crate holds none: the program passes one.

/// A picture or a sound, and the texts that it is compared with.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    /// Encoded picture and its file ending.
    pub image: Option<(&'a [u8], &'a str)>,
    /// Encoded sound and its file ending.
    pub audio: Option<(&'a [u8], &'a str)>,
    /// The texts.
    pub texts: &'a [String],
}

/// Compares pictures and sounds with texts.
pub trait Similarity {
    /// What the results depend on, such as the hash of the weights: another identity, and cached results are not used.
    fn identity(&self) -> String;

    /// Cosine similarities, a row for each comparison and in it one for each of its texts.
    ///
    /// # Errors
    /// Whatever keeps the model from its work, in words.
    fn compare(&self, comparisons: &[Comparison<'_>]) -> Result<Vec<Vec<f32>>, String>;
}
