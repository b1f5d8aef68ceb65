//! How an archive says it.

use super::{
    super::raw::{BLOCK_BYTES, Raw, archive, unended},
    Case,
    Fate::{Refused, Unpacked},
    PATHS, TARGETS, WINDOW_LOG, case, compressed, travelling, tree,
};

pub(super) fn lengths() -> Vec<Case> {
    let file = || Raw::file("a");
    let length = "the length differs from what Mainstay writes";
    let negative = [0xff; 12];
    let four_gib = *b"\x80\0\0\0\0\0\0\x01\0\0\0\0";
    vec![
        tree(
            "longer-than-archive",
            "a file of 4 GiB in an archive of 2 kB",
            [file().sized(4 << 30)],
            Refused("bytes in the archive: found 4294968832, expected at most 2048"),
        ),
        tree(
            "a-block-too-long",
            "a file that claims the end of the archive",
            [file().sized(1024)],
            Refused("bytes in the archive: found 2560, expected at most 2048"),
        ),
        tree(
            "shorter-than-content",
            "a file that is longer than it says",
            [Raw::new(b'0', "a", 0o644, &[b'x'; 600]).sized(8)],
            Refused("the archive's padding after `a` is not zero"),
        ),
        tree(
            "shorter-by-a-block",
            "one that is a block longer",
            [Raw::new(b'0', "a", 0o644, &[b'x'; 1024]).sized(512)],
            Refused("it is damaged or not a tar archive; fetch or pack it again"),
        ),
        tree("negative-length", "a length of -1", [file().field(124, negative)], Refused(length)),
        tree(
            "binary-length",
            "4 GiB, as GNU tar writes large numbers",
            [file().field(124, four_gib)],
            Refused(length),
        ),
        tree(
            "length-of-folder",
            "a folder with a length",
            [Raw::folder("a").sized(512)],
            Refused(length),
        ),
        tree(
            "length-of-link",
            "a link with a length",
            [Raw::link("a", "b").sized(512)],
            Refused(length),
        ),
        tree(
            "length-with-blanks",
            "a length in another spelling",
            [file().field(124, b"         10\0")],
            Refused(length),
        ),
        tree(
            "length-of-letters",
            "a length that is no number",
            [file().field(124, b"many\0\0\0\0\0\0\0\0")],
            Refused(length),
        ),
        tree(
            "gnu-sparse",
            "a file of 4 GiB with a hole, as GNU tar writes it",
            [Raw::new(b'S', "a", 0o644, b"")
                .field(386, b"00000000000\x0000000000000\x00")
                .field(483, b"40000000000\0")],
            Refused("is of tar type 'S'"),
        ),
        tree(
            "posix-sparse",
            "the same, as POSIX tar writes it",
            [Raw::extended(b'x', "GNU.sparse.realsize", "4294967296"), file()],
            Refused("is of tar type 'x'"),
        ),
    ]
}

pub(super) fn posix_extensions() -> Vec<Case> {
    let extended = |name, holds, kind, key, value| {
        let refused = match kind {
            b'g' => "is of tar type 'g'",
            b'X' => "is of tar type 'X'",
            _ => "is of tar type 'x'",
        };
        tree(name, holds, [Raw::extended(kind, key, value), Raw::file("a")], Refused(refused))
    };
    vec![
        extended("posix-path", "a path in an extended header", b'x', "path", "../outside"),
        extended(
            "posix-global-path",
            "a path for all entries after it",
            b'g',
            "path",
            "../outside",
        ),
        extended(
            "posix-link-path",
            "a link's target in an extended header",
            b'x',
            "linkpath",
            "/etc/passwd",
        ),
        extended("posix-length", "a length in an extended header", b'x', "size", "4294967296"),
        extended("posix-negative-length", "a negative one", b'x', "size", "-1"),
        extended(
            "posix-attribute",
            "an extended attribute: a capability",
            b'x',
            "SCHILY.xattr.security.capability",
            "everything",
        ),
        extended("posix-owner", "an owner in an extended header", b'x', "uid", "0"),
        extended("posix-time", "a time of change in one", b'x', "mtime", "9999999999999"),
        extended("solaris-extended", "an extended header of Solaris", b'X', "path", "../outside"),
        tree(
            "prefix",
            "a folder in the field that POSIX has for it",
            [Raw::file("a").field(257, b"ustar\x0000").field(345, b"../outside")],
            Refused("the format's mark differs from what Mainstay writes"),
        ),
    ]
}

