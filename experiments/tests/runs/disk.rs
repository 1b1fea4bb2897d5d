//! Disks that are full or refuse to be written to.

use std::fs;

use crate::fixture::{Desk, assert_same_end, checkpoint_path, mounting_launcher, stderr, stdout};

/// The system's limit on the size of a file stands for a full disk where we may not mount a small one.
#[test]
#[cfg(unix)]
fn a_checkpoint_that_does_not_fit_is_told_and_the_run_goes_on_later() {
    let desk = Desk::new();
    let good = desk.trained("good");
    let n_kib = fs::metadata(checkpoint_path(&good, 24)).unwrap().len() / 1024;
    // the corpus is made before the limit stands; POSIX counts in blocks of 512 bytes
    desk.succeed(&["train", "tiny.toml", "--out", "run", "--quiet"]);
    fs::remove_dir_all(desk.path("run/checkpoints")).unwrap();
    let script = format!(
        "trap '' XFSZ; ulimit -f {}; exec \"$triptych\" train tiny.toml --out run --quiet",
        n_kib / 2 * 2
    );
    let output = desk.shell(&["env"], &script);
    let message = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{message}");
    let start = "error: cannot write run/checkpoints/step-000003.safetensors: ";
    assert!(message.starts_with(start), "{message}");
    assert!(message.contains("\n  hint: ") && message.contains("run the same command again"), "{message}");
    assert_eq!(fs::read_dir(desk.path("run/checkpoints")).unwrap().count(), 0);
    desk.succeed(&["train", "tiny.toml", "--out", "run", "--quiet"]);
    assert_same_end(&good, &desk.path("run"));
}

/// Needs to mount; where that is forbidden, the test above is what there is.
#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_told_and_the_run_goes_on_when_there_is_room() {
    let Some(launcher) = mounting_launcher() else {
        eprintln!("not run: this machine lets nobody mount");
        return;
    };
    let desk = Desk::new();
    let good = desk.trained("good");
    fs::create_dir(desk.path("disk")).unwrap();
    let n_bytes = |path: &str| fs::metadata(desk.path(path)).unwrap().len();
    let corpus: u64 =
        fs::read_dir(good.join("corpus")).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum();
    let checkpoint = n_bytes("good/checkpoints/step-000024.safetensors");
    // room for two checkpoints and a half
    let size = corpus + checkpoint * 5 / 2 + (64 << 10);
    let train = "\"$triptych\" train tiny.toml --out disk/run --quiet";
    let script = format!(
        "mount -t tmpfs -o size={size} small disk || exit 99
         {train}; echo \"status $?\"
         \"$triptych\" checkpoints disk/run || exit 98
         mount -o remount,size=64m disk || exit 97
         {train} || exit 96
         cp -r disk/run kept"
    );
    let output = desk.shell(launcher, &script);
    let message = stderr(&output);
    assert!(output.status.success(), "{message}");
    assert!(stdout(&output).starts_with("status 1\n"), "{}", stdout(&output));
    assert!(message.starts_with("error: cannot write disk/run/checkpoints/step-0000"), "{message}");
    assert!(message.contains("No space left on device"), "{message}");
    let hint = "\n  hint: free some space and run the same command again: it goes on from step ";
    assert!(message.contains(hint), "{message}");
    assert_same_end(&good, &desk.path("kept"));
}

/// Needs to mount, since root may write into any other folder.
#[test]
#[cfg(target_os = "linux")]
fn a_run_on_a_read_only_disk_is_used_and_not_written() {
    let Some(launcher) = mounting_launcher() else {
        eprintln!("not run: this machine lets nobody mount");
        return;
    };
    let desk = Desk::new();
    desk.trained("run");
    let script = "mount --bind run run && mount -o remount,ro,bind run || exit 99
        \"$triptych\" search run 'red heart' --quiet || exit 98
        \"$triptych\" checkpoints run || exit 97
        \"$triptych\" evaluate run --quiet; echo \"status $?\"";
    let output = desk.shell(launcher, script);
    let message = stderr(&output);
    assert!(output.status.success(), "{message}");
    assert!(stdout(&output).ends_with("status 1\n"), "{}", stdout(&output));
    assert!(message.starts_with("error: cannot write run/"), "{message}");
    assert!(message.contains("Read-only file system"), "{message}");
    assert!(message.contains("\n  hint: the folder is read-only for this user"), "{message}");
}
