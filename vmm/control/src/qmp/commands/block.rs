//! Disks and the block graph.

use crate::context::{self, Context, DiskCounts, DiskInfo, Part};
use crate::qapi::{Empty, Open};
use crate::qmp::command::Answer;
use serde_json::Value;
use std::sync::Arc;

commands! {
    "query-block" query_block;
    "query-blockstats" query_blockstats;
    "query-named-block-nodes" query_named_block_nodes;
    "query-block-jobs" nothing;
    "blockdev-add" blockdev_add;
    "blockdev-del" blockdev_del;
}

qapi_struct! {
    /// A snapshot in an image.
    SnapshotInfo {
        /// Its number.
        id: String,
        /// Its name.
        name: String,
        /// Bytes of the machine's state.
        vm_state_size: u64,
        /// When it was made: seconds since 1970.
        date_sec: u64,
        /// And nanoseconds.
        date_nsec: u64,
        /// Machine time then: seconds.
        vm_clock_sec: u64,
        /// And nanoseconds.
        vm_clock_nsec: u64,
    }
    /// An image.
    ImageInfo {
        /// Its file.
        filename: String,
        /// Its format.
        format: String,
        /// Bytes that the guest sees.
        virtual_size: u64,
        /// Its snapshots, if it has any.
        snapshots: Option<Vec<SnapshotInfo>>,
    }
    /// What is in a drive.
    BlockDeviceInfo {
        /// The file.
        file: String,
        /// The name of the node.
        node_name: Option<String>,
        /// The guest can not write.
        ro: bool,
        /// The format.
        drv: String,
        /// Images below this one.
        backing_file_depth = "backing_file_depth": i64,
        /// It is encrypted.
        encrypted: bool,
        /// Writing zeroes is found out.
        detect_zeroes = "detect_zeroes": String,
        /// Bytes a second, at most; 0 for any number.
        bps: i64,
        /// The same for reading.
        bps_rd = "bps_rd": i64,
        /// The same for writing.
        bps_wr = "bps_wr": i64,
        /// Operations a second, at most.
        iops: i64,
        /// The same for reading.
        iops_rd = "iops_rd": i64,
        /// The same for writing.
        iops_wr = "iops_wr": i64,
        /// The image.
        image: ImageInfo,
        /// Writes are kept from here on.
        write_threshold = "write_threshold": i64,
    }
    /// A drive.
    BlockInfo {
        /// Its id.
        device: String,
        /// The device that has it.
        qdev: Option<String>,
        /// What kind it is.
        r#type = "type": String,
        /// It can be taken out.
        removable: bool,
        /// It is locked.
        locked: bool,
        /// What is in it.
        inserted: Option<BlockDeviceInfo>,
        /// How it goes.
        io_status: Option<String>,
    }
    /// Arguments of `query-blockstats`.
    QueryBlockstats {
        /// Of all nodes.
        query_nodes: Option<bool>,
    }
    /// Arguments of `query-named-block-nodes`.
    QueryNamedBlockNodes {
        /// Without what is below.
        flat: Option<bool>,
    }
    /// Arguments of `blockdev-add`, beside those of the driver.
    BlockdevAdd {
        /// What it does.
        driver: String,
        /// Its name.
        node_name: Option<String>,
        /// The guest can not write.
        read_only: Option<bool>,
        /// Fall back to reading where the image can not be written.
        auto_read_only: Option<bool>,
    }
    /// Arguments of `blockdev-del`.
    BlockdevDel {
        /// The node.
        node_name: String,
    }
    /// The statistics of a drive.
    BlockStats {
        /// Its id.
        device: Option<String>,
        /// The name of its node.
        node_name: Option<String>,
        /// The device that has it.
        qdev: Option<String>,
        /// What was done with it.
        stats: BlockDeviceStats,
    }
    /// What was done with a drive.
    BlockDeviceStats {
        /// Bytes that were read.
        rd_bytes = "rd_bytes": u64,
        /// Bytes that were written.
        wr_bytes = "wr_bytes": u64,
        /// Bytes that were given back.
        unmap_bytes = "unmap_bytes": u64,
        /// Reads.
        rd_operations = "rd_operations": u64,
        /// Writes.
        wr_operations = "wr_operations": u64,
        /// Flushes.
        flush_operations = "flush_operations": u64,
        /// Discards.
        unmap_operations = "unmap_operations": u64,
        /// Nanoseconds of reads.
        rd_total_time_ns = "rd_total_time_ns": u64,
        /// Nanoseconds of writes.
        wr_total_time_ns = "wr_total_time_ns": u64,
        /// Nanoseconds of flushes.
        flush_total_time_ns = "flush_total_time_ns": u64,
        /// Nanoseconds of discards.
        unmap_total_time_ns = "unmap_total_time_ns": u64,
        /// The end of the highest write.
        wr_highest_offset = "wr_highest_offset": u64,
        /// Requests that became one with others: none, each is carried out as it comes.
        rd_merged = "rd_merged": u64,
        /// The same of writes.
        wr_merged = "wr_merged": u64,
        /// The same of discards.
        unmap_merged = "unmap_merged": u64,
        /// Reads that failed.
        failed_rd_operations = "failed_rd_operations": u64,
        /// Writes that failed.
        failed_wr_operations = "failed_wr_operations": u64,
        /// Flushes that failed.
        failed_flush_operations = "failed_flush_operations": u64,
        /// Discards that failed.
        failed_unmap_operations = "failed_unmap_operations": u64,
        /// Requests that no disk can carry out are counted here: they never come so far.
        invalid_rd_operations = "invalid_rd_operations": u64,
        /// The same of writes.
        invalid_wr_operations = "invalid_wr_operations": u64,
        /// The same of flushes.
        invalid_flush_operations = "invalid_flush_operations": u64,
        /// The same of discards.
        invalid_unmap_operations = "invalid_unmap_operations": u64,
        /// Invalid requests are in the times.
        account_invalid = "account_invalid": bool,
        /// Failed requests are in the times.
        account_failed = "account_failed": bool,
        /// Figures of intervals.
        timed_stats = "timed_stats": Vec<Value>,
    }
}

