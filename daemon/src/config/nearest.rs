//! Finds the name that was probably meant.
//!
//! Used for unknown keys and variables. Never decides anything: it only suggests.

use super::table::SETTINGS;

/// The setting whose name is nearest to `name`, when it is near enough to be a slip of the fingers: about one edit in
/// three letters.
pub(super) fn nearest(name: &str) -> Option<&'static str> {
    let name = name.to_ascii_lowercase().replace('-', "_");
    let (distance, nearest) =
        SETTINGS.iter().map(|setting| (edits(&name, setting.name), setting.name)).min_by_key(|(d, _)| *d)?;
    (distance <= (nearest.len() / 3).max(1)).then_some(nearest)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b` (optimal string alignment, see
/// L. Boytsov, "Indexing methods for approximate dictionary searching", 2011). Quadratic, for names only.
fn edits(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut two_ago: Vec<usize> = Vec::new();
    let mut previous: Vec<usize> = (0..=b.len()).collect();
    for (i, &from) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, &to) in b.iter().enumerate() {
            let mut best = (previous[j] + usize::from(from != to)).min(previous[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && from == b[j - 1] && a[i - 1] == to {
                best = best.min(two_ago[j - 1] + 1);
            }
            row.push(best);
        }
        two_ago = std::mem::replace(&mut previous, row);
    }
    previous[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let cases =
            [("", "", 0), ("", "abc", 3), ("abc", "", 3), ("abc", "abc", 0), ("kitten", "sitting", 3)];
        for (a, b, expected) in cases {
            assert_eq!(edits(a, b), expected, "{a} {b}");
        }
        assert_eq!(edits("memroy_cap", "memory_cap"), 1);
        assert_eq!(edits("ab", "ba"), 1);
    }

    #[test]
    fn suggests_slips_and_nothing_else() {
        assert_eq!(nearest("memroy_cap"), Some("memory_cap"));
        assert_eq!(nearest("memory-cap"), Some("memory_cap"));
        assert_eq!(nearest("SOCKT"), Some("socket"));
        assert_eq!(nearest("loglevel"), Some("log_level"));
        assert_eq!(nearest("url"), None);
        assert_eq!(nearest("colour_of_the_dashboard"), None);
        assert_eq!(nearest(""), None);
    }
}
