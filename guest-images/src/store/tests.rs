use super::*;
use crate::{BuildStep, Silent};

struct NoEmulator;

impl Emulator for NoEmulator {
    fn boot(&mut self, _: &BuildStep) -> std::result::Result<(), String> {
        Err("there is no emulator here".to_owned())
    }
}

fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::at(directory.path().join("store"));
    (directory, store)
}

fn put_image(store: &Store, name: &str) {
    let directory = store.root.join("images").join(format!("{name}-riscv64"));
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("kernel"), vec![1; 10_000]).unwrap();
    let guest = Guest {
        kernel: "kernel".into(),
        initrd: "initrd".into(),
        append: "quiet".to_owned(),
        disks: Vec::new(),
        memory_mib: 1,
        scratch_mib: 0,
        made_from: Default::default(),
    };
    fs::write(directory.join(MANIFEST), serde_json::to_vec(&guest).unwrap()).unwrap();
}

#[test]
fn images_are_listed_found_and_removed() {
    let (_directory, store) = store();
    assert!(store.list().iter().all(|image| image.size.is_none()));
    put_image(&store, "debian");
    put_image(&store, "debian-installer");
    fs::create_dir_all(store.root.join("packages")).unwrap();
    let here: Vec<_> = store.list().into_iter().filter(|i| i.size.is_some()).map(|i| i.name).collect();
    assert_eq!(here, ["debian", "debian-installer"]);

    let guest = store.path("debian:riscv64").unwrap();
    assert_eq!(guest.kernel, store.root.join("images/debian-riscv64/kernel"));
    assert!(store.remove("debian", &Silent).unwrap() >= 10_000);
    assert!(store.root.join("packages").exists(), "another image is still here");
    store.remove("debian-installer", &Silent).unwrap();
    assert!(!store.root.join("packages").exists());
    assert!(matches!(store.remove("debian", &Silent), Err(Error::Absent { .. })));
}

#[test]
fn names_that_are_no_image_are_errors() {
    let (_directory, store) = store();
    assert!(store.knows("debian-disk:riscv64") && !store.knows("debain") && !store.knows("debian:vax"));
    let error = store.path("debain").unwrap_err().to_string();
    assert!(error.contains("debian, debian-installer, debian-disk"), "{error}");
    assert!(store.path("debian:vax").unwrap_err().to_string().contains("riscv64"));
    let error = store.path("debian").unwrap_err().to_string();
    assert!(error.contains("mimic image pull debian"), "{error}");
}

#[test]
fn unreachable_mirror_is_an_error_that_names_it() {
    let (_directory, store) = store();
    // Nothing listens on the discard port of this machine.
    let options =
        PullOptions { mirror: Some("http://127.0.0.1:9/debian".to_owned()), ..PullOptions::default() };
    let error = store.pull("debian", &options, &Silent, &mut NoEmulator).unwrap_err().to_string();
    assert!(error.contains("http://127.0.0.1:9/debian/dists/trixie/InRelease"), "{error}");
}

#[test]
fn interrupted_pulls_are_cleared_away() {
    let (_directory, store) = store();
    let images = store.root.join("images");
    fs::create_dir_all(images.join(".new-abc")).unwrap();
    put_image(&store, "debian");
    remove_unfinished(&images).unwrap();
    assert!(!images.join(".new-abc").exists() && store.path("debian").is_ok());
}
