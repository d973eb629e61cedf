//! A guest of a test: what its keys mean as options of the emulator.

use super::variables::Variables;
use serde::Deserialize;
use std::path::PathBuf;

/// The keys of a guest.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct RawGuest {
    arch: Option<String>,
    argv: Option<Words>,
    machine: Option<String>,
    cpu: Option<String>,
    cpus: Option<Word>,
    memory: Option<Word>,
    bios: Option<String>,
    kernel: Option<String>,
    initrd: Option<String>,
    append: Option<String>,
    dtb: Option<String>,
    args: Option<Words>,
    lines: Option<Vec<String>>,
    symbols: Option<String>,
    deterministic: Option<bool>,
    paused: Option<bool>,
}

/// A text, or a number that stands for one.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Word {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

impl Word {
    /// As text.
    pub fn text(&self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text.clone(),
        }
    }
}

/// Words of a command line: a list, or a text that is cut as a shell does.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Words {
    /// As a shell cuts it.
    Text(String),
    /// Cut already.
    List(Vec<String>),
}

impl Words {
    fn cut(&self, variables: &Variables) -> Result<Vec<String>, String> {
        match self {
            Self::List(words) => words.iter().map(|word| variables.fill(word)).collect(),
            Self::Text(text) => {
                let text = variables.fill(text)?;
                shlex::split(&text).ok_or_else(|| format!("\"{text}\": a quotation mark is not closed"))
            }
        }
    }
}

/// A guest that can be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestSpec {
    /// Its architecture.
    pub arch: String,
    /// Options of the emulator.
    pub words: Vec<String>,
    /// Character devices that are the test's.
    pub lines: Vec<String>,
    /// File with symbols.
    pub symbols: Option<PathBuf>,
    /// Its vCPUs stand still until a step has them run.
    pub paused: bool,
}

/// Keys that a matrix may set.
pub const MATRIX_KEYS: [&str; 5] = ["arch", "machine", "cpu", "cpus", "memory"];

impl RawGuest {
    /// These keys, and those of `base` where there is none.
    pub fn or(&self, base: &Self) -> Self {
        macro_rules! join { ($($key:ident)*) => { Self { $($key: self.$key.clone().or_else(|| base.$key.clone()),)* } } }
        join!(arch argv machine cpu cpus memory bios kernel initrd append dtb args lines symbols deterministic paused)
    }

    /// Sets a key of [`MATRIX_KEYS`].
    pub fn set(&mut self, key: &str, value: &str) {
        let value = value.to_string();
        match key {
            "arch" => self.arch = Some(value),
            "machine" => self.machine = Some(value),
            "cpu" => self.cpu = Some(value),
            "cpus" => self.cpus = Some(Word::Text(value)),
            "memory" => self.memory = Some(Word::Text(value)),
            _ => {}
        }
    }

    /// What it means.
    ///
    /// # Errors
    /// A sentence.
    pub fn finish(&self, variables: &Variables) -> Result<GuestSpec, String> {
        let fill = |text: &Option<String>| text.as_ref().map(|text| variables.fill(text)).transpose();
        let mut lines = vec!["serial0".to_string()];
        lines.extend(self.lines.iter().flatten().cloned());
        let mut words = match &self.argv {
            Some(argv) => argv.cut(variables)?,
            None => {
                vec!["-nodefaults".into(), "-machine".into(), fill(&self.machine)?.unwrap_or("virt".into())]
            }
        };
        if self.argv.is_some() && self.machine.is_some() {
            words.extend(["-machine".into(), fill(&self.machine)?.unwrap_or_default()]);
        }
        let keys = [
            ("-cpu", fill(&self.cpu)?),
            ("-smp", fill(&self.cpus.as_ref().map(Word::text))?),
            ("-m", fill(&self.memory.as_ref().map(Word::text))?),
            ("-bios", fill(&self.bios)?),
            ("-kernel", fill(&self.kernel)?),
            ("-initrd", fill(&self.initrd)?),
            ("-append", fill(&self.append)?),
            ("-dtb", fill(&self.dtb)?),
        ];
        for (option, value) in keys {
            words.extend(value.into_iter().flat_map(|value| [option.to_string(), value]));
        }
        words.extend(self.args.as_ref().map(|args| args.cut(variables)).transpose()?.into_iter().flatten());
        if self.deterministic == Some(true) {
            words.push("-deterministic".into());
        }
        let shown = ["-nographic", "--nographic", "-display", "--display"];
        if !words.iter().any(|word| shown.contains(&&**word)) {
            words.extend(["-display".into(), "none".into()]);
        }
        connect_serial(&mut words, &lines[0]);
        let kernel = fill(&self.kernel)?.or_else(|| value_of(&words, "kernel"));
        let symbols = fill(&self.symbols)?.or(kernel).map(PathBuf::from);
        let arch = fill(&self.arch)?.unwrap_or("riscv64".into());
        Ok(GuestSpec { arch, words, lines, symbols, paused: self.paused.unwrap_or(false) })
    }
}

/// A guest of options that a shell would cut.
///
/// # Errors
/// A sentence.
pub fn guest_of_options(options: &str, arch: &str, symbols: Option<&str>) -> Result<GuestSpec, String> {
    let raw = RawGuest {
        arch: Some(arch.into()),
        argv: Some(Words::Text(options.into())),
        symbols: symbols.map(String::from),
        ..RawGuest::default()
    };
    raw.finish(&Variables::default())
}

fn is_option(word: &str, name: &str) -> bool {
    word.strip_prefix("--").or_else(|| word.strip_prefix('-')) == Some(name)
}

fn value_of(words: &[String], name: &str) -> Option<String> {
    let at = words.iter().position(|word| is_option(word, name))?;
    words.get(at + 1).cloned()
}

/// The first serial port goes to the test, wherever the words would have it go.
fn connect_serial(words: &mut Vec<String>, line: &str) {
    let target = format!("chardev:{line}");
    match words.iter().position(|word| is_option(word, "serial")) {
        Some(at) if at + 1 < words.len() => words[at + 1] = target,
        _ => words.extend(["-serial".into(), target]),
    }
}
