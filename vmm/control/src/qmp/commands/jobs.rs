//! Background jobs.

use crate::context::Context;
use crate::jobs::{JobStatus, JobType};
use crate::qapi::Empty;
use crate::qmp::command::Answer;
use std::sync::Arc;

commands! {
    "query-jobs" query_jobs;
    "job-dismiss" job_dismiss;
    "job-cancel" job_cancel;
    "job-complete" job_complete;
    "job-finalize" job_finalize;
    "job-pause" job_pause;
    "job-resume" job_resume;
}

qapi_struct! {
    /// A job.
    JobInfo {
        /// Its id.
        id: String,
        /// What it does.
        r#type = "type": JobType,
        /// Where it is in its life.
        status: JobStatus,
        /// How far it has come...
        current_progress: i64,
        /// ... of how much.
        total_progress: i64,
        /// Why it failed.
        error: Option<String>,
    }
    /// Arguments of the commands about one job.
    JobId {
        /// The job.
        id: String,
    }
}

fn query_jobs(context: &Arc<Context>, _: Empty) -> Answer<Vec<JobInfo>> {
    let info = |job: crate::jobs::Job| JobInfo {
        id: job.id.to_string(),
        r#type: job.kind,
        current_progress: i64::from(!matches!(job.status, JobStatus::Created | JobStatus::Running)),
        total_progress: 1,
        status: job.status,
        error: job.error,
    };
    Ok(context.jobs.list().into_iter().map(info).collect())
}

fn job_dismiss(context: &Arc<Context>, args: JobId) -> Answer<Empty> {
    context.jobs.dismiss(context, &args.id)?;
    Ok(Empty {})
}

/// The jobs that there are come to their end by themselves, and can not be held up.
fn refuse(context: &Arc<Context>, args: &JobId, verb: &str) -> Answer<Empty> {
    context.jobs.accepts(&args.id, verb, |_| false).map(|_| Empty {})
}

fn job_cancel(context: &Arc<Context>, args: JobId) -> Answer<Empty> {
    refuse(context, &args, "cancel")
}

fn job_complete(context: &Arc<Context>, args: JobId) -> Answer<Empty> {
    refuse(context, &args, "complete")
}

fn job_finalize(context: &Arc<Context>, args: JobId) -> Answer<Empty> {
    refuse(context, &args, "finalize")
}

fn job_pause(context: &Arc<Context>, args: JobId) -> Answer<Empty> {
    refuse(context, &args, "pause")
}

fn job_resume(context: &Arc<Context>, args: JobId) -> Answer<Empty> {
    refuse(context, &args, "resume")
}
