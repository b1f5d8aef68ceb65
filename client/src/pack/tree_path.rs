use std::{cmp::Ordering, fmt, str::FromStr};

use crate::format::ParseError;

/// The longest name of a single file or folder, in bytes; what Linux file systems allow.
const SEGMENT_BYTES_MAX: usize = 255;

/// The name that Mainstay keeps for itself at the top of a tree.
const RESERVED_NAME: &str = ".mainstay";

/// Where an entry stands in a tree: names joined by `/`, never leading out of the tree.
///
/// Paths are ordered name by name and not as text, so a folder stands right before all that is in
/// it: `a`, `a/b`, `a.txt`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TreePath(String);

impl TreePath {
    /// The longest path, in bytes.
    pub const BYTES_MAX: usize = 4096;
    /// The most names in a path. Unpacking holds one folder open for each.
    pub const SEGMENTS_MAX: usize = 128;

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The names that the path is made of.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The path's last name.
    pub fn name(&self) -> &str {
        self.0.rsplit_once('/').map_or(self.as_str(), |(_, name)| name)
    }

    /// The path of the folder that the path stands in, or nothing at the top of the tree.
    pub fn folder(&self) -> Option<&str> {
        self.0.rsplit_once('/').map(|(folder, _)| folder)
    }

    /// How many folders the path stands in.
    pub(super) fn depth(&self) -> usize {
        self.0.bytes().filter(|byte| *byte == b'/').count()
    }
}

/// Whether `text` may stand in a path. Control characters would write to the terminal of whoever
/// lists the tree; a backslash separates names on some systems.
fn has_only_path_characters(text: &str) -> bool {
    !text.chars().any(|character| character.is_control() || character == '\\')
}

impl FromStr for TreePath {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Self, ParseError> {
        let is_name = |name: &str| {
            (1..=SEGMENT_BYTES_MAX).contains(&name.len()) && name != "." && name != ".."
        };
        let is_path = text.len() <= Self::BYTES_MAX
            && has_only_path_characters(text)
            && text.split('/').all(is_name)
            && text.split('/').count() <= Self::SEGMENTS_MAX
            && text.split('/').next() != Some(RESERVED_NAME);
        if is_path {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::new(
                "path in a tree",
                text,
                "1 to 128 names of 1 to 255 bytes joined by '/', 4096 bytes in all, no name '.' \
                 or '..', no control character or backslash, the first name not '.mainstay'",
            ))
        }
    }
}

impl Ord for TreePath {
    fn cmp(&self, other: &Self) -> Ordering {
        self.segments().cmp(other.segments())
    }
}

impl PartialOrd for TreePath {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for TreePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

/// What a symbolic link points to: a relative path that stays in the tree.
///
/// `..` may stand only at the beginning. There it leads up from the link's own folder, a real one;
/// behind a name it would lead up from wherever that name, if it is itself a link, ends, and a
/// chain of links that each look harmless could leave the tree.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LinkTarget(String);

impl LinkTarget {
    /// The longest target, in bytes; what Linux allows.
    pub const BYTES_MAX: usize = 4095;

    /// The target `text` of the symbolic link at `link`.
    pub fn new(link: &TreePath, text: &str) -> Result<Self, ParseError> {
        let stays_in_tree = || {
            let mut folders_above = link.depth();
            let mut may_go_up = true;
            text.split('/').filter(|name| !matches!(*name, "" | ".")).all(|name| {
                if name == ".." {
                    let goes_up = may_go_up && folders_above > 0;
                    folders_above = folders_above.saturating_sub(1);
                    goes_up
                } else {
                    may_go_up = false;
                    name.len() <= SEGMENT_BYTES_MAX
                }
            })
        };
        let is_target = (1..=Self::BYTES_MAX).contains(&text.len())
            && !text.starts_with('/')
            && has_only_path_characters(text)
            && stays_in_tree();
        if is_target {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseError::new(
                "target of a symbolic link",
                text,
                "1 to 4095 bytes, a relative path that stays in the tree, '..' only at its \
                 beginning, no control character or backslash",
            ))
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for LinkTarget {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        text.parse().unwrap()
    }

    #[test]
    fn paths_that_could_leave_the_tree_are_refused() {
        let deep = vec!["a"; TreePath::SEGMENTS_MAX + 1].join("/");
        let long = vec!["a".repeat(255); 17].join("/");
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "a/",
            "a//b",
            ".",
            "..",
            "./a",
            "../a",
            "a/../b",
            "a/.",
            "a/..",
            "a\0",
            "a\nb",
            "a\u{1b}[31m",
            "a\u{85}",
            "a\\b",
            ".mainstay",
            ".mainstay/journal",
            &"a".repeat(256),
            &deep,
            &long,
        ] {
            assert!(bad.parse::<TreePath>().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn paths_that_real_trees_have_are_accepted() {
        let deep = vec!["a"; TreePath::SEGMENTS_MAX].join("/");
        let long = vec!["a".repeat(240); 17].join("/");
        for good in ["a", "a/b", "...", ".hidden", "a b", "größe/日本語", "a/.mainstay", "-rf"]
        {
            assert!(good.parse::<TreePath>().is_ok(), "{good}");
        }
        for good in [&"a".repeat(255), &deep, &long] {
            assert!(good.parse::<TreePath>().is_ok(), "{good}");
        }
    }

    #[test]
    fn a_folder_stands_right_before_all_that_is_in_it() {
        let mut paths = ["b", "a.txt", "a/b", "a", "a/b/c", "a-b", "a/b.c", "A"].map(path);
        paths.sort();
        let texts = paths.each_ref().map(TreePath::as_str);
        assert_eq!(texts, ["A", "a", "a/b", "a/b/c", "a/b.c", "a-b", "a.txt", "b"]);
    }

    #[test]
    fn a_path_knows_its_folder_and_name() {
        assert_eq!((path("a").folder(), path("a").name(), path("a").depth()), (None, "a", 0));
        let deep = path("a/b/c");
        assert_eq!((deep.folder(), deep.name(), deep.depth()), (Some("a/b"), "c", 2));
    }

    #[test]
    fn links_stay_in_the_tree() {
        for (link, target) in [
            ("a", "b"),
            ("a", "./b//c/"),
            ("a", "."),
            ("a/b", ".."),
            ("a/b", "../c"),
            ("a/b/c", "../../d/e"),
            ("a/b/c", "../.././d"),
        ] {
            assert!(LinkTarget::new(&path(link), target).is_ok(), "{link} -> {target}");
        }
        for (link, target) in [
            ("a", ""),
            ("a", "/b"),
            ("a", ".."),
            ("a", "../b"),
            ("a", "b/.."),
            ("a", "b/../../c"),
            ("a/b", "../.."),
            ("a/b", ".././../c"),
            ("a/b/c", "d/../e"),
            ("a", "b\nc"),
            ("a", "b\\c"),
            ("a", &"b".repeat(256)),
            ("a", &"b/".repeat(2048)),
        ] {
            assert!(LinkTarget::new(&path(link), target).is_err(), "{link} -> {target}");
        }
    }
}
