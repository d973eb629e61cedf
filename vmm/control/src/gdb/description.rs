//! Target descriptions: XML files made from the register table.

use engine::{Feature, Register};
use std::fmt::Write;

const HEAD: &str = r#"<?xml version="1.0"?>"#;

/// The file `name` of the description of a target of `architecture` with `features`.
pub fn file(architecture: &str, features: &[Feature], name: &str) -> Option<String> {
    if name == "target.xml" {
        return Some(target(architecture, features));
    }
    features.iter().find(|feature| feature.file == name).map(describe)
}

fn target(architecture: &str, features: &[Feature]) -> String {
    let include = |feature: &Feature| format!(r#"<xi:include href="{}"/>"#, feature.file);
    let includes: String = features.iter().map(include).collect();
    format!(
        r#"{HEAD}<!DOCTYPE target SYSTEM "gdb-target.dtd"><target><architecture>{architecture}</architecture>{includes}</target>"#
    )
}

fn describe(feature: &Feature) -> String {
    let mut text = format!(
        r#"{HEAD}<!DOCTYPE feature SYSTEM "gdb-target.dtd"><feature name="{}">{}"#,
        feature.name, feature.types
    );
    for register in &feature.registers {
        let Register { name, number, bits, kind, group } = register;
        write!(text, r#"<reg name="{name}" bitsize="{bits}""#).expect("a string takes everything");
        if feature.numbered {
            write!(text, r#" regnum="{number}""#).expect("a string takes everything");
        }
        for (what, value) in [("type", kind), ("group", group)] {
            if !value.is_empty() {
                write!(text, r#" {what}="{value}""#).expect("a string takes everything");
            }
        }
        text += "/>";
    }
    text + "</feature>"
}
