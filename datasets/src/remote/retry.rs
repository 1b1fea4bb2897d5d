//! How often and how patiently a failed request is tried again.

use std::time::Duration;

use super::FetchError;

const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// How often and how patiently a failed request is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Requests in all that bring nothing before a download is given up.
    pub n_attempts: u32,
    /// The pause after the first; it doubles each time, up to a minute. A server may ask for a longer one.
    pub pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self { n_attempts: 5, pause: Duration::from_millis(500) }
    }
}

impl Retry {
    /// Tries again as long as that may help. `work` may forgive earlier failures.
    pub(super) fn persist<T>(
        &self,
        mut work: impl FnMut(&mut u32) -> Result<T, FetchError>,
    ) -> Result<T, FetchError> {
        let mut failures = 0;
        loop {
            match work(&mut failures) {
                Err(error) if error.is_transient() && failures + 1 < self.n_attempts => {
                    let own = self.pause.saturating_mul(1 << failures.min(16));
                    let asked = match &error {
                        FetchError::Status { retry_after_s: Some(seconds), .. } => {
                            Duration::from_secs(*seconds)
                        }
                        _ => Duration::ZERO,
                    };
                    std::thread::sleep(own.max(asked).min(LONGEST_PAUSE));
                    failures += 1;
                }
                outcome => return outcome,
            }
        }
    }
}
