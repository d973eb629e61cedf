//! What processes are run: the small programs, the start of a program that does nothing, and programs of the distribution
//! from a root folder of the guest (`mimic image root --arch GUEST --package ... DIR`).

use crate::programs::{self, Built};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// One thing to run.
pub struct Task {
    /// Name in the table.
    pub name: &'static str,
    /// What it is an example of.
    pub class: &'static str,
    /// Program and arguments on the host; empty if the host does not have the program.
    pub native: Vec<String>,
    /// The same for the guest.
    pub guest: Vec<String>,
    /// How often it is run.
    pub times: u32,
}

/// A program of the distribution. In its words `@` is the folder with what it works on.
struct Package {
    name: &'static str,
    /// Where it is in a root folder; `#` is the GNU name of the architecture.
    path: &'static str,
    args: &'static [&'static str],
}

const PACKAGES: &[Package] = &[
    Package { name: "xz", path: "usr/bin/xz", args: &["-k", "-c", "-6", "@/text"] },
    Package { name: "xz -d", path: "usr/bin/xz", args: &["-d", "-c", "@/text.xz"] },
    Package { name: "gzip", path: "usr/bin/gzip", args: &["-k", "-c", "-9", "@/text"] },
    Package { name: "sqlite3", path: "usr/bin/sqlite3", args: &[":memory:", ".read @/script.sql"] },
    Package { name: "python3", path: "usr/bin/python3", args: &["@/script.py"] },
    Package { name: "perl", path: "usr/bin/perl", args: &["@/script.pl"] },
    Package { name: "openssl sha512", path: "usr/bin/openssl", args: &["dgst", "-sha512", "@/large"] },
    Package {
        name: "openssl aes",
        path: "usr/bin/openssl",
        args: &[
            "enc",
            "-aes-128-ctr",
            "-K",
            "00112233445566778899aabbccddeeff",
            "-iv",
            "00",
            "-in",
            "@/large",
        ],
    },
    Package {
        name: "openssl chacha",
        path: "usr/bin/openssl",
        args: &["enc", "-chacha20", "-K", "00", "-iv", "00", "-in", "@/large"],
    },
    Package {
        name: "gcc (cc1)",
        path: "usr/libexec/gcc/#-linux-gnu/14/cc1",
        args: &["-quiet", "-O2", "-w", "@/source.i", "-o", "@/source.s"],
    },
    Package { name: "node", path: "usr/bin/node", args: &["@/script.js"] },
    Package {
        name: "ffmpeg x264",
        path: "usr/bin/ffmpeg",
        args: &[
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            "testsrc2=s=320x180:d=1",
            "-c:v",
            "libx264",
            "-threads",
            "1",
            "-f",
            "null",
            "-",
        ],
    },
];

const PYTHON: &str = "\
import json, re, hashlib
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
data = {str(i): [i, i * 2.5, 'x' * (i % 10)] for i in range(20000)}
text = json.dumps(data)
assert json.loads(text) == data
found = len(re.findall(r'\"(\\d+)\": \\[(\\d+), ', text))
numbers = sorted((i * 7919) % 100003 for i in range(100000))
print(fib(23) + found + sum(numbers[::7]), hashlib.sha256(text.encode()).hexdigest())
";

const PERL: &str = "\
my %h; my $s = 0;
for my $i (1 .. 200000) { $h{'k' . ($i * 7919 % 10007)} += $i; }
for my $k (sort keys %h) { $s = ($s * 31 + $h{$k}) % 1000003; }
my $t = join(',', map { $_ * $_ % 997 } 1 .. 100000);
my $n = 0; $n++ while $t =~ /(\\d)\\1/g;
print \"$s $n\\n\";
";

const SQL: &str = "\
create table t(a integer primary key, b text, c real);
with recursive n(i) as (select 1 union all select i+1 from n where i<100000)
  insert into t select i, 'row '||(i*7919%100003), i*0.5 from n;
create index tb on t(b);
select count(*), sum(c), max(b) from t where b like 'row 9%';
select count(*) from t x join t y on x.b=y.b;
select b, count(*) from t group by substr(b,1,5) order by 2 desc limit 3;
";

const NODE: &str = "\
function fib(n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
let sum = fib(25), words = {};
for (let i = 0; i < 100000; i++) words['k' + i % 5003] = (words['k' + i % 5003] || 0) + i;
sum += JSON.stringify(words).length;
const numbers = new Float64Array(200000).map((_, i) => Math.sin(i) * i).sort();
console.log(sum + numbers[77]);
";

/// The small programs, and a program that only starts and ends.
pub fn small(built: &[Built], guest: &str, folder: &Path) -> Result<Vec<Task>, String> {
    let word = |path: &Path| vec![path.display().to_string()];
    let mut tasks: Vec<Task> = built
        .iter()
        .map(|one| Task {
            name: one.program.name,
            class: one.program.class,
            native: word(&one.native),
            guest: word(&one.guest),
            times: 1,
        })
        .collect();
    let source = folder.join("true.c");
    write(&source, "int main(void) { return 0; }\n")?;
    let (native, own) = (folder.join("true-native"), folder.join("true"));
    programs::compile("gcc", &source, &native)?;
    programs::compile(&programs::compiler(guest), &source, &own)?;
    let (native, guest) = (word(&native), word(&own));
    tasks.push(Task { name: "true, 100 times", class: "start", native, guest, times: 100 });
    Ok(tasks)
}

/// The distribution's programs that are in the folder `root`.
pub fn packages(root: &Path, guest: &str, folder: &Path) -> Result<Vec<Task>, String> {
    prepare(guest, folder)?;
    let words = |args: &[&str]| -> Vec<String> {
        args.iter().map(|arg| arg.replace('@', &folder.display().to_string())).collect()
    };
    let mut tasks = Vec::new();
    for package in PACKAGES {
        let file = |root: &Path, name: &str| root.join(package.path.replace('#', name));
        let (ours, own) = (file(Path::new("/"), std::env::consts::ARCH), file(root, guest));
        if !own.exists() {
            continue;
        }
        let with = |path: &Path| [vec![path.display().to_string()], words(package.args)].concat();
        let native = if ours.exists() { with(&ours) } else { Vec::new() };
        tasks.push(Task { name: package.name, class: "distribution", native, guest: with(&own), times: 1 });
    }
    Ok(tasks)
}

/// Writes what the programs work on.
fn prepare(guest: &str, folder: &Path) -> Result<(), String> {
    let mut text = String::new();
    let mut state = 1u64;
    while text.len() < 4 << 20 {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (word, number) = (state >> 58, state >> 33 & 0xfff);
        writeln!(text, "{word:06b} is what came after {number}, and {} follows", word * number)
            .expect("a string takes everything");
    }
    write(&folder.join("text"), &text)?;
    write(&folder.join("large"), &text.repeat(8))?;
    for (name, script) in
        [("script.py", PYTHON), ("script.pl", PERL), ("script.sql", SQL), ("script.js", NODE)]
    {
        write(&folder.join(name), script)?;
    }
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/bench/programs/lz.c");
    let (preprocessed, packed) = (folder.join("source.i"), folder.join("text"));
    run(Command::new(programs::compiler(guest)).args(["-E", "-O2", source, "-o"]).arg(preprocessed))?;
    run(Command::new("xz").args(["-k", "-6"]).arg(packed))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn run(command: &mut Command) -> Result<(), String> {
    let status = command.status().map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?} ended with {status}")) }
}