pub(super) fn gnu_extensions() -> Vec<Case> {
    let long = "n".repeat(120);
    let records = "the use of long-name records differs from what Mainstay writes";
    let record = || Raw::long_name(&long);
    vec![
        tree(
            "long-name",
            "a name of 120 bytes",
            [record(), Raw::file(&long)],
            Unpacked("as it says"),
        ),
        tree(
            "long-name-outside",
            "a long path out of the tree",
            [Raw::long_name(format!("../{long}")), Raw::file("a")],
            Refused(PATHS),
        ),
        tree(
            "long-name-twice",
            "two long names for one entry",
            [record(), record(), Raw::file(&long)],
            Refused("is malformed"),
        ),
        tree(
            "long-name-of-other",
            "a long name for an entry of another",
            [record(), Raw::file("a")],
            Refused("the path differs from what Mainstay writes"),
        ),
        tree(
            "long-name-for-short",
            "a record for a name that needs none",
            [Raw::long_name("a"), Raw::file("a")],
            Refused(records),
        ),
        tree(
            "long-name-negative",
            "a long name of length -1",
            [record().field(124, [0xff; 12]), Raw::file(&long)],
            Refused("expected at most 4097"),
        ),
        tree(
            "long-name-of-4-gib",
            "a long name of 4 GiB",
            [record().sized(4 << 30), Raw::file(&long)],
            Refused(
                "bytes in a long-name record of the archive: found 4294967296, expected at most 4097",
            ),
        ),
        tree(
            "long-name-alone",
            "a long name of no entry",
            [record()],
            Refused("it is damaged or not a tar archive; fetch or pack it again"),
        ),
        tree(
            "long-target-outside",
            "a long target that leaves the tree",
            [
                Raw::new(b'K', "././@LongLink", 0o644, format!("../{long}\0").as_bytes()),
                Raw::link("a", "b"),
            ],
            Refused(TARGETS),
        ),
    ]
}

pub(super) fn headers() -> Vec<Case> {
    let differs = |name, holds, entry, says| tree(name, holds, [entry], Refused(says));
    let time = "the time differs from what Mainstay writes";
    let file = || Raw::file("a");
    vec![
        differs("long-ago", "a file changed before 1970", file().changed_at([0xff; 12]), time),
        differs("far-future", "a file changed in 2242", file().changed_at(*b"77777777777\0"), time),
        differs(
            "owner",
            "a file of user 1000",
            file().field(108, b"0001750\0"),
            "the owner differs from what Mainstay writes",
        ),
        differs(
            "group",
            "a file of group 1000",
            file().field(116, b"0001750\0"),
            "the group differs from what Mainstay writes",
        ),
        differs(
            "owner-name",
            "an owner by name",
            file().field(265, b"root"),
            "the owner's name differs from what Mainstay writes",
        ),
        differs(
            "target-of-file",
            "a file with a link's target",
            file().linking_to("b"),
            "the link's target differs from what Mainstay writes",
        ),
        differs(
            "device-of-file",
            "a file with a device's number",
            file().field(329, b"0000001\0"),
            "an extension differs from what Mainstay writes",
        ),
        differs(
            "old-type",
            "a file of the type of old archives",
            file().field(156, b"\0"),
            "the type differs from what Mainstay writes",
        ),
        differs(
            "mode-of-letters",
            "a mode that is no number",
            file().field(100, b"rw-r--r-"),
            "the mode differs from what Mainstay writes",
        ),
    ]
}

