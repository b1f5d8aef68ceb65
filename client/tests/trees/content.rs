//! What a tree holds.

use super::{
    super::raw::{Raw, archive},
    Case,
    Fate::{Refused, Unpacked},
    PATHS, TARGETS, case, tree,
};

pub(super) fn kinds() -> Vec<Case> {
    let of_mode = |kind, mode| Raw::new(kind, "a", mode, b"");
    let of_kind =
        |kind, target: &str| [Raw::file("a"), Raw::new(kind, "b", 0o644, b"").linking_to(target)];
    let device = |kind| [Raw::new(kind, "a", 0o666, b"").field(329, b"0000001\x000000003\x00")];
    vec![
        tree(
            "set-user-id",
            "a program that runs as its owner",
            [of_mode(b'0', 0o4755)],
            Refused("has mode 4755: expected permission bits only"),
        ),
        tree(
            "set-group-id",
            "a folder that hands on its group",
            [of_mode(b'5', 0o2755)],
            Refused("has mode 2755: expected permission bits only"),
        ),
        tree(
            "sticky",
            "a folder with the sticky bit",
            [of_mode(b'5', 0o1777)],
            Refused("has mode 1777: expected permission bits only"),
        ),
        tree(
            "file-type-in-mode",
            "a mode that is more than permissions",
            [of_mode(b'0', 0o100_644)],
            Refused("has mode 100644: expected permission bits only"),
        ),
        tree(
            "for-the-owner",
            "a file that its owner may read, and nobody else",
            [of_mode(b'0', 0o400)],
            Unpacked("as it says"),
        ),
        tree(
            "sealed-folder",
            "a file in a folder that nobody may write to",
            [Raw::new(b'5', "a", 0o555, b""), Raw::file("a/b")],
            Unpacked("as it says"),
        ),
        tree("character-device", "the device 1:3", device(b'3'), Refused("is of tar type '3'")),
        tree(
            "block-device",
            "the device 1:3, as a disk",
            device(b'4'),
            Refused("is of tar type '4'"),
        ),
        tree("named-pipe", "a named pipe", of_kind(b'6', ""), Refused("is of tar type '6'")),
        tree(
            "hard-link",
            "a hard link to a file of the tree",
            of_kind(b'1', "a"),
            Refused("is of tar type '1'"),
        ),
        tree(
            "hard-link-outside",
            "a hard link that leaves the tree",
            of_kind(b'1', "../../outside"),
            Refused("is of tar type '1'"),
        ),
        tree(
            "contiguous-file",
            "a file of type 7",
            of_kind(b'7', ""),
            Refused("is of tar type '7'"),
        ),
        tree("volume", "the label of a volume", of_kind(b'V', ""), Refused("is of tar type 'V'")),
        tree(
            "continued",
            "the rest of a file on an earlier volume",
            of_kind(b'M', ""),
            Refused("is of tar type 'M'"),
        ),
        tree(
            "unknown-kind",
            "an entry of type 0xff",
            of_kind(0xff, ""),
            Refused("is of tar type 'ÿ'"),
        ),
    ]
}

pub(super) fn links() -> Vec<Case> {
    let folder = || Raw::folder("a");
    vec![
        tree(
            "link-to-root",
            "a link to an absolute path",
            [Raw::link("a", "/etc/passwd")],
            Refused(TARGETS),
        ),
        tree(
            "link-up",
            "a link that leaves the tree",
            [Raw::link("a", "../outside")],
            Refused(TARGETS),
        ),
        tree(
            "link-up-from-below",
            "one that leaves it from a folder",
            [folder(), Raw::link("a/b", "../../outside")],
            Refused(TARGETS),
        ),
        tree(
            "link-up-behind-a-name",
            "`..` behind a name, which may be a link",
            [folder(), Raw::link("a/b", "c/../../d")],
            Refused(TARGETS),
        ),
        tree("link-to-nothing", "a link without a target", [Raw::link("a", "")], Refused(TARGETS)),
        tree(
            "link-with-newline",
            "a target of two lines",
            [Raw::link("a", "b\nc")],
            Refused(TARGETS),
        ),
        tree(
            "link-dangling",
            "a link to what is not there",
            [Raw::link("a", "b/c")],
            Unpacked("as it says"),
        ),
        tree("link-to-itself", "a link to itself", [Raw::link("a", "a")], Unpacked("as it says")),
        tree(
            "link-chain",
            "a chain of links that stays in the tree",
            [folder(), Raw::link("a/b", "../c"), Raw::link("c", "a")],
            Unpacked("as it says"),
        ),
        tree(
            "below-a-link",
            "a file below a link",
            [Raw::link("a", "b"), Raw::file("a/passwd"), Raw::folder("b")],
            Refused("stands in `a`, which is no earlier directory"),
        ),
        tree(
            "below-a-link-outside",
            "a file below a link that leaves the tree",
            [Raw::link("a", "../../.."), Raw::file("a/outside")],
            Refused(TARGETS),
        ),
        tree(
            "folder-becomes-link",
            "a folder, and a link of its name",
            [folder(), Raw::link("a", "b"), Raw::file("a/c")],
            Refused("occurs twice"),
        ),
        tree(
            "link-becomes-folder",
            "a link, and a folder of its name",
            [Raw::link("a", "b"), folder(), Raw::file("a/c")],
            Refused("occurs twice"),
        ),
    ]
}

