//! What comes to a machine from outside while its vCPUs run by turns: it waits until the present turn is over.

use base::CpuLines;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};

/// Takes one piece of input, on the thread of the vCPUs.
pub type Deliver = Box<dyn Fn(&[u8]) + Send + Sync>;

/// One place that input comes from.
struct Source {
    /// What people know it by.
    name: String,
    deliver: Deliver,
}

/// Number of a source: its place in the order in which they were added, which is the same in each run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceId(usize);

/// Everything that comes from outside.
#[derive(Default)]
pub struct Inputs {
    sources: Mutex<Vec<Arc<Source>>>,
    waiting: Mutex<VecDeque<(SourceId, Vec<u8>)>>,
    /// Who is woken when something comes.
    wakes: OnceLock<Arc<CpuLines>>,
}

impl Inputs {
    /// Adds a source, called `name`, whose input `deliver` takes.
    pub fn source(&self, name: &str, deliver: Deliver) -> SourceId {
        let mut sources = self.sources.lock();
        sources.push(Arc::new(Source { name: name.into(), deliver }));
        SourceId(sources.len() - 1)
    }

    /// Has `lines` hear of input: once, before the machine runs.
    pub fn wake(&self, lines: &Arc<CpuLines>) {
        // A second call would name the same vCPU.
        let _ = self.wakes.set(lines.clone());
    }

    /// Something came from `source`; from any thread.
    pub fn push(&self, source: SourceId, input: Vec<u8>) {
        self.waiting.lock().push_back((source, input));
        if let Some(lines) = self.wakes.get() {
            lines.kick();
        }
    }

    /// Hands on what has come; at this count, between two turns.
    pub(crate) fn deliver(&self, count: u64) {
        while let Some((source, input)) = self.next() {
            let source = self.sources.lock()[source.0].clone();
            tracing::trace!(target: "icount", "{} bytes from {} at {count}", input.len(), source.name);
            (source.deliver)(&input);
        }
    }

    fn next(&self) -> Option<(SourceId, Vec<u8>)> {
        self.waiting.lock().pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_waits_for_the_end_of_a_turn_and_keeps_its_order() {
        let inputs = Inputs::default();
        let lines = Arc::new(CpuLines::default());
        inputs.wake(&lines);
        type Got = Vec<(u8, Vec<u8>)>;
        let got: Arc<Mutex<Got>> = Arc::default();
        let source = |n: u8| {
            let got = got.clone();
            inputs.source("x", Box::new(move |bytes| got.lock().push((n, bytes.to_vec()))))
        };
        let (one, two) = (source(1), source(2));
        inputs.push(two, vec![1]);
        inputs.push(one, vec![2, 3]);
        inputs.push(two, vec![]);
        assert!(got.lock().is_empty() && lines.take_request());
        inputs.deliver(0);
        assert_eq!(*got.lock(), vec![(2, vec![1]), (1, vec![2, 3]), (2, vec![])]);
        inputs.deliver(0);
        assert_eq!(got.lock().len(), 3);
    }
}
