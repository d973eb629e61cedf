use super::*;
use crate::testing::{Page, Server, client, expected, noise};

struct Setup {
    server: Server,
    directory: tempfile::TempDir,
    body: Vec<u8>,
}

impl Setup {
    fn new(page: Page) -> Setup {
        let body = noise(300_000);
        let server = Server::start();
        server.put("/file", Page { body: body.clone(), ..page });
        Setup { server, directory: tempfile::tempdir().unwrap(), body }
    }

    fn place(&self) -> PathBuf {
        self.directory.path().join("file")
    }

    fn part(&self) -> PathBuf {
        self.directory.path().join("file.part")
    }

    fn download(&self) -> Result<()> {
        client().download(
            &format!("{}/file", self.server.url),
            &expected(&self.body),
            &self.place(),
            &mut |_| {},
        )
    }

    fn check(&self) {
        assert_eq!(fs::read(self.place()).unwrap(), self.body);
        assert!(!self.part().exists());
    }
}

#[test]
fn whole_file_arrives() {
    let setup = Setup::new(Page::default());
    setup.download().unwrap();
    setup.check();
    assert!(is_present(&setup.place(), &expected(&setup.body)).unwrap());
}

#[test]
fn part_of_an_earlier_run_is_continued() {
    let setup = Setup::new(Page::default());
    fs::write(setup.part(), &setup.body[..100_000]).unwrap();
    setup.download().unwrap();
    setup.check();
    assert_eq!(setup.server.requests(), ["/file 100000"]);
}

#[test]
fn broken_connections_are_continued() {
    let setup = Setup::new(Page { cut_at: Some((150_000, 1)), ..Page::default() });
    setup.download().unwrap();
    setup.check();
    assert_eq!(setup.server.requests(), ["/file", "/file 150000"]);
}

#[test]
fn corrupt_part_starts_again() {
    let setup = Setup::new(Page::default());
    fs::write(setup.part(), noise(5000).iter().map(|b| !b).collect::<Vec<_>>()).unwrap();
    setup.download().unwrap();
    setup.check();
    assert_eq!(setup.server.requests(), ["/file 5000", "/file"]);
}

#[test]
fn complete_but_corrupt_part_starts_again() {
    let setup = Setup::new(Page::default());
    fs::write(setup.part(), vec![0; 300_000]).unwrap();
    setup.download().unwrap();
    setup.check();
}

#[test]
fn too_long_part_starts_again() {
    let setup = Setup::new(Page::default());
    fs::write(setup.part(), vec![0; 300_001]).unwrap();
    setup.download().unwrap();
    setup.check();
}

#[test]
fn server_without_ranges_starts_again() {
    let setup = Setup::new(Page { no_ranges: true, ..Page::default() });
    fs::write(setup.part(), &setup.body[..1000]).unwrap();
    setup.download().unwrap();
    setup.check();
}

#[test]
fn busy_server_is_asked_again_and_given_up_in_the_end() {
    let setup = Setup::new(Page { busy: 2, ..Page::default() });
    setup.download().unwrap();
    setup.check();
    let setup = Setup::new(Page { busy: 100, ..Page::default() });
    let error = setup.download().unwrap_err().to_string();
    assert!(error.contains("/file: the server answers 503"), "{error}");
}

#[test]
fn wrong_checksum_is_an_error_and_leaves_nothing() {
    let setup = Setup::new(Page::default());
    let wrong = Expected { sha256: "0".repeat(64), size: 300_000 };
    let url = format!("{}/file", setup.server.url);
    let error = client().download(&url, &wrong, &setup.place(), &mut |_| {}).unwrap_err();
    assert!(matches!(error, Error::Checksum { .. }), "{error}");
    assert!(!setup.place().exists() && !setup.part().exists());
}

#[test]
fn body_longer_than_promised_is_not_written() {
    let setup = Setup::new(Page::default());
    let short = Expected { size: 1000, ..expected(&setup.body[..1000]) };
    client().download(&format!("{}/file", setup.server.url), &short, &setup.place(), &mut |_| {}).unwrap();
    assert_eq!(fs::read(setup.place()).unwrap(), &setup.body[..1000]);
}

#[test]
fn missing_file_is_an_error_that_names_it() {
    let setup = Setup::new(Page::default());
    let url = format!("{}/other", setup.server.url);
    let error =
        client().download(&url, &expected(b"x"), &setup.place(), &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("/other: the server answers 404"), "{error}");
    assert_eq!(client().small(&url, 10).unwrap(), None);
}

#[test]
fn progress_reaches_the_size() {
    let setup = Setup::new(Page::default());
    let mut last = 0;
    let url = format!("{}/file", setup.server.url);
    client().download(&url, &expected(&setup.body), &setup.place(), &mut |at| last = at).unwrap();
    assert_eq!(last, 300_000);
}
