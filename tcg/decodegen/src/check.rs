//! What the rows of a table owe each other: expansions name rows that take such operands, and no word fits two rows.

use crate::Error;
use crate::table::{Arg, Row, Table};

/// Checks the table as a whole.
pub fn table(table: &Table) -> Result<(), Error> {
    for row in &table.rows {
        expansion(table, row)?;
    }
    for (n, row) in table.rows.iter().enumerate() {
        for other in table.rows[n + 1..].iter().filter(|other| overlap(row, other)) {
            let same_group = row.group.is_some() && row.group == other.group;
            if !same_group {
                return other.place.error(format!(
                    "{} overlaps {} of {}:{}",
                    other.name, row.name, row.place.file, row.place.line
                ));
            }
            if other.fixed.implies(row.fixed) && row.excluded.is_empty() && row.extensions == other.extensions
            {
                return other.place.error(format!("{} is never reached behind {}", other.name, row.name));
            }
        }
    }
    Ok(())
}

fn overlap(a: &Row, b: &Row) -> bool {
    let excludes = |a: &Row, b: &Row| a.excluded.iter().any(|excluded| b.fixed.implies(*excluded));
    a.width == b.width && a.fixed.meets(b.fixed) && !excludes(a, b) && !excludes(b, a)
}

fn expansion(table: &Table, row: &Row) -> Result<(), Error> {
    let Some(expansion) = &row.expansion else { return Ok(()) };
    let name = &expansion.target;
    let Some(target) = table.row(name).filter(|target| target.expansion.is_none()) else {
        return row.place.error(format!("there is no row {name} with a meaning of its own"));
    };
    let wanted = &target.format.operands;
    if wanted.len() != expansion.args.len() {
        return row.place.error(format!(
            "{name} has {} operands, not {}",
            wanted.len(),
            expansion.args.len()
        ));
    }
    for (operand, arg) in wanted.iter().zip(&expansion.args) {
        let (least, most) = match arg {
            Arg::Constant(value) => (*value, *value),
            Arg::Operand(n) => row.format.operands[*n].range(),
        };
        let range = operand.range();
        if least < range.0 || most > range.1 {
            return row.place.error(format!("not all values fit operand {} of {name}", operand.name));
        }
    }
    Ok(())
}