fn snapshot(info: &context::SnapshotInfo) -> SnapshotInfo {
    const NS: u64 = 1_000_000_000;
    SnapshotInfo {
        id: info.id.clone(),
        name: info.tag.clone(),
        vm_state_size: info.state_size,
        date_sec: info.date / NS,
        date_nsec: info.date % NS,
        vm_clock_sec: info.clock / NS,
        vm_clock_nsec: info.clock % NS,
    }
}

fn inserted(disk: &DiskInfo) -> BlockDeviceInfo {
    BlockDeviceInfo {
        file: disk.file.clone(),
        node_name: Some(disk.node.clone()),
        ro: disk.read_only,
        drv: disk.driver.clone(),
        backing_file_depth: 0,
        encrypted: false,
        detect_zeroes: "off".into(),
        bps: 0,
        bps_rd: 0,
        bps_wr: 0,
        iops: 0,
        iops_rd: 0,
        iops_wr: 0,
        image: ImageInfo {
            filename: disk.file.clone(),
            format: disk.driver.clone(),
            virtual_size: disk.size,
            snapshots: (!disk.snapshots.is_empty()).then(|| disk.snapshots.iter().map(snapshot).collect()),
        },
        write_threshold: 0,
    }
}

fn query_block(context: &Arc<Context>, _: Empty) -> Answer<Vec<BlockInfo>> {
    let info = |disk: DiskInfo| BlockInfo {
        inserted: Some(inserted(&disk)),
        io_status: disk.qdev.as_ref().map(|_| "ok".into()),
        device: disk.device,
        qdev: disk.qdev,
        r#type: "unknown".into(),
        removable: false,
        locked: false,
    };
    Ok(context.host.disks().into_iter().filter(DiskInfo::is_drive).map(info).collect())
}

fn query_blockstats(context: &Arc<Context>, _: QueryBlockstats) -> Answer<Vec<BlockStats>> {
    let info = |disk: DiskInfo| BlockStats {
        device: Some(disk.device),
        node_name: Some(disk.node),
        qdev: disk.qdev,
        stats: stats(&disk.counts),
    };
    Ok(context.host.disks().into_iter().map(info).collect())
}

fn stats(counts: &DiskCounts) -> BlockDeviceStats {
    let DiskCounts { reads, writes, flushes, discards, highest } = *counts;
    BlockDeviceStats {
        rd_bytes: reads.bytes,
        wr_bytes: writes.bytes,
        unmap_bytes: discards.bytes,
        rd_operations: reads.done,
        wr_operations: writes.done,
        flush_operations: flushes.done,
        unmap_operations: discards.done,
        rd_total_time_ns: reads.ns,
        wr_total_time_ns: writes.ns,
        flush_total_time_ns: flushes.ns,
        unmap_total_time_ns: discards.ns,
        wr_highest_offset: highest,
        rd_merged: 0,
        wr_merged: 0,
        unmap_merged: 0,
        failed_rd_operations: reads.failed,
        failed_wr_operations: writes.failed,
        failed_flush_operations: flushes.failed,
        failed_unmap_operations: discards.failed,
        invalid_rd_operations: 0,
        invalid_wr_operations: 0,
        invalid_flush_operations: 0,
        invalid_unmap_operations: 0,
        account_invalid: false,
        account_failed: true,
        timed_stats: Vec::new(),
    }
}

fn query_named_block_nodes(context: &Arc<Context>, _: QueryNamedBlockNodes) -> Answer<Vec<BlockDeviceInfo>> {
    Ok(context.host.disks().iter().map(inserted).collect())
}

fn blockdev_add(context: &Arc<Context>, node: Open<BlockdevAdd>) -> Answer<Empty> {
    context.host.add(Part::BlockNode, &node.members.to_string())?;
    Ok(Empty {})
}

fn blockdev_del(context: &Arc<Context>, which: BlockdevDel) -> Answer<Empty> {
    context.host.remove(Part::BlockNode, &which.node_name)?;
    Ok(Empty {})
}

/// Nothing is done to disks behind the guest's back.
fn nothing(_: &Arc<Context>, _: Empty) -> Answer<Vec<Value>> {
    Ok(Vec::new())
}
