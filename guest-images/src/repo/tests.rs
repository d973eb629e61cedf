use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::Silent;
use crate::testing::{Server, client, expected, noise, xz};

/// A made-up mirror with one package, and a verifier that says `status`.
struct Setup {
    server: Server,
    directory: tempfile::TempDir,
    package: Vec<u8>,
    status: &'static str,
}

/// `text` as a cleartext signed message.
fn in_release(text: &str) -> String {
    format!(
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{text}-----BEGIN PGP SIGNATURE-----\n\nabc=\n-----END PGP SIGNATURE-----\n"
    )
}

const GOOD: &str = "[GNUPG:] GOODSIG 0123 Example Archive Key\n[GNUPG:] VALIDSIG 0123\n";

impl Setup {
    fn new() -> Setup {
        let (server, package) = (Server::start(), noise(2000));
        let packages = format!(
            "Package: tool\nVersion: 1:2\nArchitecture: riscv64\nFilename: pool/tool.deb\nSize: 2000\nSHA256: {}\n",
            expected(&package).sha256
        );
        server.put_file("/debian/pool/tool.deb", package.clone());
        let setup = Setup { server, directory: tempfile::tempdir().unwrap(), package, status: GOOD };
        setup.publish(&packages, "Debian", "trixie");
        setup
    }

    fn publish(&self, packages: &str, origin: &str, codename: &str) {
        let index = xz(packages.as_bytes());
        let sums = expected(&index);
        let release = format!(
            "Origin: {origin}\nSuite: stable\nCodename: {codename}\nAcquire-By-Hash: yes\nSHA256:\n {} {} main/binary-riscv64/Packages.xz\n",
            sums.sha256, sums.size
        );
        let by_hash = format!("/debian/dists/trixie/main/binary-riscv64/by-hash/SHA256/{}", sums.sha256);
        self.server.put_file(&by_hash, index);
        self.server.put_file("/debian/dists/trixie/InRelease", in_release(&release));
    }

    fn settings(&self) -> Settings {
        let program = self.directory.path().join("verifier");
        let script = format!("#!/bin/sh\nprintf '%s' '{}'\necho 'gpgv: the last word' >&2\n", self.status);
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        Settings {
            mirrors: vec![format!("{}/nothing", self.server.url), format!("{}/debian/", self.server.url)],
            suite: "trixie".to_owned(),
            arch: Arch::Riscv64,
            verifier: Verifier { program, keyring: Some(self.directory.path().join("keyring")) },
            cache: self.directory.path().join("cache"),
        }
    }

    fn open(&self) -> Result<Repository> {
        Repository::open(client(), &self.settings(), &Silent)
    }
}

#[test]
fn package_is_found_verified_and_fetched_once() {
    let setup = Setup::new();
    for _ in 0..2 {
        let repo = setup.open().unwrap();
        assert_eq!(repo.mirror(), format!("{}/debian", setup.server.url));
        let files = repo.fetch(&[repo.index().find("tool").unwrap()], &Silent).unwrap();
        assert_eq!(fs::read(&files[0]).unwrap(), setup.package);
    }
    let fetches = setup.server.requests().iter().filter(|path| path.ends_with("tool.deb")).count();
    assert_eq!(fetches, 1);
}

#[test]
fn bad_and_unknown_signatures_are_refused() {
    for status in
        ["[GNUPG:] BADSIG 0123 Example Archive Key\n", "[GNUPG:] ERRSIG 0123\n[GNUPG:] NO_PUBKEY 0123\n", ""]
    {
        let setup = Setup { status, ..Setup::new() };
        let error = setup.open().err().unwrap();
        assert!(matches!(error, Error::Signature { .. }), "{error}");
        assert!(error.to_string().contains("gpgv: the last word"), "{error}");
    }
}

#[test]
fn one_bad_signature_among_good_ones_is_refused() {
    let status = "[GNUPG:] GOODSIG 0123 Example Archive Key\n[GNUPG:] VALIDSIG 0123\n[GNUPG:] BADSIG 45 X\n";
    assert!(Setup { status, ..Setup::new() }.open().is_err());
}

#[test]
fn missing_verifier_is_said_and_not_fatal() {
    struct Notes(std::cell::RefCell<String>);
    impl Progress for Notes {
        fn begin(&self, _: &str, _: Option<u64>) {}
        fn at(&self, _: u64) {}
        fn end(&self) {}
        fn note(&self, line: &str) {
            *self.0.borrow_mut() += line;
        }
    }
    let setup = Setup::new();
    let mut settings = setup.settings();
    settings.verifier.program = "/nonexistent/gpgv".into();
    let notes = Notes(Default::default());
    Repository::open(client(), &settings, &notes).map(|_| ()).unwrap();
    assert!(notes.0.borrow().contains("could not be checked"), "{}", notes.0.borrow());
}

#[test]
fn real_gpgv_refuses_what_is_no_signature() {
    let directory = tempfile::tempdir().unwrap();
    let [release, keyring] = ["InRelease", "keyring"].map(|n| directory.path().join(n));
    for path in [&release, &keyring] {
        fs::write(path, "nothing of the kind").unwrap();
    }
    let verifier = Verifier { keyring: Some(keyring), ..Verifier::default() };
    // Without gpgv on the machine there is nothing to try.
    assert!(matches!(
        verifier.check(&release, "http://mirror.example/InRelease"),
        Err(Error::Signature { .. }) | Ok(Verdict::Unchecked(_))
    ));
}

#[test]
fn index_other_than_promised_is_refused() {
    let setup = Setup::new();
    setup.publish("Package: evil\n", "Debian", "trixie");
    let request = setup.server.requests();
    assert!(request.is_empty());
    let release = format!(
        "Origin: Debian\nCodename: trixie\nSHA256:\n {} 7 main/binary-riscv64/Packages.xz\n",
        "0".repeat(64)
    );
    setup.server.put_file("/debian/dists/trixie/InRelease", in_release(&release));
    setup.server.put_file("/debian/dists/trixie/main/binary-riscv64/Packages.xz", "another");
    assert!(matches!(setup.open().err().unwrap(), Error::Checksum { .. }));
}

#[test]
fn archive_of_somebody_else_is_passed_over() {
    for (origin, codename) in [("Vendor", "trixie"), ("Debian", "bookworm")] {
        let setup = Setup::new();
        setup.publish("", origin, codename);
        let error = setup.open().err().unwrap();
        assert!(matches!(error, Error::NoSuite { .. }), "{error}");
        assert!(error.to_string().contains("--mirror URL"));
    }
}

#[test]
fn cache_names_are_plain_file_names() {
    let text =
        "Package: ../../etc/x\nVersion: 1:/..\nArchitecture: all\nFilename: f\nSize: 1\nSHA256: /../é\n";
    let index = Index::parse(text);
    let name = cache_name(index.find("../../etc/x").unwrap());
    assert!(!name.contains('/'), "{name}");
}

#[test]
fn only_what_is_signed_is_read() {
    let message = in_release("A: 1\n- -B: 2\n");
    assert_eq!(signature::signed_text(&message).unwrap(), "A: 1\n-B: 2\n");
    for altered in [
        format!("Before: x\n{message}"),
        format!("{message}Behind: x\n"),
        format!("{message}{message}"),
        message.replace("- -B", "-B"),
        "A: 1\n".to_owned(),
        String::new(),
    ] {
        assert_eq!(signature::signed_text(&altered), None, "{altered}");
    }
}
