use super::*;

#[test]
fn files_stay_inside() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = folder.path().join("root");
    let outside = folder.path().join("outside");
    fs::create_dir(&outside).expect("a folder");
    let mut root = Root::new(&at).expect("a new directory");
    let link = |target: &str| Node::new(Kind::Symlink(target.into()), 0o777);
    let file = |text: &str| Node::new(Kind::File(text.into()), 0o640);
    root.put("bin", link("usr/bin")).expect("a link");
    root.put("bin/tool", file("tool")).expect("a file");
    assert_eq!(fs::read(at.join("usr/bin/tool")).expect("it is there"), b"tool");
    root.put("usr/bin/same", Node::new(Kind::HardLink("bin/tool".into()), 0o640)).expect("a further name");
    assert_eq!(fs::read(at.join("usr/bin/same")).expect("it is there"), b"tool");
    // Absolute links and those that climb begin at the root again.
    root.put("out", link(outside.to_str().expect("text"))).expect("a link");
    root.put("out/file", file("x")).expect("a file");
    root.put("up", link("../outside")).expect("a link");
    root.put("up/file", file("x")).expect("a file");
    assert!(fs::read_dir(&outside).expect("it is there").next().is_none());
    assert!(at.join("outside/file").exists());
    // A link that is replaced by a file is not followed.
    root.put("usr/bin/link", link(outside.join("stolen").to_str().expect("text"))).expect("a link");
    root.put("usr/bin/link", file("own")).expect("a file");
    assert!(!outside.join("stolen").exists());
    let mode = fs::metadata(at.join("usr/bin/tool")).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o7777, 0o640);
}

#[test]
fn only_an_empty_directory_is_taken() {
    let folder = tempfile::tempdir().expect("a folder");
    fs::write(folder.path().join("x"), "").expect("a file");
    let error = Root::new(folder.path()).err().expect("it is not empty");
    assert!(error.to_string().contains("the directory is not empty"), "{error}");
}
