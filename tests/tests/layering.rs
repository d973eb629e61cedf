//! Imports point one way: ARCHITECTURE.md, "What must never import what". Reads `cargo metadata` and the sources.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

/// What each crate of the workspace may depend on, of the workspace.
const ALLOWED: &[(&str, &[&str])] = &[
    ("base", &[]),
    ("c99", &[]),
    ("tcg-decodegen", &[]),
    ("tcg-core", &["base"]),
    ("tcg-riscv", &["base", "tcg-core", "tcg-decodegen"]),
    ("tcg-user", &["base", "tcg-core", "tcg-riscv", "tcg-aarch64"]),
    ("tcg-aarch64", &["base", "tcg-core", "tcg-decodegen"]),
    ("tcg-plugins", &["tcg-core"]),
    ("devices", &["base"]),
    ("firmware", &["base"]),
    ("guest-images", &[]),
    ("machines", &["base", "devices", "firmware"]),
    ("engine", &["base", "firmware", "tcg-core", "tcg-riscv", "tcg-aarch64"]),
    ("harness", &[]),
    ("control", &["base", "devices", "engine", "tcg-user"]),
    (
        "mimic",
        &[
            "base",
            "engine",
            "control",
            "tcg-core",
            "tcg-plugins",
            "tcg-riscv",
            "tcg-aarch64",
            "tcg-user",
            "devices",
            "machines",
            "firmware",
            "guest-images",
            "harness",
        ],
    ),
    (
        "whole-program",
        &[
            "base",
            "tcg-core",
            "tcg-riscv",
            "tcg-aarch64",
            "tcg-user",
            "engine",
            "control",
            "devices",
            "machines",
            "firmware",
            "guest-images",
        ],
    ),
];

/// Words that must not appear in the sources of a folder: names of what it must not know.
const FORBIDDEN_WORDS: &[(&str, &[&str])] = &[
    ("tcg/core/src", &["riscv", "aarch64", "virtio", "plic", "uart"]),
    ("devices/src", &["tcg_core", "tcg_riscv", "kvm_ioctls"]),
    ("machines/src", &["tcg_core", "tcg_riscv", "kvm_ioctls"]),
    ("tcg/riscv/src", &["dynasm", "x86_64", "devices::", "machines::"]),
    ("tcg/aarch64/src", &["dynasm", "x86_64", "tcg_riscv", "devices::", "machines::"]),
];

fn metadata() -> serde_json::Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo writes JSON")
}

#[test]
fn crates_depend_only_on_what_lies_below() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("a list");
    let names: BTreeSet<&str> = packages.iter().filter_map(|p| p["name"].as_str()).collect();
    let allowed: BTreeMap<_, _> = ALLOWED.iter().copied().collect();
    for package in packages {
        let name = package["name"].as_str().expect("a name");
        let may = allowed.get(name).unwrap_or_else(|| panic!("crate {name} has no row in ALLOWED"));
        for dependency in package["dependencies"].as_array().expect("a list") {
            let on = dependency["name"].as_str().expect("a name");
            if names.contains(on) && dependency["kind"].as_str() != Some("dev") {
                assert!(may.contains(&on), "{name} must not depend on {on}");
            }
        }
    }
}

fn rust_files(folder: &Path, files: &mut Vec<std::path::PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            rust_files(&path, files);
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
}

#[test]
fn sources_do_not_name_what_they_must_not_know() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for (folder, words) in FORBIDDEN_WORDS {
        let mut files = Vec::new();
        rust_files(&root.join(folder), &mut files);
        for file in files {
            let text = std::fs::read_to_string(&file).expect("text");
            let host_code = file.components().any(|c| c.as_os_str() == "host" || c.as_os_str() == "x64");
            for (number, line) in text.lines().enumerate() {
                let code = line.split("//").next().unwrap_or("").to_lowercase();
                for word in *words {
                    let named = code.contains(&word.to_lowercase()) && !host_code;
                    assert!(!named, "{}:{}: names {word}", file.display(), number + 1);
                }
            }
        }
    }
}
