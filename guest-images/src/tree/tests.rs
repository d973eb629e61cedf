use super::*;

#[test]
fn parents_are_made_and_come_first() {
    let mut tree = Tree::new();
    tree.file("./a/b/c", 0o600, "x").unwrap();
    let paths: Vec<_> = tree.iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["a", "a/b", "a/b/c"]);
}

#[test]
fn paths_cannot_leave_the_tree() {
    for path in ["/etc/passwd", "../x", "a/../../x", "a/..", "nul\0"] {
        assert!(Tree::new().file(path, 0o644, "").is_err(), "{path:?}");
    }
    assert_eq!(clean("./a//b/./c").unwrap(), "a/b/c");
    assert_eq!(clean("./").unwrap(), "");
}

#[test]
fn directory_links_are_followed() {
    let mut tree = Tree::new();
    tree.dir("usr/lib").unwrap();
    tree.symlink("lib", "usr/lib").unwrap();
    tree.symlink("usr/lib64", "/lib").unwrap();
    tree.file("lib/one", 0o644, "").unwrap();
    tree.file("usr/lib64/two", 0o644, "").unwrap();
    tree.dir("lib").unwrap();
    assert!(tree.get("usr/lib/one").is_some() && tree.get("usr/lib/two").is_some());
    assert!(matches!(tree.get("lib").unwrap().kind, Kind::Symlink(_)));
}

#[test]
fn links_out_of_the_tree_stay_inside_it() {
    let mut tree = Tree::new();
    tree.symlink("out", "../../../../etc").unwrap();
    tree.file("out/shadow", 0o644, "").unwrap();
    assert!(tree.get("etc/shadow").is_some());
    tree.symlink("root", "/..").unwrap();
    tree.file("root/x", 0o644, "").unwrap();
    assert!(tree.get("x").is_some());
}

#[test]
fn circles_of_links_are_refused() {
    let mut tree = Tree::new();
    tree.symlink("a", "b").unwrap();
    tree.symlink("b", "a").unwrap();
    assert!(tree.file("a/x", 0o644, "").is_err());
    let mut tree = Tree::new();
    tree.symlink("a", "a/a").unwrap();
    assert!(tree.file("a/x", 0o644, "").is_err());
}

#[test]
fn a_directory_is_not_replaced() {
    let mut tree = Tree::new();
    tree.file("d/file", 0o644, "").unwrap();
    tree.symlink("d", "elsewhere").unwrap();
    assert_eq!(tree.get("d").unwrap().kind, Kind::Dir);
    tree.file("d/file", 0o755, "new").unwrap();
    assert_eq!(tree.get("d/file").unwrap().mode, 0o755);
}
