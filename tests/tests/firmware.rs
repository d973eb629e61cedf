//! The matrix of firmware tests in `firmware/`, by `mimic test`: what passes, what fails and why, the reports, and Robot Framework's way.
//! Needs the cross compilers; says so and skips where they are missing.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// The program, built beside this test.
fn mimic() -> Command {
    let mut path = std::env::current_exe().expect("a test has a path");
    while path.file_name().is_some_and(|name| name != "release" && name != "debug") {
        path.pop();
    }
    let path: PathBuf = path.join("mimic");
    assert!(path.is_file(), "{} is not built: run the tests of the whole workspace", path.display());
    Command::new(path)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("firmware")
}

/// The folder of built programs; `None` where there are no cross compilers.
fn programs() -> Option<&'static Path> {
    static BUILT: OnceLock<Option<tempfile::TempDir>> = OnceLock::new();
    let built = BUILT.get_or_init(|| {
        let there = |tool: &str| Command::new(tool).arg("--version").output().is_ok();
        if !there("riscv64-linux-gnu-gcc") || !there("aarch64-linux-gnu-gcc") {
            assert!(std::env::var_os("MIMIC_PEERS").is_none(), "the cross compilers are missing");
            println!("skipped: no cross compilers; .ci/peers installs them");
            return None;
        }
        let out = tempfile::tempdir().expect("a temporary folder");
        let status = Command::new(folder().join("build")).arg(out.path()).status().expect("a shell");
        assert!(status.success(), "the programs do not build");
        Some(out)
    });
    built.as_ref().map(tempfile::TempDir::path)
}

