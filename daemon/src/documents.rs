//! Parts of documents that are made from the tables of the code, between two comments of Markdown. Used by tests alone: each
//! compares what stands there with what should, and writes it anew where `UPDATE_DOCUMENTS` is set.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Has the part called `part` of `page`, a path from the root of the repository, be `made`. In the page it begins after
/// `<!-- part: ... -->` and ends before `<!-- end of part -->`.
#[track_caller]
pub(crate) fn keep(page: &str, part: &str, made: &str) {
    // Several tests keep parts of one page.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
    let (before, there, after) = split(&text, part).unwrap_or_else(|| panic!("{page} has no part {part}"));
    if there == made {
        return;
    }
    assert!(
        std::env::var_os("UPDATE_DOCUMENTS").is_some(),
        "{page} is not what the code says; UPDATE_DOCUMENTS=1 cargo test -p larderd --lib writes it anew. It should have:\n\
         {made}"
    );
    std::fs::write(&path, [before, made, after].concat()).unwrap();
}

/// What is before the part, the part, and what is after it.
fn split<'a>(text: &'a str, part: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let opening = text.find(&format!("<!-- {part}:"))?;
    let begin = opening + text[opening..].find("-->\n")? + "-->\n".len();
    let end = begin + text[begin..].find(&format!("<!-- end of {part} -->"))?;
    Some((&text[..begin], &text[begin..end], &text[end..]))
}

#[test]
fn parts_are_found_by_their_comments() {
    let text = "a\n<!-- x: by a test -->\nold\n<!-- end of x -->\nb\n";
    let parts = ("a\n<!-- x: by a test -->\n", "old\n", "<!-- end of x -->\nb\n");
    assert_eq!(split(text, "x"), Some(parts));
    assert_eq!(split(text, "y"), None);
}
