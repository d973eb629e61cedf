//! Saving the machine, and putting it back: jobs.

use crate::context::{Context, SnapshotRequest};
use crate::jobs::{JobType, Jobs};
use crate::qapi::Empty;
use crate::qmp::command::Answer;
use std::sync::Arc;

commands! {
    "snapshot-save" snapshot_save;
    "snapshot-load" snapshot_load;
    "snapshot-delete" snapshot_delete;
}

qapi_struct! {
    /// Arguments of `snapshot-save` and `snapshot-load`.
    SnapshotJob {
        /// The id of the job.
        job_id: String,
        /// The name of the snapshot.
        tag: String,
        /// The node that holds the machine's state.
        vmstate: String,
        /// The nodes that are saved or put back.
        devices: Vec<String>,
    }
    /// Arguments of `snapshot-delete`.
    SnapshotDelete {
        /// The id of the job.
        job_id: String,
        /// The name of the snapshot.
        tag: String,
        /// The nodes that it is removed from.
        devices: Vec<String>,
    }
}

fn request(args: SnapshotJob) -> (String, SnapshotRequest) {
    let SnapshotJob { job_id, tag, vmstate, devices } = args;
    (job_id, SnapshotRequest { tag, state: Some(vmstate), disks: Some(devices) })
}

fn snapshot_save(context: &Arc<Context>, args: SnapshotJob) -> Answer<Empty> {
    let (job, request) = request(args);
    let work = |context: &Context| context.host.save_snapshot(request, false);
    Jobs::start(context, &job, JobType::SnapshotSave, work)?;
    Ok(Empty {})
}

fn snapshot_load(context: &Arc<Context>, args: SnapshotJob) -> Answer<Empty> {
    let (job, request) = request(args);
    Jobs::start(context, &job, JobType::SnapshotLoad, |context| context.host.load_snapshot(request))?;
    Ok(Empty {})
}

fn snapshot_delete(context: &Arc<Context>, args: SnapshotDelete) -> Answer<Empty> {
    let request = SnapshotRequest { tag: args.tag, state: None, disks: Some(args.devices) };
    let work = |context: &Context| context.host.delete_snapshot(request);
    Jobs::start(context, &args.job_id, JobType::SnapshotDelete, work)?;
    Ok(Empty {})
}
