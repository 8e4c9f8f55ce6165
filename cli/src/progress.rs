//! Progress of a wait, on standard error: nothing for the first two seconds, then a
//! moving line on a terminal, and elsewhere a plain line every five seconds.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

const QUIET: Duration = Duration::from_secs(2);
const BETWEEN_LINES: Duration = Duration::from_secs(5);

/// Shows that something is waited for, until it is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    task: JoinHandle<()>,
}

impl Progress {
    /// Begins to wait for `what`.
    #[must_use]
    pub fn of(what: &str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        let task = tokio::spawn(show(bar.clone(), format!("waiting for {what}")));
        Self { bar, task }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.task.abort();
        self.bar.finish_and_clear();
    }
}

async fn show(bar: ProgressBar, what: String) {
    let started = Instant::now();
    tokio::time::sleep(QUIET).await;
    if std::io::stderr().is_terminal() {
        bar.set_style(
            ProgressStyle::with_template("{spinner} {msg} ({elapsed})")
                .unwrap_or_else(|_| ProgressStyle::default_spinner()),
        );
        bar.set_message(what);
        bar.set_draw_target(ProgressDrawTarget::stderr());
        bar.enable_steady_tick(Duration::from_millis(100));
        return;
    }
    loop {
        // Nobody to tell is no reason to stop waiting.
        let _ = writeln!(std::io::stderr(), "{what} ({} s)", started.elapsed().as_secs());
        tokio::time::sleep(BETWEEN_LINES).await;
    }
}
