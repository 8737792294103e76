//! How busy the machine is: how much time it gives to nobody.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use domain::Time;
use infra::clock::{Clock, SystemClock};
use parking_lot::Mutex;
use tokio::task::JoinHandle;

const BEAT_MS: u64 = 50;

/// Does a little at every beat and writes it to the disk, as a server does. What it is late by, a
/// server on the same machine cannot help being late by.
pub(crate) struct Machine {
    /// When a beat ended and by how many milliseconds it was late.
    beats: Arc<Mutex<Vec<(Time, u64)>>>,
    task: JoinHandle<()>,
}

impl Machine {
    /// Watches it, and the disk that `folder` is on.
    pub(crate) fn watch(folder: &Path) -> Self {
        let mut file = File::create(folder.join("beats")).unwrap();
        let beats = Arc::<Mutex<Vec<_>>>::default();
        let heard = beats.clone();
        let task = tokio::spawn(async move {
            let mut pulse = tokio::time::interval(Duration::from_millis(BEAT_MS));
            pulse.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            let mut last = SystemClock.now();
            loop {
                pulse.tick().await;
                let written = tokio::task::spawn_blocking(move || {
                    file.write_all(b"x").and_then(|()| file.sync_data()).unwrap();
                    file
                });
                file = written.await.unwrap();
                let now = SystemClock.now();
                heard.lock().push((now, now.ms_since(last).saturating_sub(BEAT_MS)));
                last = now;
            }
        });
        Self { beats, task }
    }

    /// Milliseconds that nobody was given between these two.
    pub(crate) fn lost_ms(&self, from: Time, to: Time) -> u64 {
        let beats = self.beats.lock();
        let within =
            beats.iter().filter(|(end, late)| from < *end && end.ms_since(to) < late + BEAT_MS);
        within.map(|(_, late)| late).sum()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.task.abort();
    }
}
