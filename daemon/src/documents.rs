//! Parts of documents that are made from the tables of the code, between two comments of Markdown. Used by tests alone: each
//! compares what stands there with what should, and writes it anew where `UPDATE_DOCUMENTS` is set.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// Has the part called `part` of `page`, a path from the root of the repository, be `made`. In the page it begins after
/// `<!-- part: ... -->` and ends before `<!-- end of part -->`.
#[track_caller]
pub(crate) fn keep(page: &str, part: &str, made: &str) {
    // Several tests keep parts of one page.
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let (path, text) = read(page);
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

/// Has the part `contents` of `page` be links to its sections.
#[track_caller]
pub(crate) fn keep_contents(page: &str) {
    let (_, text) = read(page);
    keep(page, "contents", &contents(&text));
}

fn read(page: &str) -> (PathBuf, String) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(page);
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{page}: {error}"));
    (path, text)
}

/// The sections of a page as links, in lines as wide as its paragraphs are.
fn contents(text: &str) -> String {
    let sections: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("## ")).collect();
    let mut lines = vec![String::new()];
    for (at, section) in sections.iter().enumerate() {
        let kept = |letter: &char| letter.is_alphanumeric() || [' ', '-'].contains(letter);
        let anchor: String = section.to_lowercase().chars().filter(kept).collect();
        let end = if at + 1 < sections.len() { "," } else { "" };
        let entry = format!("[{section}](#{}){end}", anchor.replace(' ', "-"));
        let line = lines.last_mut().expect("there is always one");
        match line.len() {
            0 => line.push_str(&entry),
            length if length + 1 + entry.len() <= 128 => line.extend([" ", &entry]),
            _ => lines.push(entry),
        }
    }
    lines.join("\n") + "\n"
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

#[test]
fn contents_are_links_to_the_sections() {
    let text = "# page\n\n## One, and two\n### not this\n## Three\n";
    assert_eq!(contents(text), "[One, and two](#one-and-two), [Three](#three)\n");
    let many = contents(&"## 0123456789\n".repeat(20));
    assert_eq!(many.matches("](#").count(), 20);
    assert!(many.lines().count() > 1 && many.lines().all(|line| line.len() <= 128), "{many}");
}

/// Those of the pages that are made of tables are kept where the tables are.
#[test]
fn documents_written_by_hand_have_contents_too() {
    keep_contents("daemon/ERRORS.md");
    keep_contents("ARCHITECTURE.md");
    keep_contents("systemd/README.md");
}
