use super::*;

fn mirrors(files: &[(&str, &str)]) -> Result<Vec<String>> {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    debian_mirrors(directory.path())
}

#[test]
fn deb822_sources_are_read() {
    let text = "# a comment\nTypes: deb deb-src\nURIs: http://mirror.example/debian/\nSuites: bookworm bookworm-updates\n\
                Components: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n\n\
                Types: deb\nURIs: http://mirror.example/debian-security\nSuites: bookworm-security\nComponents: main\n";
    assert_eq!(
        mirrors(&[("sources.list.d/debian.sources", text)]).unwrap(),
        ["http://mirror.example/debian"]
    );
}

#[test]
fn one_line_sources_are_read() {
    let text = "# deb http://commented.example/debian trixie main\n\
                deb-src http://source.example/debian trixie main\n\
                deb [arch=amd64 signed-by=/k.gpg] https://mirror.example/debian trixie main contrib # here\n\
                deb cdrom:[Debian]/ trixie main\n";
    assert_eq!(mirrors(&[("sources.list", text)]).unwrap(), ["https://mirror.example/debian"]);
}

#[test]
fn official_looking_sources_come_first() {
    let text = "deb https://vendor.example/debian/12/prod bookworm main\n\
                deb [signed-by=/vendor.gpg] https://other.example/debian bookworm main\n\
                deb http://mirror.example/debian bookworm main\n";
    let found = mirrors(&[("sources.list", text)]).unwrap();
    assert_eq!(found[0], "http://mirror.example/debian");
    assert_eq!(found.len(), 3);
}

#[test]
fn disabled_and_foreign_sources_name_the_option() {
    let ubuntu = "Types: deb\nURIs: http://archive.example/ubuntu\nSuites: noble noble-updates\nComponents: main universe\n";
    let disabled =
        "Types: deb\nURIs: http://mirror.example/debian\nSuites: trixie\nComponents: main\nEnabled: no\n";
    for files in
        [&[("sources.list.d/ubuntu.sources", ubuntu)][..], &[("sources.list.d/a.sources", disabled)], &[]]
    {
        let error = mirrors(files).unwrap_err();
        assert!(matches!(error, Error::NoMirror { .. }));
        assert!(error.to_string().contains("--mirror URL"), "{error}");
    }
}

#[test]
fn mirror_lists_are_followed() {
    let list = tempfile::NamedTempFile::new().unwrap();
    fs::write(
        list.path(),
        "# a list\nhttps://first.example/debian\tpriority:1\nhttp://second.example/debian\n",
    )
    .unwrap();
    let source = format!(
        "Types: deb\nURIs: mirror+file://{}\nSuites: trixie\nComponents: main\n",
        list.path().display()
    );
    let found = mirrors(&[("sources.list.d/debian.sources", &source)]).unwrap();
    assert_eq!(found, ["https://first.example/debian", "http://second.example/debian"]);
}
