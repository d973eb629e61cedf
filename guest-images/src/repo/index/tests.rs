use super::*;

fn entry(name: &str, version: &str, rest: &str) -> String {
    format!(
        "Package: {name}\nVersion: {version}\nArchitecture: riscv64\nFilename: pool/{name}.deb\nSize: 1\nSHA256: 00\n{rest}\n\n"
    )
}

fn names(index: &Index, roots: &[&str]) -> Vec<String> {
    index.closure(roots.iter().copied()).unwrap().iter().map(|p| p.name.clone()).collect()
}

#[test]
fn closure_follows_both_kinds_of_dependency_and_sorts_them() {
    let text = [
        entry("app", "1", "Depends: libb (>= 2), liba:any"),
        entry("liba", "1", "Pre-Depends: libc"),
        entry("libb", "2", "Depends: libc"),
        entry("libc", "1", ""),
    ]
    .concat();
    assert_eq!(names(&Index::parse(&text), &["app"]), ["libc", "libb", "liba", "app"]);
}

#[test]
fn circles_end() {
    let text = [entry("a", "1", "Depends: b"), entry("b", "1", "Depends: a")].concat();
    assert_eq!(names(&Index::parse(&text), &["a"]), ["b", "a"]);
}

#[test]
fn long_chains_need_no_deep_stack() {
    let text: String =
        (0..50_000).map(|n| entry(&format!("p{n}"), "1", &format!("Depends: p{}", n + 1))).collect();
    let text = text + &entry("p50000", "1", "");
    assert_eq!(names(&Index::parse(&text), &["p0"]).len(), 50_001);
}

#[test]
fn alternatives_prefer_what_is_there() {
    let text = [
        entry("a", "1", "Depends: x | y"),
        entry("x", "1", ""),
        entry("y", "1", ""),
        entry("z", "1", "Provides: x"),
        entry("b", "1", "Depends: gone | x"),
    ]
    .concat();
    let index = Index::parse(&text);
    assert_eq!(names(&index, &["a"]), ["x", "a"]);
    assert_eq!(names(&index, &["y", "a"]), ["y", "a"]);
    assert_eq!(names(&index, &["a", "z"]), ["z", "a"]);
    assert_eq!(names(&index, &["b"]), ["x", "b"]);
}

#[test]
fn virtual_packages_satisfy_versions_only_with_a_version() {
    let text = [
        entry("plain", "1", "Provides: virtual"),
        entry("versioned", "1", "Provides: other (= 3)"),
        entry("a", "1", "Depends: virtual"),
        entry("b", "1", "Depends: virtual (>= 1)"),
        entry("c", "1", "Depends: other (>= 2)"),
        entry("d", "1", "Depends: other (>= 4)"),
    ]
    .concat();
    let index = Index::parse(&text);
    assert_eq!(names(&index, &["a"]), ["plain", "a"]);
    assert_eq!(names(&index, &["c"]), ["versioned", "c"]);
    let error = index.closure(["b"]).unwrap_err().to_string();
    assert_eq!(error, "no package satisfies \"virtual (>= 1)\", which b needs");
    assert!(index.closure(["d"]).is_err());
}

#[test]
fn newest_version_is_found_and_incomplete_entries_are_not() {
    let text = [
        entry("a", "1.9", ""),
        entry("a", "1.10", ""),
        entry("a", "1.10~rc1", ""),
        "Package: broken\nVersion: 1\n\n".to_owned(),
    ]
    .concat();
    let index = Index::parse(&text);
    assert_eq!(index.find("a").unwrap().version, "1.10");
    assert!(index.find("broken").is_err());
}

#[test]
fn continuation_lines_belong_to_their_field() {
    let text =
        "Package: a\r\nVersion: 1\nArchitecture: all\nDepends: b,\n c\nFilename: f\nSize: 1\nSHA256: 0\n\n"
            .to_owned()
            + &entry("b", "1", "")
            + &entry("c", "1", "");
    assert_eq!(names(&Index::parse(&text), &["a"]), ["b", "c", "a"]);
}
