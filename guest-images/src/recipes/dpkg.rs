//! dpkg's database for packages that were unpacked by somebody else.
//!
//! Unpacking hundreds of packages with dpkg itself would take an emulated machine many minutes. Here the host does what
//! `dpkg --unpack` would do (dpkg(1), Debian Policy 6.6): files in their place, configuration files as `.dpkg-new`, the
//! control files in `/var/lib/dpkg/info`, interests in triggers noted, the status `install ok unpacked`. What is left
//! for the guest is `dpkg --configure`. `preinst` scripts run in the guest before that.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::deb;
use crate::error::{Error, Result};
use crate::repo::control;
use crate::tree::{Node, Tree};

/// The state of dpkg as packages are added.
#[derive(Default)]
pub(crate) struct Database {
    status: String,
    info: Tree,
    triggers: BTreeMap<String, Vec<String>>,
    file_triggers: Vec<String>,
    order: Vec<(String, String)>,
}

const ADMIN: &str = "var/lib/dpkg";

impl Database {
    /// Records a package and shows `place` each of its files under the path where dpkg would have put it.
    pub fn add(&mut self, package: &Path, place: &mut dyn FnMut(&str, Node) -> Result<()>) -> Result<()> {
        let bad = |why: &str| Error::format(package.display().to_string(), why);
        let files = deb::control(package)?;
        let text = |name: &str| {
            files.get(name).map(|(_, bytes)| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
        };
        let control_text = text("control");
        let paragraph =
            control::paragraphs(&control_text).next().ok_or_else(|| bad("the control file is empty"))?;
        let name = paragraph.get("Package").ok_or_else(|| bad("the control file names no package"))?;
        let arch =
            paragraph.get("Architecture").ok_or_else(|| bad("the control file names no architecture"))?;
        let info_name = match paragraph.get("Multi-Arch") {
            Some("same") => format!("{name}:{arch}"),
            _ => name.to_owned(),
        };
        // A line may carry a flag before the path; such files are not in the package.
        let conffiles_text = text("conffiles");
        let conffiles: BTreeSet<&str> = conffiles_text.lines().filter(|line| line.starts_with('/')).collect();

        let mut list = String::from("/.\n");
        deb::data(package, &|_| true, &mut |path, node| {
            if path.is_empty() {
                return Ok(());
            }
            let absolute = format!("/{path}");
            list.push_str(&absolute);
            list.push('\n');
            match conffiles.contains(absolute.as_str()) {
                true => place(&format!("{path}.dpkg-new"), node),
                false => place(&path, node),
            }
        })?;

        let info = |kind: &str| format!("{ADMIN}/info/{info_name}.{kind}");
        self.info.file(&info("list"), 0o644, list)?;
        for (kind, (mode, bytes)) in files.iter().filter(|(kind, _)| *kind != "control") {
            self.info.file(&info(kind), *mode, bytes.as_slice())?;
        }
        self.add_triggers(&text("triggers"), &info_name);
        self.add_status(name, &paragraph, &conffiles);
        self.order.push((name.to_owned(), info_name));
        Ok(())
    }

    fn add_status(&mut self, name: &str, paragraph: &control::Paragraph, conffiles: &BTreeSet<&str>) {
        self.status += &format!("Package: {name}\nStatus: install ok unpacked\n");
        for (field, value) in paragraph.fields().filter(|(field, _)| *field != "Package") {
            self.status += &format!("{field}: {value}\n");
        }
        if !conffiles.is_empty() {
            self.status += "Conffiles:\n";
            for path in conffiles {
                self.status += &format!(" {path} newconffile\n");
            }
        }
        self.status.push('\n');
    }

    /// Interests (deb-triggers(5)): those in paths share one file, the others have one each.
    fn add_triggers(&mut self, text: &str, info_name: &str) {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some(directive), Some(trigger)) = (words.next(), words.next()) else { continue };
            let who = match directive {
                "interest" | "interest-await" => info_name.to_owned(),
                "interest-noawait" => format!("{info_name}/noawait"),
                _ => continue,
            };
            match trigger.starts_with('/') {
                true => self.file_triggers.push(format!("{trigger} {who}\n")),
                false => self.triggers.entry(trigger.to_owned()).or_default().push(format!("{who}\n")),
            }
        }
    }

    /// Package and name in `info` of every package, a line each, in the order in which they were added.
    pub fn order(&self) -> String {
        self.order.iter().map(|(name, info)| format!("{name} {info}\n")).collect()
    }

    /// The database as files.
    pub fn files(self) -> Result<Tree> {
        let mut tree = self.info;
        let mut file = |name: &str, text: String| tree.file(&format!("{ADMIN}/{name}"), 0o644, text);
        file("status", self.status)?;
        file("available", String::new())?;
        file("diversions", String::new())?;
        file("statoverride", String::new())?;
        file("info/format", "1\n".to_owned())?;
        file("triggers/File", self.file_triggers.concat())?;
        file("triggers/Unincorp", String::new())?;
        file("triggers/Lock", String::new())?;
        for (trigger, who) in self.triggers {
            file(&format!("triggers/{trigger}"), who.concat())?;
        }
        for directory in ["updates", "alternatives", "parts"] {
            tree.dir(&format!("{ADMIN}/{directory}"))?;
        }
        Ok(tree)
    }
}

#[cfg(test)]
mod tests;