pub(super) fn names() -> Vec<Case> {
    let named = |name, holds, path: &[u8], fate| tree(name, holds, [Raw::file(path)], fate);
    let long = |name, holds, path: String| {
        let folders = path.match_indices('/').map(|(at, _)| path[..at].to_owned());
        let with_record = |path: &str, entry: fn(&str) -> Raw| {
            let record = (path.len() > 100).then(|| Raw::long_name(path));
            record.into_iter().chain([entry(path)])
        };
        let folders: Vec<_> =
            folders.flat_map(|it| with_record(&it, |it| Raw::folder(it))).collect();
        let entries = folders.into_iter().chain(with_record(&path, |it| Raw::file(it)));
        (name, holds, archive(entries))
    };
    let judged = |(name, holds, payload), fate| case(name, holds, payload, fate);
    vec![
        named("absolute", "an absolute path", b"/etc/passwd", Refused(PATHS)),
        named("parent", "a path out of the tree", b"../outside", Refused(PATHS)),
        named("parent-within", "`..` within a path", b"a/../../outside", Refused(PATHS)),
        named("leading-dot", "a path that begins with `./`", b"./a", Refused(PATHS)),
        named("dot", "the folder of the tree", b".", Refused(PATHS)),
        named("trailing-slash", "a path that ends with `/`", b"a/", Refused(PATHS)),
        named("empty-name", "no name", b"", Refused(PATHS)),
        named("empty-folder-name", "an empty name within a path", b"a//b", Refused(PATHS)),
        named("newline", "a name of two lines", b"a\nb", Refused(PATHS)),
        named("escape-sequence", "a name that clears the terminal", b"a\x1b[2J", Refused(PATHS)),
        named("backslash", "a path of another system", b"..\\outside", Refused(PATHS)),
        named("reserved", "a name that Mainstay keeps for itself", b".mainstay", Refused(PATHS)),
        named(
            "not-utf8",
            "a name that is not UTF-8",
            b"a\xff\xfe",
            Refused(
                "holds text that is not UTF-8: `a\\xff\\xfe`; rename the file and pack it again",
            ),
        ),
        named(
            "behind-nul",
            "a name that goes on behind a NUL",
            b"a\0../outside",
            Refused("the path differs from what Mainstay writes"),
        ),
        judged(long("name-of-255", "a name of 255 bytes", "n".repeat(255)), Unpacked("as it says")),
        judged(long("name-of-256", "a name of 256 bytes", "n".repeat(256)), Refused(PATHS)),
        judged(
            long("path-of-4080", "a path of 4080 bytes", vec!["n".repeat(239); 17].join("/")),
            Unpacked("as it says"),
        ),
        judged(
            long("path-of-4335", "a path of 4335 bytes", vec!["n".repeat(254); 17].join("/")),
            Refused(
                "bytes in a long-name record of the archive: found 4335, expected at most 4097",
            ),
        ),
        judged(
            long("depth-of-128", "127 folders in each other", vec!["d"; 128].join("/")),
            Unpacked("as it says"),
        ),
        judged(
            long("depth-of-129", "128 folders in each other", vec!["d"; 129].join("/")),
            Refused(PATHS),
        ),
        tree(
            "case-collision",
            "names that differ by their case alone",
            [Raw::file("README"), Raw::file("readme")],
            Unpacked("as it says; where the file system takes them for one name, refused"),
        ),
        tree(
            "unicode-collision",
            "one name, composed and decomposed",
            [Raw::file("e\u{301}"), Raw::file("\u{e9}")],
            Unpacked("as it says; where the file system takes them for one name, refused"),
        ),
        named(
            "name-of-elsewhere",
            "a name that other systems do not have",
            b"con: *?\" .",
            Unpacked("as it says"),
        ),
        named("option", "a name that looks like an option", b"--help", Unpacked("as it says")),
    ]
}

pub(super) fn order() -> Vec<Case> {
    let file = || Raw::file("a");
    vec![
        tree("duplicate", "a file twice", [file(), file()], Refused("occurs twice")),
        tree(
            "duplicate-folder",
            "a folder twice",
            [Raw::folder("a"), Raw::folder("a")],
            Refused("occurs twice"),
        ),
        tree(
            "file-becomes-folder",
            "a file, and a folder of its name",
            [file(), Raw::folder("a"), Raw::file("a/b")],
            Refused("occurs twice"),
        ),
        tree(
            "folder-becomes-file",
            "a folder, and a file of its name",
            [Raw::folder("a"), file()],
            Refused("occurs twice"),
        ),
        tree(
            "below-a-file",
            "a file below a file",
            [file(), Raw::file("a/b")],
            Refused("stands in `a`, which is no earlier directory"),
        ),
        tree(
            "no-folder",
            "a file whose folder is not listed",
            [Raw::file("a/b")],
            Refused("stands in `a`, which is no earlier directory"),
        ),
        tree(
            "descending",
            "paths in another order",
            [Raw::file("b"), file()],
            Refused("stands after `b`: expected ascending paths"),
        ),
        tree(
            "duplicate-later",
            "a file again, after others",
            [file(), Raw::file("b"), file()],
            Refused("stands after `b`: expected ascending paths"),
        ),
    ]
}
