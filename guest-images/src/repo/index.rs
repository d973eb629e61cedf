//! The package index of a suite, and which packages a package needs.
//!
//! Relations follow Debian Policy 7: `Depends` and `Pre-Depends` with alternatives, versions and `Provides`. Inside one
//! release everything fits together by construction, so the first alternative that exists is taken, unless another one
//! is already part of the set; `Conflicts` and `Breaks` are not weighed.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::http::Expected;
use crate::repo::{control, version};

/// What is needed of a binary package's entry.
#[derive(Debug, Clone)]
pub struct Package {
    /// Name.
    pub name: String,
    /// Version with epoch.
    pub version: String,
    /// Debian architecture, or `all`.
    pub arch: String,
    /// Whether every system must have it.
    pub essential: bool,
    /// `required`, `important`, `standard`, `optional` or `extra`.
    pub priority: String,
    /// Path below the mirror.
    pub filename: String,
    /// Length and checksum of that file.
    pub expected: Expected,
    /// `Pre-Depends` and `Depends`: all of these, each satisfied by any one of its alternatives.
    pub depends: Vec<Vec<Relation>>,
    provides: Vec<Relation>,
}

/// A package name with an optional condition on its version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relation {
    /// Name of a real or virtual package.
    pub name: String,
    /// Operator (`<<`, `<=`, `=`, `>=`, `>>`) and version.
    pub condition: Option<(String, String)>,
}

/// All packages of a suite for one architecture.
#[derive(Debug, Default)]
pub struct Index {
    packages: Vec<Package>,
    by_name: BTreeMap<String, Vec<usize>>,
    providers: BTreeMap<String, Vec<usize>>,
}

impl Index {
    /// Reads a `Packages` file. Entries without the fields that a fetch needs are passed over.
    pub fn parse(text: &str) -> Index {
        let mut index = Index::default();
        for package in control::paragraphs(text).filter_map(|p| Package::parse(&p)) {
            let n = index.packages.len();
            index.by_name.entry(package.name.clone()).or_default().push(n);
            for provided in &package.provides {
                index.providers.entry(provided.name.clone()).or_default().push(n);
            }
            index.packages.push(package);
        }
        index
    }

    /// The newest package of this name.
    pub fn find(&self, name: &str) -> Result<&Package> {
        let relation = Relation { name: name.to_owned(), condition: None };
        self.candidate(&relation).ok_or_else(|| no_package(&[relation], None))
    }

    /// The packages for which `wanted` holds, by name.
    pub fn select(&self, wanted: impl Fn(&Package) -> bool) -> BTreeSet<&str> {
        self.packages.iter().filter(|p| wanted(p)).map(|p| p.name.as_str()).collect()
    }

    /// The named packages and all that they need, each after what it needs (as far as there is no circle).
    pub fn closure<'a>(&'a self, names: impl IntoIterator<Item = &'a str>) -> Result<Vec<&'a Package>> {
        let names: Vec<&str> = names.into_iter().collect();
        let roots: BTreeSet<&str> = names.iter().copied().collect();
        let mut walk = Walk { index: self, roots, seen: BTreeSet::new(), order: Vec::new() };
        for name in names {
            walk.visit(self.find(name)?)?;
        }
        Ok(walk.order)
    }

    /// The newest real package that satisfies the relation, or else a provider.
    fn candidate(&self, relation: &Relation) -> Option<&Package> {
        let real = self.by_name.get(&relation.name).into_iter().flatten().map(|n| &self.packages[*n]);
        let newest = real
            .filter(|p| relation.accepts(&p.version))
            .max_by(|a, b| version::compare(&a.version, &b.version));
        newest.or_else(|| {
            let mut providers =
                self.providers.get(&relation.name).into_iter().flatten().map(|n| &self.packages[*n]);
            providers.find(|p| p.provides(relation))
        })
    }
}

/// A depth-first walk over the relations. It keeps its own stack of work, because the depth is the archive's to choose.
struct Walk<'a> {
    index: &'a Index,
    roots: BTreeSet<&'a str>,
    seen: BTreeSet<&'a str>,
    order: Vec<&'a Package>,
}

