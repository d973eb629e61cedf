//! Saving the machine, and putting it back: jobs; and checkpoints, which are kept in memory and put back at once. Those are Mimic's own.

use crate::context::{self, Context, SnapshotRequest, StatePlace};
use crate::jobs::{JobType, Jobs};
use crate::qapi::Empty;
use crate::qmp::Error;
use crate::qmp::command::Answer;
use std::sync::Arc;

commands! {
    "snapshot-save" snapshot_save;
    "snapshot-load" snapshot_load;
    "snapshot-delete" snapshot_delete;
    "checkpoint-save" checkpoint_save;
    "checkpoint-load" checkpoint_load;
    "checkpoint-delete" checkpoint_delete;
    "query-checkpoints" query_checkpoints;
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

qapi_struct! {
    /// Arguments of the commands about one checkpoint.
    Checkpoint {
        /// Its name.
        tag: String,
    }
    /// A checkpoint.
    CheckpointInfo {
        /// Its name.
        tag: String,
        /// Machine time at that moment, in nanoseconds.
        clock: u64,
    }
}

fn request(args: SnapshotJob) -> (String, SnapshotRequest) {
    let SnapshotJob { job_id, tag, vmstate, devices } = args;
    (job_id, SnapshotRequest { tag, state: StatePlace::Disk(vmstate), disks: Some(devices) })
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
    let request = SnapshotRequest { tag: args.tag, disks: Some(args.devices), ..SnapshotRequest::default() };
    let work = |context: &Context| context.host.delete_snapshot(request);
    Jobs::start(context, &args.job_id, JobType::SnapshotDelete, work)?;
    Ok(Empty {})
}

fn in_memory(args: Checkpoint) -> SnapshotRequest {
    SnapshotRequest { tag: args.tag, state: StatePlace::Memory, disks: None }
}

fn checkpoint_save(context: &Arc<Context>, args: Checkpoint) -> Answer<Empty> {
    context.host.save_snapshot(in_memory(args), true).map_err(Error::new)?;
    Ok(Empty {})
}

fn checkpoint_load(context: &Arc<Context>, args: Checkpoint) -> Answer<Empty> {
    context.host.load_snapshot(in_memory(args)).map_err(Error::new)?;
    Ok(Empty {})
}

fn checkpoint_delete(context: &Arc<Context>, args: Checkpoint) -> Answer<Empty> {
    context.host.delete_snapshot(in_memory(args)).map_err(Error::new)?;
    Ok(Empty {})
}

fn query_checkpoints(context: &Arc<Context>, _: Empty) -> Answer<Vec<CheckpointInfo>> {
    let info = |info: context::CheckpointInfo| CheckpointInfo { tag: info.tag, clock: info.clock };
    Ok(context.host.checkpoints().into_iter().map(info).collect())
}
