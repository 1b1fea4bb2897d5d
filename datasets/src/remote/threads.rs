//! Several downloads at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Works on `items` in threads and hands each outcome over to `done`, in the order in which they come about, in the caller's
/// thread. When `done` fails, nothing new is begun.
pub(super) fn in_threads<T: Sync, R: Send, E>(
    n_threads: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
    mut done: impl FnMut(&T, R) -> Result<(), E>,
) -> Result<(), E> {
    let (next, has_stopped) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = crossbeam_channel::bounded(n_threads.max(1));
    std::thread::scope(|scope| {
        for _ in 0..n_threads.clamp(1, items.len().max(1)) {
            let (sender, work, next, has_stopped) = (sender.clone(), &work, &next, &has_stopped);
            scope.spawn(move || {
                while !has_stopped.load(Ordering::Relaxed) {
                    let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) else { return };
                    if sender.send((item, work(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut outcome = Ok(());
        for (item, result) in receiver {
            if outcome.is_ok() {
                outcome = done(item, result);
                has_stopped.store(outcome.is_err(), Ordering::Relaxed);
            }
        }
        outcome
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_done_once_by_any_number_of_threads() {
        let items: Vec<usize> = (0..50).collect();
        for n_threads in [0, 1, 4, 90] {
            let mut seen = Vec::new();
            let outcome = in_threads(
                n_threads,
                &items,
                |item| item * 2,
                |item, twice| {
                    assert_eq!(twice, item * 2);
                    seen.push(*item);
                    Ok::<(), ()>(())
                },
            );
            seen.sort_unstable();
            assert_eq!((outcome, seen), (Ok(()), items.clone()));
        }
    }

    #[test]
    fn nothing_new_is_begun_after_a_failure() {
        let n_begun = AtomicUsize::new(0);
        let items = vec![(); 1000];
        let outcome =
            in_threads(2, &items, |()| n_begun.fetch_add(1, Ordering::Relaxed), |(), _| Err("disk full"));
        assert_eq!(outcome, Err("disk full"));
        assert!(n_begun.into_inner() < 100);
    }
}