impl<'a> Walk<'a> {
    fn visit(&mut self, root: &'a Package) -> Result<()> {
        if !self.seen.insert(&root.name) {
            return Ok(());
        }
        let mut stack: Vec<(&'a Package, usize)> = vec![(root, 0)];
        while let Some((package, next)) = stack.last_mut() {
            let package = *package;
            let Some(alternatives) = package.depends.get(*next) else {
                self.order.push(package);
                stack.pop();
                continue;
            };
            *next += 1;
            let chosen = self.choose(alternatives).ok_or_else(|| no_package(alternatives, Some(package)))?;
            if self.seen.insert(&chosen.name) {
                stack.push((chosen, 0));
            }
        }
        Ok(())
    }

    fn choose(&self, alternatives: &[Relation]) -> Option<&'a Package> {
        let index = self.index;
        let in_set = |name: &str| self.seen.contains(name) || self.roots.contains(name);
        let candidates = alternatives.iter().filter_map(|r| index.candidate(r));
        let present = candidates.clone().find(|p| in_set(&p.name));
        let provided = || {
            let names = alternatives.iter().filter_map(|r| Some((r, index.providers.get(&r.name)?)));
            names
                .flat_map(|(r, numbers)| numbers.iter().map(move |n| (r, &index.packages[*n])))
                .find(|(r, p)| in_set(&p.name) && p.provides(r))
                .map(|(_, p)| p)
        };
        present.or_else(provided).or_else(|| candidates.clone().next())
    }
}

impl Package {
    fn parse(paragraph: &control::Paragraph) -> Option<Package> {
        let text = |field| paragraph.get(field).map(str::to_owned);
        let relations = |field| parse_relations(paragraph.get(field).unwrap_or(""));
        Some(Package {
            name: text("Package")?,
            version: text("Version")?,
            arch: text("Architecture")?,
            essential: paragraph.get("Essential") == Some("yes"),
            priority: text("Priority").unwrap_or_default(),
            filename: text("Filename")?,
            expected: Expected { sha256: text("SHA256")?, size: paragraph.get("Size")?.parse().ok()? },
            depends: [relations("Pre-Depends"), relations("Depends")].concat(),
            provides: relations("Provides").concat(),
        })
    }

    /// Whether this package provides what the relation asks for. Only a provision that names a version satisfies a
    /// condition on it (Debian Policy 7.5).
    fn provides(&self, relation: &Relation) -> bool {
        self.provides.iter().filter(|p| p.name == relation.name).any(|p| match &p.condition {
            Some((_, version)) => relation.accepts(version),
            None => relation.condition.is_none(),
        })
    }
}

impl Relation {
    /// Whether the condition holds for a version.
    pub fn accepts(&self, version: &str) -> bool {
        let Some((operator, wanted)) = &self.condition else { return true };
        let order = version::compare(version, wanted);
        match operator.as_str() {
            "<<" => order == Ordering::Less,
            "<=" | "<" => order != Ordering::Greater,
            "=" => order == Ordering::Equal,
            ">=" | ">" => order != Ordering::Less,
            ">>" => order == Ordering::Greater,
            _ => false,
        }
    }
}

impl std::fmt::Display for Relation {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match &self.condition {
            Some((operator, version)) => write!(f, "{} ({operator} {version})", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// `a (>= 1) | b:any, c`
fn parse_relations(text: &str) -> Vec<Vec<Relation>> {
    let alternatives = |group: &str| group.split('|').filter_map(parse_relation).collect::<Vec<_>>();
    text.split(',').map(alternatives).filter(|group| !group.is_empty()).collect()
}

fn parse_relation(text: &str) -> Option<Relation> {
    let (name, condition) = match text.split_once('(') {
        Some((name, rest)) => {
            let rest = rest.split(')').next()?.trim();
            let version = rest.trim_start_matches(['<', '>', '=']);
            let operator = &rest[..rest.len() - version.len()];
            (name, Some((operator.to_owned(), version.trim().to_owned())))
        }
        None => (text, None),
    };
    // The architecture qualifier (`:any`) says which foreign architectures would do; there is only one here.
    let name = name.split_whitespace().next()?.split(':').next()?;
    (!name.is_empty()).then(|| Relation { name: name.to_owned(), condition })
}

fn no_package(alternatives: &[Relation], needed_by: Option<&Package>) -> Error {
    Error::NoPackage {
        relation: alternatives.iter().map(Relation::to_string).collect::<Vec<_>>().join(" | "),
        needed_by: needed_by.map(|p| format!(", which {} needs", p.name)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests;
