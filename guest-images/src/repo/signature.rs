//! The signature inside an `InRelease` file (a cleartext signed message, RFC 9580 chapter 7), checked by gpgv(1) with the
//! distribution's keyring.
//!
//! apt's own packages bring gpgv, and `debian-archive-keyring` the keys. Where either is missing there is nothing to
//! check with; the caller is told so and says it.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};

/// Where the package `debian-archive-keyring` puts the archive's keys.
const KEYRINGS: [&str; 2] =
    ["/usr/share/keyrings/debian-archive-keyring.gpg", "/usr/share/keyrings/debian-archive-keyring.pgp"];

/// A program and a keyring to check signatures with.
#[derive(Debug, Clone)]
pub struct Verifier {
    /// gpgv, or a program with its interface.
    pub program: PathBuf,
    /// The trusted keys; without one, the distribution's.
    pub keyring: Option<PathBuf>,
}

/// What a check came to when nothing speaks against the signature.
#[derive(Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Signed by the key of this owner.
    Good(String),
    /// Could not be checked, and why.
    Unchecked(String),
}

impl Default for Verifier {
    fn default() -> Self {
        Verifier { program: "gpgv".into(), keyring: None }
    }
}

impl Verifier {
    /// Checks the signature inside the file `signed` that came from `url`. One good signature is enough (a release is signed
    /// by several keys, of which an older keyring lacks some); one bad signature is too many.
    pub fn check(&self, signed: &Path, url: &str) -> Result<Verdict> {
        let installed = || KEYRINGS.iter().map(PathBuf::from).find(|path| path.exists());
        let Some(keyring) = self.keyring.clone().or_else(installed) else {
            return Ok(Verdict::Unchecked(format!("{} is not installed", KEYRINGS[0])));
        };
        let run = Command::new(&self.program)
            .args(["--status-fd", "1", "--keyring"])
            .args([&keyring, signed])
            .env("LC_ALL", "C")
            .output();
        let output = match run {
            Ok(output) => output,
            Err(e) => {
                return Ok(Verdict::Unchecked(format!("{} cannot be run: {e}", self.program.display())));
            }
        };
        let status = String::from_utf8_lossy(&output.stdout);
        let lines = || status.lines().filter_map(|line| line.strip_prefix("[GNUPG:] "));
        let good = lines().find_map(|line| line.strip_prefix("GOODSIG ")?.split_once(' '));
        let valid = lines().any(|line| line.starts_with("VALIDSIG "));
        let bad = lines().any(|line| line.starts_with("BADSIG "));
        match good {
            Some((_, owner)) if valid && !bad => Ok(Verdict::Good(owner.to_owned())),
            _ => {
                let words = String::from_utf8_lossy(&output.stderr);
                let why = words.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no good signature");
                Err(Error::Signature { url: url.to_owned(), keyring, why: why.to_owned() })
            }
        }
    }
}

/// The text that the signature of `message` covers; `None` if anything stands before or behind the signed part, or twice.
pub fn signed_text(message: &str) -> Option<String> {
    const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
    const SIGNATURE: &str = "-----BEGIN PGP SIGNATURE-----";
    const END: &str = "-----END PGP SIGNATURE-----";
    let mut lines = message.lines().map(str::trim_end);
    if lines.next()? != BEGIN {
        return None;
    }
    // Which hash was used, up to an empty line.
    lines.find(|line| line.is_empty())?;
    let mut text = String::new();
    loop {
        match lines.next()? {
            SIGNATURE => break,
            line => {
                // A line that begins with a dash is written with "- " before it.
                let plain = line.strip_prefix("- ").unwrap_or(line);
                if plain == line && line.starts_with('-') {
                    return None;
                }
                text += plain;
                text.push('\n');
            }
        }
    }
    lines.find(|line| *line == END)?;
    lines.all(str::is_empty).then_some(text)
}
