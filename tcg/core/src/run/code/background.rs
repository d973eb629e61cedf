//! Making translations in the background: a thread makes what vCPUs ask for, while these go on.
//!
//! Nobody waits for it: if much is to be made already, or code is wanted once more before its translation is there, the vCPU makes
//! it itself. So a host whose cores are busy costs the gain, and what is made twice.

use super::CodeCache;
use super::make::Entered;
use super::table::Key;
use super::view::{At, PagesView};
use crate::guest::Guest;
use parking_lot::{Condvar, Mutex};
use rustc_hash::FxHashSet;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

/// Most translations that wait to be made.
const MOST_WAITING: usize = 64;
/// How long the thread rests before it looks for more, at first; each time without work it rests twice as long.
const SHORTEST_REST: Duration = Duration::from_micros(20);
/// Behind a rest of this length it sleeps until a vCPU wakes it, which costs that as much as making a small translation.
const LONGEST_REST: Duration = Duration::from_millis(1);

/// A translation that is to be made.
pub struct Task {
    /// Of the code here.
    pub at: At,
    /// Other pages that it may be in: addresses, ascending, and physical ones. They are watched.
    pub beside: Vec<(u64, u64)>,
    /// Of the cache before the page of the code was watched, and when the others were.
    pub epoch: u64,
    /// The exit whose count made a loop hot, if it is to be one of a loop.
    pub site: Option<u32>,
}

/// The thread, and what it is to do.
#[derive(Default)]
pub struct Background {
    queue: Mutex<Queue>,
    more: Condvar,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    /// What waits, what is being made, and what can only be made by a vCPU.
    keys: FxHashSet<Key>,
    has_thread: bool,
    /// The thread sleeps.
    sleeps: bool,
    /// The cache is gone.
    closed: bool,
}

impl Background {
    /// Has the thread end.
    pub fn close(&self) {
        self.queue.lock().closed = true;
        self.more.notify_one();
    }

    /// The next task; `None` if there will be none.
    fn next(&self) -> Option<Task> {
        let mut queue = self.queue.lock();
        let mut rest = SHORTEST_REST;
        loop {
            if queue.closed {
                return None;
            }
            if let Some(task) = queue.tasks.pop_front() {
                return Some(task);
            }
            if rest < LONGEST_REST {
                drop(queue);
                thread::sleep(rest);
                queue = self.queue.lock();
                rest *= 2;
            } else {
                queue.sleeps = true;
                self.more.wait(&mut queue);
                queue.sleeps = false;
                rest = SHORTEST_REST;
            }
        }
    }

    /// The thread: makes translations for `cache`, while it is there.
    fn work<G: Guest>(&self, cache: &Weak<CodeCache>) {
        while let Some(task) = self.next() {
            let Some(cache) = cache.upgrade() else { return };
            let Task { at, ref beside, .. } = task;
            let view = &mut PagesView { space: &cache.space, at, beside };
            if let Ok(entered) = cache.carry_out::<G>(view, &task) {
                cache.state.lock().stats.in_background += u64::from(entered == Entered::Yes);
                self.queue.lock().keys.remove(&cache.key(at));
            }
        }
    }
}

impl CodeCache {
    /// Whether translations may be made in the background: nobody reads of them as they are made, or counts on when.
    fn background(&self) -> Option<&Arc<Background>> {
        self.background.as_ref().filter(|_| !self.is_stepped() && self.config.record.is_none())
    }

    /// Has `task` be done in the background. Gives it back if it is better done here.
    pub(super) fn hand_over<G: Guest>(self: &Arc<Self>, task: Task) -> Option<Task> {
        let Some(background) = self.background() else { return Some(task) };
        let mut queue = background.queue.lock();
        if queue.keys.remove(&self.key(task.at)) || queue.tasks.len() >= MOST_WAITING {
            return Some(task);
        }
        if !queue.has_thread {
            let (background, cache) = (background.clone(), Arc::downgrade(self));
            let thread = thread::Builder::new().name("translator".into());
            if thread.spawn(move || background.work::<G>(&cache)).is_err() {
                return Some(task);
            }
            queue.has_thread = true;
        }
        queue.keys.insert(self.key(task.at));
        queue.tasks.push_back(task);
        if queue.sleeps {
            background.more.notify_one();
        }
        None
    }
}
