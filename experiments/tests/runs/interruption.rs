//! Killed or interrupted at any moment, a run goes on with the same command and ends with the same weights.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::fixture::{Desk, assert_same_end, checkpoint_path, losses, stderr};

/// Longest wait for a moment to come.
const PATIENCE: Duration = Duration::from_secs(300);

/// When to kill.
enum Moment {
    /// So long after the start.
    After(Duration),
    /// As soon as a file or folder of the run is there.
    Exists(&'static str),
    /// As soon as a checkpoint is being written.
    WritingCheckpoint,
}

impl Moment {
    fn has_come(&self, run: &Path, started: Instant) -> bool {
        match self {
            Moment::After(delay) => started.elapsed() >= *delay,
            Moment::Exists(name) => run.join(name).exists(),
            Moment::WritingCheckpoint => fs::read_dir(run.join("checkpoints")).is_ok_and(|entries| {
                entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with(".unfinished-"))
            }),
        }
    }
}

/// Waits for the moment; false if the program came to its end before.
fn wait_for(moment: &Moment, child: &mut Child, run: &Path) -> bool {
    let started = Instant::now();
    while !moment.has_come(run, started) {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        assert!(started.elapsed() < PATIENCE, "the moment never came");
        thread::sleep(Duration::from_micros(200));
    }
    true
}

/// Milliseconds that look random and are the same every time.
fn delays_ms(n: usize) -> impl Iterator<Item = u64> {
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    (0..n).map(move |_| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % 1500
    })
}

#[test]
fn a_run_killed_again_and_again_ends_as_if_nothing_had_happened() {
    const RANDOM_KILLS: usize = 8;
    let desk = Desk::new();
    let arguments = ["quickstart", "--preset", "tiny.toml", "--quiet", "--out"];
    let with = |name: &'static str| [&arguments[..], &[name]].concat();
    desk.succeed(&with("undisturbed"));

    let run = desk.path("killed");
    let mut moments = vec![
        Moment::Exists("config.toml"),
        Moment::Exists("corpus"),
        Moment::Exists("corpus/emoji-000000.tar"),
        Moment::Exists("tokenizer.json"),
        Moment::WritingCheckpoint,
        Moment::Exists("checkpoints/step-000003.safetensors"),
        Moment::WritingCheckpoint,
        Moment::Exists("checkpoints/step-000009.safetensors"),
    ];
    moments.extend(delays_ms(RANDOM_KILLS).map(|delay| Moment::After(Duration::from_millis(delay))));
    moments.push(Moment::Exists("predictions.json"));
    let mut n_kills = 0;
    for moment in &moments {
        let mut command = desk.triptych(&with("killed"));
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        n_kills += usize::from(wait_for(moment, &mut child, &run));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        // killed, or done: nothing that a kill leaves behind may be an error to the next process
        assert!(output.status.code().is_none_or(|code| code == 0), "{}", stderr(&output));
    }
    assert!(n_kills >= RANDOM_KILLS, "only {n_kills} kills hit the program at work");

    desk.succeed(&with("killed"));
    assert_same_end(&desk.path("undisturbed"), &run);
    assert_eq!(losses(&desk.path("undisturbed")), losses(&run));
    for file in ["scores.json", "predictions.json", "tokenizer.json", "corpus/index.json"] {
        let read = |name: &str| fs::read(desk.path(name).join(file)).unwrap();
        assert!(read("undisturbed") == read("killed"), "{file} differs");
    }
    let leftovers = ["", "checkpoints", "corpus"].map(|folder| {
        let names = fs::read_dir(run.join(folder)).unwrap().map(|entry| entry.unwrap().file_name());
        names.filter(|name| name.to_string_lossy().starts_with(".unfinished-")).count()
    });
    assert_eq!(leftovers, [0; 3]);
}

#[test]
#[cfg(unix)]
fn ctrl_c_saves_says_how_to_go_on_and_changes_nothing() {
    let desk = Desk::new();
    // long enough to be at work still when the signal comes
    let longer = ["--set", "train.steps=300", "--set", "train.checkpoint_every=50", "--quiet"];
    let with = |name: &'static str| [&["train", "tiny.toml", "--out", name][..], &longer].concat();
    let run = desk.path("interrupted");
    let mut child = desk.triptych(&with("interrupted")).stderr(Stdio::piped()).spawn().unwrap();
    let moment = Moment::Exists("checkpoints/step-000050.safetensors");
    assert!(wait_for(&moment, &mut child, &run), "it ended before it could be interrupted");
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(130), "{message}");
    let (first, hint) = message.trim().split_once('\n').unwrap();
    let step = first.strip_prefix("error: interrupted: stopped at step ").unwrap();
    let (step, rest) = step.split_once(' ').unwrap();
    assert_eq!(rest, "of 300, saved in interrupted");
    assert!(checkpoint_path(&run, step.parse().unwrap()).exists(), "{message}");
    let again = format!("triptych train tiny.toml --out interrupted {}", longer.join(" "));
    assert_eq!(hint, format!("  hint: go on with `{again}`"));

    desk.succeed(&with("interrupted"));
    desk.succeed(&with("undisturbed"));
    assert_same_end(&desk.path("undisturbed"), &run);
}

#[test]
#[cfg(unix)]
fn ctrl_c_before_training_ends_at_once_and_says_how_to_go_on() {
    let desk = Desk::new();
    let mut command = desk.triptych(&["train", "tiny.toml", "--out", "run"]);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    assert!(wait_for(&Moment::Exists("corpus"), &mut child, &desk.path("run")));
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    let output = child.wait_with_output().unwrap();
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(130), "{message}");
    assert!(message.contains("error: interrupted: "), "{message}");
    assert!(message.contains("go on with `triptych train tiny.toml --out run`"), "{message}");
}
