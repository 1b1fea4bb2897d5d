//! Progress of long work: a bar on a terminal, a line now and then without one.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

/// A rate over a shorter time would be noise.
const LEAST_S: f64 = 0.2;
/// Without a terminal, lines come no more often than this.
const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// Work that is under way, of a length that is known or, where it is given as 0, not. Everything goes to standard error.
#[derive(Debug)]
pub struct Progress {
    title: String,
    total: u64,
    done: u64,
    /// Work done before this process began, which says nothing about its speed.
    start: u64,
    begun: Instant,
    display: Display,
}

#[derive(Debug)]
enum Display {
    Bar(ProgressBar),
    Lines { last: Option<Instant> },
    Quiet,
}

impl Progress {
    /// `title` says what is being done, `total` how many items there are, `unit` what an item is, in the plural.
    pub fn new(title: &str, total: u64, unit: &str, is_quiet: bool) -> Self {
        Self::resume(title, 0, total, unit, is_quiet)
    }

    /// Work that an earlier process did up to `start`.
    pub fn resume(title: &str, start: u64, total: u64, unit: &str, is_quiet: bool) -> Self {
        let display = if is_quiet {
            Display::Quiet
        } else if std::io::stderr().is_terminal() {
            Display::Bar(bar(title, start, total, unit))
        } else {
            Display::Lines { last: None }
        };
        Progress { title: title.to_owned(), total, done: start, start, begun: Instant::now(), display }
    }

    /// `done` items of the total are done; `message` is what else there is to know, such as the losses.
    pub fn set(&mut self, done: u64, message: &str) {
        self.done = done;
        match &mut self.display {
            Display::Bar(bar) => {
                bar.set_position(done);
                bar.set_message(message.to_owned());
            }
            Display::Lines { last } if last.is_none_or(|last| last.elapsed() >= LINE_INTERVAL) => {
                *last = Some(Instant::now());
                eprintln!("{}", self.line(message));
            }
            Display::Lines { .. } | Display::Quiet => {}
        }
    }

    /// One more item is done.
    pub fn advance(&mut self) {
        let message = match &self.display {
            Display::Bar(bar) => bar.message(),
            _ => String::new(),
        };
        self.set(self.done + 1, &message);
    }

    /// Prints a line of its own, above the bar where there is one.
    pub fn note(&self, line: &str) {
        match &self.display {
            Display::Bar(bar) => bar.println(line),
            Display::Lines { .. } => eprintln!("{line}"),
            Display::Quiet => {}
        }
    }

    /// The work is over: takes the bar away and leaves one line with the time that it took.
    pub fn finish(self, message: &str) {
        let took = time(self.begun.elapsed());
        let separator = if message.is_empty() { "" } else { ": " };
        let line = format!("{} in {took}{separator}{message}", self.title);
        match self.display {
            Display::Bar(bar) => {
                bar.finish_and_clear();
                eprintln!("{line}");
            }
            Display::Lines { .. } => eprintln!("{line}"),
            Display::Quiet => {}
        }
    }

    fn line(&self, message: &str) -> String {
        let seconds = self.begun.elapsed().as_secs_f64();
        let n_done_here = self.done.saturating_sub(self.start);
        let mut line = match self.total {
            0 => format!("{} {}", self.title, self.done),
            total => format!("{} {}/{total}", self.title, self.done),
        };
        if n_done_here > 0 && seconds >= LEAST_S {
            let rate = n_done_here as f64 / seconds;
            line.push_str(&format!(", {rate:.1}/s"));
            if self.total > 0 {
                let left = Duration::from_secs_f64(self.total.saturating_sub(self.done) as f64 / rate);
                line.push_str(&format!(", {} left", time(left)));
            }
        }
        if !message.is_empty() {
            line.push_str(", ");
            line.push_str(message);
        }
        line
    }
}

fn bar(title: &str, start: u64, total: u64, unit: &str) -> ProgressBar {
    let template = match total {
        0 => format!("{{prefix}} {{spinner}} {{pos}} {unit}, {{per_sec}}  {{wide_msg}}"),
        _ => format!("{{prefix}} {{bar:24}} {{pos}}/{{len}} {unit}, {{per_sec}}, {{eta}} left  {{wide_msg}}"),
    };
    let style = ProgressStyle::with_template(&template).unwrap_or_else(|_| ProgressStyle::default_bar());
    let bar = ProgressBar::new(total).with_style(style).with_prefix(title.to_owned()).with_position(start);
    bar.reset_eta();
    bar
}

/// `4.2 s`, `3 min 20 s`, `2 h 5 min`.
fn time(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_in_fitting_units() {
        assert_eq!(time(Duration::from_millis(4250)), "4.2 s");
        assert_eq!(time(Duration::from_secs(200)), "3 min 20 s");
        assert_eq!(time(Duration::from_secs(7500)), "2 h 5 min");
    }

    #[test]
    fn work_done_before_does_not_count_as_speed() {
        let mut progress = Progress::resume("train", 900, 1000, "steps", true);
        progress.begun = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        progress.set(950, "");
        let line = progress.line("loss 0.5");
        assert!(line.starts_with("train 950/1000, 5.0/s, ") && line.ends_with(" s left, loss 0.5"), "{line}");
    }
}