fn test(build: &Path, spec: &str, more: &[&str]) -> Output {
    let definition = format!("build={}", build.display());
    let mut command = mimic();
    command.args(["test", "-D", &definition]).arg(folder().join(spec)).args(more);
    command.output().expect("the program runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[test]
fn what_shall_pass_passes() {
    let Some(build) = programs() else { return };
    for spec in ["pass.toml", "packages.toml"] {
        let output = test(build, spec, &["-j", "4"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        assert!(
            !text(&output).contains("skip ") || std::env::var_os("MIMIC_PEERS").is_none(),
            "{}",
            text(&output)
        );
    }
}

/// What is said about each test of `fail.toml`.
const REASONS: [(&str, &str); 14] = [
    ("a line that never comes", "no line with \"Hello from the moon\" on serial0 within 0.3 s"),
    ("a text that must not appear", "\"Kernel panic\" appeared on serial0, which must not"),
    ("another exit status", "the guest ended with status 7, not 0"),
    ("an end too early", "no line with \"Hello\" on serial0: the guest ended with status 7"),
    ("an end that does not come", "the guest still runs at 0.3 s of machine time"),
    ("the wrong memory", "memory at mark is [34, 12, 00, 00, 00, 00, 00, 00], not [21, 43,"),
    ("the wrong register", "register s1 is 0x1234, not 0x4321"),
    ("a line that is not quiet", "the line was not quiet: \"t"),
    ("a text that comes where it must not", "\"tick\" came within 20 s"),
    (
        "a watchdog that bites though it shall not",
        "a line that matches /has bitten$/: \"the watchdog has bitten\" appeared",
    ),
    ("an event that does not come", "no event GUEST_PANICKED in time"),
    ("a machine that can not be made", "the machine could not be started; it said: "),
    ("too much of the host's time", "the limit of wall-clock time was reached, at "),
    ("a symbol that is not there", "there is no symbol 'nowhere'"),
];

#[test]
fn what_shall_fail_fails_for_its_reason() {
    let Some(build) = programs() else { return };
    let kept = tempfile::tempdir().expect("a temporary folder");
    let (xml, logs) = (kept.path().join("report.xml"), kept.path().join("logs"));
    let more =
        ["-j", "4", "--junit", xml.to_str().expect("text"), "--artifacts", logs.to_str().expect("text")];
    let output = test(build, "fail.toml", &more);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let said = text(&output);
    assert!(said.contains(&format!("0 passed, {} failed", REASONS.len())), "{said}");
    let report = std::fs::read_to_string(&xml).expect("a report");
    assert!(
        report.contains(&format!("tests=\"{0}\" skipped=\"0\" errors=\"0\" failures=\"{0}\"", REASONS.len())),
        "{report}"
    );
    for (name, why) in REASONS {
        let at = said.find(&format!("FAIL  fail: {name} ")).unwrap_or_else(|| panic!("{name}: {said}"));
        let about = said[at..].split("\nFAIL ").next().unwrap_or_default();
        assert!(about.contains(why), "{name}: {about}");
        assert!(
            report.contains(&format!("name=\"{}\" classname=\"fail\"", name.replace('\'', "&apos;")))
                || report.contains(name),
            "{name}: {report}"
        );
    }
    assert!(said.contains("      | Hello from bare metal\n"), "the last lines are shown: {said}");
    let log = logs.join("fail-the_wrong_memory");
    assert_eq!(std::fs::read(log.join("serial0.log")).expect("kept"), b"Hello from bare metal\r\n> ");
    assert!(std::fs::read_to_string(log.join("command")).expect("kept").contains("-kernel"));
}

#[test]
fn a_spec_that_is_wrong_is_no_failed_test() {
    let spec = tempfile::NamedTempFile::with_suffix(".toml").expect("a temporary file");
    std::fs::write(spec.path(), "[[test]]\nname = \"a\"\nguest.kernal = \"x\"\n").expect("it is ours");
    let output = mimic().arg("test").arg(spec.path()).output().expect("the program runs");
    let place =
        format!("mimic test: {}:3:7: unknown field `kernal`, expected one of ", spec.path().display());
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output).starts_with(&place), "{}", text(&output));
}

/// Calls a method of the server as Python's `xmlrpc.client` does; the answer.
fn call(port: u16, method: &str, name: &str, arguments: &[&str]) -> String {
    let list: String =
        arguments.iter().map(|text| format!("<value><string>{text}</string></value>")).collect();
    let body = format!(
        "<?xml version='1.0'?><methodCall><methodName>{method}</methodName><params><param><value><string>{name}</string></value></param><param><value><array><data>{list}</data></array></value></param></params></methodCall>"
    );
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("the server listens");
    let head = format!("POST / HTTP/1.0\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all((head + &body).as_bytes()).expect("it reads");
    stream.shutdown(std::net::Shutdown::Write).expect("open");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}

#[test]
fn robots_keywords_drive_a_guest() {
    let Some(build) = programs() else { return };
    let mut server =
        mimic().args(["robot", "--port", "0"]).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut line = String::new();
    BufReader::new(server.stdout.take().expect("a pipe")).read_line(&mut line).expect("its address");
    let port = line.trim().trim_end_matches('/').rsplit(':').next().and_then(|port| port.parse().ok());
    let port = port.unwrap_or_else(|| panic!("no port in {line:?}"));
    let run = |name: &str, arguments: &[&str]| call(port, "run_keyword", name, arguments);
    let passes = |name: &str, arguments: &[&str]| {
        let answer = run(name, arguments);
        assert!(answer.contains("<string>PASS</string>"), "{name}: {answer}");
        answer
    };
    let fails = |name: &str, arguments: &[&str], why: &str| {
        let answer = run(name, arguments);
        assert!(answer.contains("<string>FAIL</string>") && answer.contains(why), "{name}: {answer}");
    };
    fails("Start Emulation", &[], "there is no machine");
    passes("Create Machine", &[&format!("-M virt -bios none -kernel {}/hello.elf", build.display())]);
    passes("Create Terminal Tester", &["serial0", "5"]);
    passes("Start Emulation", &[]);
    let answer = passes("Wait For Line On Uart", &["from bare"]);
    assert!(answer.contains("<string>Hello from bare metal</string>"), "{answer}");
    passes("Wait For Prompt On Uart", &["&gt; "]);
    passes("Register Should Be Equal", &["s1", "0x1234"]);
    passes("Memory Should Be Equal", &["mark", "0x1234"]);
    fails("Register Should Be Equal", &["s1", "1"], "s1 is 0x1234, not 0x1");
    fails("Wait For Line On Uart", &["never", "0.2"], "within 0.2 s");
    passes("Test If Uart Is Idle", &["0.1"]);
    // What came before the interval does not count, though nobody has read it.
    passes("Write Char On Uart", &["y"]);
    std::thread::sleep(Duration::from_millis(300));
    passes("Test If Uart Is Idle", &["0.1"]);
    passes("Wait For Next Line On Uart", &[]);
    passes("Write To Uart", &["z"]);
    passes("Wait For Next Line On Uart", &[]);
    passes("Should Not Be On Uart", &["zz", "0.1"]);
    passes("Execute Command", &["info status"]);
    passes("Reset Emulation", &[]);
    call(port, "stop_remote_server", "", &[]);
    assert!(server.wait().expect("our child").success());
}
