//! A network of a test's own: a namespace with loopback alone, in which programs listen
//! on the ports that they are known by, beside all other tests.

use std::process::Command;
use std::sync::mpsc::{Sender, channel};
use std::thread::JoinHandle;

use nix::sched::{CloneFlags, unshare};

use crate::programs::installed;

type Work = Box<dyn FnOnce() + Send>;

/// A network namespace. It lasts as long as this and what was started in it. Needs root.
#[derive(Debug)]
pub struct Network {
    work: Option<Sender<Work>>,
    thread: Option<JoinHandle<()>>,
}

impl Network {
    /// Makes one.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[must_use]
    pub fn new() -> Self {
        let (work, taken) = channel::<Work>();
        // A namespace belongs to a thread; programs and threads that it starts inherit it.
        let thread = std::thread::spawn(move || {
            unshare(CloneFlags::CLONE_NEWNET).expect("root may have a network of its own");
            let up = Command::new(installed("ip")).args(["link", "set", "lo", "up"]).status();
            assert!(up.expect("ip runs").success(), "loopback goes up");
            taken.into_iter().for_each(|work| work());
        });
        Self { work: Some(work), thread: Some(thread) }
    }

    /// Does something inside.
    ///
    /// # Panics
    /// When that panics.
    pub fn inside<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let (done, result) = channel();
        let work = Box::new(move || done.send(work()).expect("somebody waits for it"));
        self.work.as_ref().expect("it lasts").send(work).expect("its thread takes work");
        result.recv().expect("what is done inside does not panic")
    }
}

impl Default for Network {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        drop(self.work.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
