//! Specs that are right, and what is said about those that are not.

use super::*;

fn read(text: &str) -> Result<Vec<Test>, String> {
    let variables = BTreeMap::from([("build".to_string(), "/out".to_string())]);
    parse(Path::new("dir/fw.toml"), text, &variables).map_err(|fault| fault.to_string())
}

const WHOLE: &str = r#"
[guest]
arch = "aarch64"
cpu = "max"

[matrix]
cpus = [1, 2]

[[test]]
name = "one"
guest.kernel = "${build}/fw.elf"
guest.args = "-device 'a b' -m 64M"
timeout = "1.5s"
forbid = ["panic"]
steps = [
  { wait = "${cpus} cpus", timeout = "100 ms" },
  { memory = "mark+8", equals = 0x1234, width = 2 },
  { register = "x0", equals = "0xffffffffffffffff" },
]
exit = 3

[[test]]
name = "two"
guests.a.argv = ["-M", "virt", "--serial", "stdio", "-nographic"]
guests.b.arch = "riscv64"
steps = [{ write = "x", guest = "b", line = "hvc0" }]
"#;

#[test]
fn a_whole_file_is_understood() {
    let tests = read(WHOLE).expect("a good file");
    let names: Vec<&str> = tests.iter().map(|test| &*test.name).collect();
    assert_eq!(names, ["one [cpus=1]", "one [cpus=2]", "two [cpus=1]", "two [cpus=2]"]);
    let one = &tests[1];
    let words = "-nodefaults -machine virt -cpu max -smp 2 -kernel /out/fw.elf -device|a b|-m 64M -display none -serial chardev:serial0";
    let words: Vec<&str> = words
        .split('|')
        .enumerate()
        .flat_map(|(n, part)| if n == 1 { vec![part] } else { part.split(' ').collect() })
        .collect();
    assert_eq!(one.guests[0].1.words, words);
    assert_eq!(one.guests[0].1.symbols, Some("/out/fw.elf".into()));
    assert_eq!((one.suite.as_str(), one.exit, one.timeout), ("fw", Some(3), Duration::from_millis(1500)));
    assert_eq!(one.place, "dir/fw.toml:9");
    assert_eq!(one.steps[0].timeout, Some(Duration::from_millis(100)));
    assert!(
        matches!(&one.steps[1].verb, Verb::Memory { equals, physical: true, .. } if *equals == [0x34, 0x12])
    );
    let two = &tests[2];
    assert_eq!(two.guests[0].1.words[2..5], ["--serial", "chardev:serial0", "-nographic"]);
    assert_eq!((two.guests[1].0.as_str(), two.guests[1].1.arch.as_str()), ("b", "riscv64"));
}

#[test]
fn mistakes_are_told_with_their_place() {
    for (text, said) in [
        (
            "[[test]]\nname = \"a\"\nsteps = [{ wiat = \"x\" }]",
            "dir/fw.toml:3:12: unknown field `wiat`, expected one of ",
        ),
        ("[[test]]\nnmae = 1", "dir/fw.toml:2:1: unknown field `nmae`"),
        (
            "[[test]]\nname = \"a\"\nsteps = [\n { write = \"a\", wait = \"x\" }\n]",
            "dir/fw.toml:4:2: a step does one thing; 'wait' and 'write' are two",
        ),
        ("[[test]]\nname = \"a\"\nsteps = [{}]", "the step does nothing; it is one of wait, "),
        (
            "[[test]]\nname = \"a\"\nsteps = [{ wait-regex = \"(\" }]",
            "/(/ is no pattern: error: unclosed group",
        ),
        ("[[test]]\nname = \"a\"\ntimeout = \"soon\"", "dir/fw.toml:3:11: \"soon\" is no length of time"),
        (
            "[[test]]\nname = \"a\"\nguest.kernel = \"${nix}\"",
            "there is no variable 'nix'; there are build, dir, tmp; -D nix=VALUE sets one",
        ),
        (
            "[[test]]\nname = \"a\"\nsteps = [{ wait = \"x\", guest = \"b\" }]",
            "there is no guest 'b' in this test",
        ),
        (
            "[[test]]\nname = \"a\"\nsteps = [{ delay = 1, timeout = 2 }]",
            "'timeout' has no meaning in this step",
        ),
        ("[[test]]\nname = \"a\"\nsteps = [{ not = \"x\" }]", "'not' needs 'for'"),
        ("[[test]]\nname = \"a\"\n[[test]]\nname = \"a\"", "two tests are called \"a\""),
        ("[[test]]\nname = ", "dir/fw.toml:2:8: "),
    ] {
        let fault = read(text).expect_err(text);
        assert!(fault.contains(said), "{text}: {fault}");
    }
}
