//! Ordering of package versions (deb-version(7)): epoch, upstream version, revision.

use std::cmp::Ordering;

/// Compares two versions as dpkg does.
pub fn compare(a: &str, b: &str) -> Ordering {
    let (epoch_a, rest_a) = epoch(a);
    let (epoch_b, rest_b) = epoch(b);
    let (upstream_a, revision_a) = rest_a.rsplit_once('-').unwrap_or((rest_a, ""));
    let (upstream_b, revision_b) = rest_b.rsplit_once('-').unwrap_or((rest_b, ""));
    epoch_a
        .cmp(&epoch_b)
        .then_with(|| compare_part(upstream_a.as_bytes(), upstream_b.as_bytes()))
        .then_with(|| compare_part(revision_a.as_bytes(), revision_b.as_bytes()))
}

fn epoch(version: &str) -> (u64, &str) {
    match version.split_once(':') {
        Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
        None => (0, version),
    }
}

/// Non-digits and digits in turn: non-digits by [`weight`], digits by value.
fn compare_part(mut a: &[u8], mut b: &[u8]) -> Ordering {
    while !a.is_empty() || !b.is_empty() {
        let text = |s: &[u8]| s.iter().take_while(|c| !c.is_ascii_digit()).count();
        let (text_a, text_b) = (text(a), text(b));
        for i in 0..text_a.max(text_b) {
            let at = |s: &[u8], len| if i < len { weight(s[i]) } else { 0 };
            let order = at(a, text_a).cmp(&at(b, text_b));
            if order != Ordering::Equal {
                return order;
            }
        }
        let (number_a, rest_a) = number(&a[text_a..]);
        let (number_b, rest_b) = number(&b[text_b..]);
        let order = number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b));
        if order != Ordering::Equal {
            return order;
        }
        (a, b) = (rest_a, rest_b);
    }
    Ordering::Equal
}

/// The leading digits without leading zeros, and what follows them.
fn number(s: &[u8]) -> (&[u8], &[u8]) {
    let digits = s.iter().take_while(|c| c.is_ascii_digit()).count();
    let zeros = s[..digits].iter().take_while(|c| **c == b'0').count();
    (&s[zeros..digits], &s[digits..])
}

/// A tilde sorts before the end of the part (0), letters before everything else.
fn weight(c: u8) -> i32 {
    match c {
        b'~' => -1,
        c if c.is_ascii_alphabetic() => i32::from(c),
        c => i32::from(c) + 256,
    }
}

#[cfg(test)]
mod tests {
    use super::compare;
    use std::cmp::Ordering::{Equal, Greater, Less};

    #[test]
    fn versions_sort_as_dpkg_sorts_them() {
        for (a, b, order) in [
            ("1.0", "1.0", Equal),
            ("1.0", "1.00", Equal),
            ("1.9", "1.10", Less),
            ("1:0.1", "2.0", Greater),
            ("1.0~rc1", "1.0", Less),
            ("1.0-1", "1.0-1+b1", Less),
            ("1.0-1~bpo12+1", "1.0-1", Less),
            ("6.12.107-1", "6.12.94-1", Greater),
            ("1.0a", "1.0+", Less),
            ("2.41-12+deb13u4", "2.41-12", Greater),
            ("", "0", Equal),
        ] {
            assert_eq!(compare(a, b), order, "{a} against {b}");
            assert_eq!(compare(b, a), order.reverse(), "{b} against {a}");
        }
    }
}
