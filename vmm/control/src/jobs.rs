//! Jobs: what a client starts and does not wait for. From: QEMU's documentation, "QEMU QMP Reference", Background jobs.
//!
//! A job runs on a thread of its own from the start to its end, and is then kept until a client dismisses it, so that its outcome can be
//! asked for.

use crate::context::Context;
use crate::qmp::Error;
use engine::Event;
use parking_lot::Mutex;
use std::sync::Arc;

qapi_enum! {
    /// Where a job is in its life.
    JobStatus {
        /// It was made.
        Created,
        /// It does its work.
        Running,
        /// Its work is done...
        Waiting,
        /// ... and what was done counts.
        Pending,
        /// It has failed.
        Aborting,
        /// It is over.
        Concluded,
        /// It is no more.
        Null,
    }
    /// What a job does.
    JobType {
        /// Puts the machine back.
        SnapshotLoad,
        /// Saves the machine.
        SnapshotSave,
        /// Forgets a snapshot.
        SnapshotDelete,
    }
}

impl JobStatus {
    fn name(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Running => "running",
            Self::Waiting => "waiting",
            Self::Pending => "pending",
            Self::Aborting => "aborting",
            Self::Concluded => "concluded",
            Self::Null => "null",
        }
    }
}

/// One job.
#[derive(Clone, Debug)]
pub struct Job {
    /// Its id.
    pub id: Arc<str>,
    /// What it does.
    pub kind: JobType,
    /// Where it is.
    pub status: JobStatus,
    /// Why it failed.
    pub error: Option<String>,
}

/// The jobs of a machine.
#[derive(Default)]
pub struct Jobs(Mutex<Vec<Job>>);

/// As QEMU has it: a letter, then letters, digits and these.
fn is_id(id: &str) -> bool {
    let rest = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    id.starts_with(|c: char| c.is_ascii_alphabetic()) && id.chars().all(rest)
}

impl Jobs {
    /// All jobs, in the order in which they were started.
    pub fn list(&self) -> Vec<Job> {
        self.0.lock().clone()
    }

    fn set(&self, context: &Context, id: &Arc<str>, status: JobStatus) {
        if let Some(job) = self.0.lock().iter_mut().find(|job| job.id == *id) {
            job.status = status;
        }
        context.power.tell(Event::Job { id: id.clone(), status: status.name() });
    }

    /// Starts a job that does `work`.
    pub fn start(
        context: &Arc<Context>,
        id: &str,
        kind: JobType,
        work: impl FnOnce(&Context) -> Result<(), String> + Send + 'static,
    ) -> Result<(), Error> {
        if !is_id(id) {
            return Err(Error::new(format!("Invalid job ID '{id}'")));
        }
        let jobs = &context.jobs;
        let id: Arc<str> = id.into();
        {
            let mut list = jobs.0.lock();
            if list.iter().any(|job| job.id == id) {
                return Err(Error::new(format!("Job ID '{id}' already in use")));
            }
            list.push(Job { id: id.clone(), kind, status: JobStatus::Created, error: None });
        }
        jobs.set(context, &id, JobStatus::Created);
        jobs.set(context, &id, JobStatus::Running);
        let (for_thread, name) = (context.clone(), id.clone());
        let started = std::thread::Builder::new().name("job".into()).spawn(move || {
            let outcome = work(&for_thread);
            for_thread.jobs.conclude(&for_thread, &name, outcome);
        });
        if let Err(fault) = started {
            jobs.conclude(context, &id, Err(format!("cannot start a thread for the job: {fault}")));
        }
        Ok(())
    }

    fn conclude(&self, context: &Context, id: &Arc<str>, outcome: Result<(), String>) {
        match outcome {
            Ok(()) => {
                self.set(context, id, JobStatus::Waiting);
                self.set(context, id, JobStatus::Pending);
            }
            Err(fault) => {
                if let Some(job) = self.0.lock().iter_mut().find(|job| job.id == *id) {
                    job.error = Some(fault);
                }
                self.set(context, id, JobStatus::Aborting);
            }
        }
        self.set(context, id, JobStatus::Concluded);
    }

    /// Forgets a job that is over.
    pub fn dismiss(&self, context: &Context, id: &str) -> Result<(), Error> {
        let job = self.accepts(id, "dismiss", |status| status == JobStatus::Concluded)?;
        self.0.lock().retain(|other| other.id != job.id);
        context.power.tell(Event::Job { id: job.id, status: JobStatus::Null.name() });
        Ok(())
    }

    /// The job `id`, if it is where `verb` can be said to it.
    pub fn accepts(&self, id: &str, verb: &str, can: impl Fn(JobStatus) -> bool) -> Result<Job, Error> {
        let list = self.0.lock();
        let job = list.iter().find(|job| *job.id == *id).ok_or_else(|| Error::new("Job not found"))?;
        if can(job.status) {
            return Ok(job.clone());
        }
        let state = job.status.name();
        Err(Error::new(format!("Job '{id}' in state '{state}' cannot accept command verb '{verb}'")))
    }
}