pub(super) fn frames() -> Vec<Case> {
    let sound = || archive([Raw::file("a")]);
    let changed = |change: fn(&mut Vec<u8>)| {
        let mut bytes = sound();
        change(&mut bytes);
        bytes
    };
    vec![
        case("sound", "a file, and nothing wrong", sound(), Unpacked("as it says")),
        case("nothing", "no entry at all", archive([]), Unpacked("an empty tree")),
        case(
            "after-the-end",
            "an entry after the end",
            [sound(), archive([Raw::file("b")])].concat(),
            Refused("the archive goes on after its end at byte 2048"),
        ),
        case(
            "zeros-after-the-end",
            "zeros after the end, as tar pads a tape",
            changed(|bytes| bytes.resize(10240, 0)),
            Refused("the archive goes on after its end at byte 2048"),
        ),
        case(
            "one-zero-block",
            "an entry after half an end",
            [unended([Raw::file("a")]), vec![0; BLOCK_BYTES], archive([Raw::file("b")])].concat(),
            Refused("the archive ends with one block of zeros at byte 2048: expected two"),
        ),
        case(
            "no-end",
            "no end",
            unended([Raw::file("a")]),
            Refused("bytes in the archive: found 2048, expected at most 1024"),
        ),
        case(
            "half-a-header",
            "an end within a header",
            sound()[..100].to_vec(),
            Refused(
                "the archive ends at byte 100 in the middle of a header: it is incomplete; fetch or pack it again",
            ),
        ),
        tree(
            "padding",
            "padding that is not zero",
            [Raw::file("a").padded_with(b'x')],
            Refused("the archive's padding after `a` is not zero"),
        ),
        case(
            "checksum",
            "a header with a wrong checksum",
            changed(|bytes| bytes[0] = b'b'),
            Refused(
                "the archive's header at byte 0 has a wrong checksum: it is damaged or not a tar archive; fetch or pack it again",
            ),
        ),
        case(
            "no-archive",
            "a text",
            b"This is no archive.\n".repeat(64),
            Refused(
                "the archive's header at byte 0 has a wrong checksum: it is damaged or not a tar archive; fetch or pack it again",
            ),
        ),
    ]
}

pub(super) fn compression() -> Vec<Case> {
    let bomb = Case {
        artifact: compressed(&[archive([Raw::file("a")]), vec![0; 64 << 20]].concat(), WINDOW_LOG),
        ..tree(
            "bomb",
            "64 MiB where 2 kB were signed",
            [Raw::file("a")],
            Refused("the payload goes on after the 2048 bytes that were signed"),
        )
    };
    let cannot = "it is damaged, or needs a larger window";
    vec![
        bomb,
        travelling(
            "window",
            "an artifact that takes a window of twice what was signed",
            |_| compressed(&archive([Raw::file("a")]), WINDOW_LOG + 1),
            cannot,
        ),
        travelling(
            "two-frames",
            "an artifact, and one more",
            |it| [it.clone(), it].concat(),
            "the artifact goes on after its one compressed frame",
        ),
        travelling(
            "after-the-frame",
            "bytes after the artifact",
            |it| [it, b"more".to_vec()].concat(),
            "the artifact goes on after its one compressed frame",
        ),
        travelling("cut", "half an artifact", |it| it[..it.len() / 2].to_vec(), "incomplete frame"),
        travelling(
            "another-payload",
            "another payload than was signed",
            |_| compressed(&archive([Raw::file("b")]), WINDOW_LOG),
            "the payload has the digest",
        ),
        travelling(
            "not-compressed",
            "an archive that is not compressed",
            |_| archive([Raw::file("a")]),
            cannot,
        ),
        travelling("no-artifact", "nothing", |_| Vec::new(), "incomplete frame"),
    ]
}
