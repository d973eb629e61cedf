//! Migration, which there is none of yet: what clients ask and set before they need it.

use crate::context::Context;
use crate::qapi::Empty;
use crate::qmp::Error;
use crate::qmp::command::Answer;
use std::sync::Arc;

commands! {
    "query-migrate" query_migrate;
    "query-migrate-capabilities" query_migrate_capabilities;
    "migrate-set-capabilities" migrate_set_capabilities;
    "query-dirty-rate" query_dirty_rate;
}

qapi_struct! {
    /// How a migration goes.
    MigrationInfo {
        /// Where it is.
        status: Option<String>,
    }
    /// Whether something is done in a migration.
    MigrationCapabilityStatus {
        /// What.
        capability: String,
        /// It is.
        state: bool,
    }
    /// Arguments of `migrate-set-capabilities`.
    SetCapabilities {
        /// Those to set.
        capabilities: Vec<MigrationCapabilityStatus>,
    }
    /// Arguments of `query-dirty-rate`.
    QueryDirtyRate {
        /// Seconds or milliseconds.
        calc_time_unit: Option<String>,
    }
    /// How fast memory changes.
    DirtyRateInfo {
        /// Whether it is measured.
        status: String,
        /// When that began.
        start_time: i64,
        /// How long it takes.
        calc_time: i64,
        /// Pages looked at in each GiB.
        sample_pages: i64,
        /// How.
        mode: String,
    }
}

fn query_migrate(_: &Arc<Context>, _: Empty) -> Answer<MigrationInfo> {
    Ok(MigrationInfo { status: None })
}

fn query_migrate_capabilities(_: &Arc<Context>, _: Empty) -> Answer<Vec<MigrationCapabilityStatus>> {
    Ok(vec![MigrationCapabilityStatus { capability: "events".into(), state: false }])
}

fn migrate_set_capabilities(_: &Arc<Context>, wanted: SetCapabilities) -> Answer<Empty> {
    match wanted.capabilities.iter().find(|wanted| wanted.state && wanted.capability != "events") {
        Some(missing) => Err(Error::new(format!("the capability '{}' is not available", missing.capability))),
        None => Ok(Empty {}),
    }
}

fn query_dirty_rate(_: &Arc<Context>, _: QueryDirtyRate) -> Answer<DirtyRateInfo> {
    Ok(DirtyRateInfo {
        status: "unstarted".into(),
        start_time: 0,
        calc_time: 0,
        sample_pages: 512,
        mode: "page-sampling".into(),
    })
}
