//! A tiny experiment, and how to run the program on it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use assert_cmd::cargo::cargo_bin;
use tempfile::TempDir;
use triptych::run::checkpoint::{self, Checkpoint};

/// Small enough for a test, with every modality, every objective and a hold-out of pictures and of sounds.
const CONFIG: &str = r#"
extends = "quickstart"
title = "A handful of emoji"

[data]
n_vocab = 64
batch_size = 4
workers = 2

[data.corpus.emoji]
side = 32
n_known = 6
n_unknown = 2
styles = ["noto", "openmoji", "twemoji"]
voices = ["kal16", "slt"]

[data.image]
side = 32

[data.audio]
n_mels = 32

[model]
d_embedding = 16

[model.text.transformer]
transformer = { d_model = 16, depth = 1, n_heads = 2 }

[model.vision.vit]
stem = { patch = 8 }
transformer = { d_model = 16, depth = 1, n_heads = 2 }

[model.audio.transformer]
stem = [16, 16]
transformer = { d_model = 16, depth = 1, n_heads = 2 }

[model.fusion]
transformer = { d_model = 16, depth = 1, n_heads = 2 }

[train]
steps = 24
log_every = 3
checkpoint_every = 3
keep_checkpoints = 2

[train.optimizer]
warmup_steps = 2

[evaluate]
resamples = 20
gallery = 2

[[evaluate.holdouts]]
name = "style"
images = { tags = { style = ["twemoji"], known = ["yes"] } }

[[evaluate.holdouts]]
name = "voice:slt"
sounds = { tags = { voice = ["slt"], known = ["yes"] } }
"#;

/// A folder with the experiment's config in it, removed at the end of the test.
pub(crate) struct Desk {
    folder: TempDir,
}

impl Desk {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tiny.toml"), CONFIG).unwrap();
        Self { folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with the arguments, in this folder.
    pub(crate) fn triptych(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(cargo_bin!("triptych"));
        command.args(arguments).current_dir(self.folder.path()).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.triptych(arguments).output().expect("the program starts")
    }

    /// Runs the program, which must succeed, and gives what it printed.
    pub(crate) fn succeed(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs the program, which must fail with `status`, and gives its message.
    pub(crate) fn fail(&self, status: i32, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        assert_eq!(output.status.code(), Some(status), "{arguments:?}: {}", stderr(&output));
        stderr(&output)
    }

    /// A run of the experiment to its last step, not evaluated.
    pub(crate) fn trained(&self, name: &str) -> PathBuf {
        self.succeed(&["train", "tiny.toml", "--out", name, "--quiet"]);
        self.path(name)
    }

    /// A shell script in this folder, with the program as `$triptych`.
    pub(crate) fn shell(&self, launcher: &[&str], script: &str) -> Output {
        let mut words = launcher.to_vec();
        words.extend(["sh", "-c", script]);
        Command::new(words[0])
            .args(&words[1..])
            .current_dir(self.folder.path())
            .env("triptych", cargo_bin!("triptych"))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .expect("there is a shell")
    }
}

/// What starts a shell that may mount file systems of its own, where this machine lets us.
pub(crate) fn mounting_launcher() -> Option<&'static [&'static str]> {
    let launcher = &["unshare", "--map-root-user", "--mount"];
    let probe = "mount -t tmpfs -o size=64k probe /tmp";
    let mut command = Command::new(launcher[0]);
    let output = command.args(&launcher[1..]).args(["sh", "-c", probe]).output().ok()?;
    output.status.success().then_some(launcher)
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Turns over one bit of a file.
pub(crate) fn flip_bit(path: &Path, place: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[place] ^= 8;
    fs::write(path, bytes).unwrap();
}

/// The checkpoint of that step.
pub(crate) fn checkpoint_path(run: &Path, step: u64) -> PathBuf {
    run.join(format!("checkpoints/step-{step:06}.safetensors"))
}

/// Checks that two runs ended with the same weights, averages and moments, bit for bit, and in the same state.
pub(crate) fn assert_same_end(run: &Path, other: &Path) {
    let last = |run: &Path| checkpoint::latest(&run.join("checkpoints")).unwrap().unwrap();
    assert_same_checkpoint(last(run), last(other));
}

fn assert_same_checkpoint(mut a: Checkpoint, mut b: Checkpoint) {
    assert_eq!((a.step, &a.config), (b.step, &b.config));
    assert!(a.tensors.keys().eq(b.tensors.keys()), "other tensors");
    for (name, tensor) in &a.tensors {
        let other = &b.tensors[name];
        assert_eq!(tensor.shape, other.shape, "{name}");
        // by their bits, so that -0 is not 0 and NaN is itself
        let is_same = tensor.data.iter().zip(&other.data).all(|(a, b)| a.to_bits() == b.to_bits());
        assert!(is_same, "{name} differs");
    }
    // time alone may differ
    a.state["elapsed_s"].take();
    b.state["elapsed_s"].take();
    assert_eq!(a.state, b.state);
}

/// The log of a run without what depends on time.
pub(crate) fn losses(run: &Path) -> Vec<serde_json::Value> {
    let mut records = triptych::run::read_metrics(&run.join("metrics.jsonl")).unwrap();
    for record in &mut records {
        let record = record.as_object_mut().unwrap();
        record.remove("samples_per_s").unwrap();
        record.remove("elapsed_s").unwrap();
    }
    records
}
