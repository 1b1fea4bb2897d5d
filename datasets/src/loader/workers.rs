//! Threads that make numbered things, handed over in the order of their numbers.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, bounded};

use super::LoaderError;

type Make<T> = dyn Fn(u64) -> Result<T, LoaderError> + Send + Sync;

/// Worker `w` of `n` makes numbers `from + w`, `from + w + n` and so on into a bounded queue of its own; the reader
/// takes from the queues in turn. So the order does not depend on how fast any thread is.
pub(crate) struct OrderedWorkers<T> {
    make: Arc<Make<T>>,
    queues: Vec<Receiver<Result<T, LoaderError>>>,
    threads: Vec<JoinHandle<()>>,
    next: u64,
    until: u64,
    from: u64,
    has_failed: bool,
}

impl<T: Send + 'static> OrderedWorkers<T> {
    /// Makes `from..until` in threads, or in the caller's if there are to be none.
    ///
    /// # Errors
    /// A thread that the system does not grant.
    pub(crate) fn start(
        n_workers: usize,
        queue: usize,
        from: u64,
        until: u64,
        make: impl Fn(u64) -> Result<T, LoaderError> + Send + Sync + 'static,
    ) -> Result<Self, LoaderError> {
        let make: Arc<Make<T>> = Arc::new(make);
        let mut workers = Self {
            make: Arc::clone(&make),
            queues: Vec::new(),
            threads: Vec::new(),
            next: from,
            until,
            from,
            has_failed: false,
        };
        for worker in 0..n_workers as u64 {
            let (sender, receiver) = bounded(queue);
            let make = Arc::clone(&make);
            let run = move || {
                for number in (from + worker..until).step_by(n_workers) {
                    let made = guarded(&*make, number);
                    let is_last = made.is_err();
                    // the reader has gone away, or nothing can follow an error
                    if sender.send(made).is_err() || is_last {
                        return;
                    }
                }
            };
            let thread =
                std::thread::Builder::new().name(format!("loader-{worker}")).spawn(run).map_err(|e| {
                    LoaderError::Config { problem: format!("workers: cannot start a thread: {e}") }
                })?;
            workers.queues.push(receiver);
            workers.threads.push(thread);
        }
        Ok(workers)
    }

    /// The next in order, or `None` after the last.
    pub(crate) fn next(&mut self) -> Option<Result<T, LoaderError>> {
        if self.has_failed {
            return Some(Err(LoaderError::Stopped));
        }
        if self.next >= self.until {
            return None;
        }
        let number = self.next;
        let made = if self.queues.is_empty() {
            guarded(&*self.make, number)
        } else {
            let worker = (number - self.from) as usize % self.queues.len();
            self.queues[worker].recv().unwrap_or(Err(LoaderError::Stopped))
        };
        self.next += 1;
        self.has_failed = made.is_err();
        Some(made)
    }
}

impl<T> Drop for OrderedWorkers<T> {
    fn drop(&mut self) {
        // a thread that waits for room in its queue sees that nobody reads it any more
        self.queues.clear();
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

fn guarded<T>(make: &Make<T>, number: u64) -> Result<T, LoaderError> {
    catch_unwind(AssertUnwindSafe(|| make(number))).unwrap_or_else(|panic| {
        let message = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "without a message".to_owned());
        Err(LoaderError::Panicked { batch_idx: number, message })
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn collect<T: Send + 'static>(mut workers: OrderedWorkers<T>) -> Result<Vec<T>, LoaderError> {
        std::iter::from_fn(|| workers.next()).collect()
    }

    #[test]
    fn order_does_not_depend_on_the_number_of_threads() {
        for n_workers in [0, 1, 2, 3, 7] {
            // uneven work
            let make = |number: u64| {
                let n_turns = number % 5 * 20_000;
                Ok((0..n_turns).fold(number, |a, b| std::hint::black_box(a ^ b) ^ b))
            };
            let workers = OrderedWorkers::start(n_workers, 2, 10, 40, make).expect("threads start");
            assert_eq!(collect(workers), Ok((10..40).collect()), "{n_workers} threads");
        }
    }

    #[test]
    fn queues_are_bounded() {
        let n_made = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&n_made);
        let make = move |number| {
            counter.fetch_add(1, Ordering::SeqCst);
            Ok::<u64, LoaderError>(number)
        };
        let mut workers = OrderedWorkers::start(2, 3, 0, u64::MAX, make).expect("threads start");
        for expected in 0..100 {
            assert_eq!(workers.next(), Some(Ok(expected)));
        }
        drop(workers);
        // what was read, what waits, and one in each hand
        assert!(n_made.load(Ordering::SeqCst) <= 100 + 2 * (3 + 1));
    }

    #[test]
    fn panic_stops_the_run_with_its_message() {
        for n_workers in [0, 2] {
            let make = |number: u64| if number == 3 { panic!("number {number} is odd") } else { Ok(number) };
            let mut workers = OrderedWorkers::start(n_workers, 1, 0, 100, make).expect("threads start");
            for expected in 0..3 {
                assert_eq!(workers.next(), Some(Ok(expected)));
            }
            let message = "number 3 is odd".to_owned();
            assert_eq!(workers.next(), Some(Err(LoaderError::Panicked { batch_idx: 3, message })));
            assert_eq!(workers.next(), Some(Err(LoaderError::Stopped)));
        }
    }
}
