//! What the figures were measured on.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use domain::Time;
use serde::Serialize;

use crate::cpu;

/// Hardware, system and source of a run.
#[derive(Debug, Serialize)]
pub struct Machine {
    /// When the run began.
    pub date: Time,
    /// The source's commit.
    pub commit: String,
    /// Whether files of the source differed from the commit.
    pub changed: bool,
    /// The compiler.
    pub rustc: &'static str,
    /// Model of the processor.
    pub cpu: String,
    /// Processors this process may use.
    pub cores: usize,
    /// Main memory in MiB.
    pub memory_mib: u64,
    /// Kernel release.
    pub kernel: String,
    /// Type of the filesystem that holds the data folder.
    pub filesystem: String,
    /// Median time to append 4 KiB to a file there and make it durable, in microseconds.
    pub fsync_us: u128,
    /// The same that one in a hundred exceeds.
    pub fsync_p99_us: u128,
}

const UNKNOWN: &str = "unknown";

impl Machine {
    /// Looks at this machine, and measures its disk under `folder`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn look(folder: &Path, date: Time) -> std::io::Result<Self> {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease");
        let syncs = syncs(folder)?;
        Ok(Self {
            date,
            commit: git(&["rev-parse", "HEAD"]).unwrap_or_else(|| UNKNOWN.to_owned()),
            changed: git(&["status", "--porcelain", "--untracked-files=no"])
                .is_none_or(|changes| !changes.is_empty()),
            rustc: env!("BENCH_RUSTC"),
            cpu: value(&cpuinfo, "model name").unwrap_or(UNKNOWN).to_owned(),
            cores: cpu::cores(),
            memory_mib: value(&meminfo, "MemTotal").and_then(kib).unwrap_or(0) / 1024,
            kernel: kernel.map_or_else(|_| UNKNOWN.to_owned(), |text| text.trim().to_owned()),
            filesystem: filesystem(folder).unwrap_or_else(|| UNKNOWN.to_owned()),
            fsync_us: syncs[syncs.len() / 2].as_micros(),
            fsync_p99_us: syncs[syncs.len() * 99 / 100].as_micros(),
        })
    }

    /// Whether making data durable means anything on this filesystem.
    pub fn durable(&self) -> bool {
        !matches!(self.filesystem.as_str(), "tmpfs" | "ramfs")
    }
}

/// `name : value` of the kernel's tables.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        (found.trim() == name).then_some(value.trim())
    })
}

fn kib(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?.trim().parse().ok()
}

/// How long it takes to append 4 KiB durably, in order of length.
fn syncs(folder: &Path) -> std::io::Result<Vec<Duration>> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut all = Vec::new();
    for _ in 0..300 {
        let start = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        all.push(start.elapsed());
    }
    all.sort_unstable();
    Ok(all)
}

/// Type of the filesystem with the longest mount point above `folder`.
fn filesystem(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    let types = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (fields.next()?, fields.next()?);
        folder.starts_with(point).then_some((point.len(), kind))
    });
    // The last one mounted on a point hides those below.
    types.max_by_key(|(length, _)| *length).map(|(_, kind)| kind.to_owned())
}

fn git(args: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    let output = git.current_dir(env!("CARGO_MANIFEST_DIR")).args(args).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_of_the_kernel_gives_its_values() {
        let text = "processor\t: 0\nmodel name\t: AMD EPYC\nMemTotal:   24684084 kB\n";
        assert_eq!(value(text, "model name"), Some("AMD EPYC"));
        assert_eq!(value(text, "MemTotal").and_then(kib), Some(24_684_084));
        assert_eq!(value(text, "model"), None);
    }

    #[test]
    fn the_filesystem_of_a_folder_is_that_of_its_nearest_mount() {
        assert_eq!(filesystem(Path::new("/proc")).as_deref(), Some("proc"));
        assert_eq!(filesystem(Path::new("/no/such/folder")), None);
    }
}
