//! CPU models.

use crate::context::{Context, CpuModelInfo};
use crate::qapi::Empty;
use crate::qmp::Error;
use crate::qmp::command::Answer;
use serde_json::Value;
use std::sync::Arc;

commands! {
    "query-cpu-definitions" query_cpu_definitions;
    "query-cpu-model-expansion" query_cpu_model_expansion;
}

qapi_enum! {
    /// How a model is described.
    CpuModelExpansionType {
        /// By a model that stays what it is, and what differs.
        Static,
        /// By each of its properties.
        Full,
    }
}

qapi_struct! {
    /// A CPU model that there is.
    CpuDefinitionInfo {
        /// Its name.
        name: String,
        /// Its type.
        typename: String,
        /// It is the same on every host.
        r#static = "static": bool,
        /// It may go away.
        deprecated: bool,
    }
    /// A CPU model, and what differs from it.
    CpuModel {
        /// Its name.
        name: String,
        /// Properties.
        props: Option<Value>,
    }
    /// Arguments of `query-cpu-model-expansion`.
    CpuModelExpansion {
        /// How it is to be described.
        r#type = "type": CpuModelExpansionType,
        /// The model.
        model: CpuModel,
    }
    /// A model that has been described.
    CpuModelExpansionInfo {
        /// It.
        model: CpuModel,
    }
}

fn query_cpu_definitions(context: &Arc<Context>, _: Empty) -> Answer<Vec<CpuDefinitionInfo>> {
    let info = |model: CpuModelInfo| CpuDefinitionInfo {
        name: model.name.into(),
        typename: model.type_name,
        r#static: model.settled,
        deprecated: false,
    };
    Ok(context.host.cpu_models().into_iter().map(info).collect())
}

/// As QEMU has it for these guests, each property can be told, but there is no model to begin with.
fn query_cpu_model_expansion(
    context: &Arc<Context>,
    asked: CpuModelExpansion,
) -> Answer<CpuModelExpansionInfo> {
    if asked.r#type == CpuModelExpansionType::Static {
        return Err(Error::new("The requested expansion type is not supported"));
    }
    let expects = |at: &str, what: &str| {
        Error::new(format!("Invalid parameter type for 'model.props{at}', expected: {what}"))
    };
    let mut switches = Vec::new();
    if let Some(props) = asked.model.props {
        for (name, value) in props.as_object().ok_or_else(|| expects("", "object"))? {
            let on = value.as_bool().ok_or_else(|| expects(&format!(".{name}"), "boolean"))?;
            switches.push((name.clone(), on));
        }
    }
    let name = asked.model.name;
    let all = context.host.cpu_switches(&name, &switches).map_err(Error::new)?;
    let props = Some(all.into_iter().map(|(name, on)| (name, Value::Bool(on))).collect());
    Ok(CpuModelExpansionInfo { model: CpuModel { name, props } })
}
