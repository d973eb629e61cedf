//! A test that is run once for each combination of values.

use super::guest::Word;
use std::collections::BTreeMap;

/// Values by name.
pub type Matrix = BTreeMap<String, Vec<Word>>;

/// Every combination: names with one value each.
pub fn combinations(matrix: &Matrix) -> Vec<Vec<(String, String)>> {
    let mut all = vec![Vec::new()];
    for (name, values) in matrix {
        let add = |combination: &Vec<(String, String)>| {
            values
                .iter()
                .map(|value| {
                    let mut longer = combination.clone();
                    longer.push((name.clone(), value.text()));
                    longer
                })
                .collect::<Vec<_>>()
        };
        all = all.iter().flat_map(add).collect();
    }
    all
}

/// What is put behind the name of a test.
pub fn suffix(combination: &[(String, String)]) -> String {
    if combination.is_empty() {
        return String::new();
    }
    let parts: Vec<String> = combination.iter().map(|(name, value)| format!("{name}={value}")).collect();
    format!(" [{}]", parts.join(","))
}
