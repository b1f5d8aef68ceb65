#!/usr/bin/env python3
"""What zlib, gzip and zip make of made-up bytes: the tables that the client's own deflate is held to.

Writes a table for each to fixtures/deflate, with a line for each content: its kind, its length, and the first eight
digits of the SHA-256 of the raw stream. Of zlib for levels 1 to 9 with memory level 8, then with 9; of the others,
whose search is zlib's, for the levels 1, 3, 6 and 9. What zip stores instead is a dash. With --check the tables are compared with those that are kept, so that a program
that makes other streams is noticed. Needs GNU's gzip and Info-ZIP's zip.
"""

import hashlib
import pathlib
import subprocess
import sys
import tempfile
import zipfile
import zlib

KEPT = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "deflate"
SHORT = (0, 1, 2, 3, 100, 4_000)
# Where the window comes to its end.
LONG = (65_274, 65_536, 70_000)
# gzip looks for no matches in its last bytes.
WITHIN = 65_400
LONGEST = 200_000
LEVELS = range(1, 10)
LEVELS_OF_OTHERS = (1, 3, 6, 9)


class Noise:
    def __init__(self):
        self.state = 1

    def byte(self):
        self.state = (self.state * 0x5851F42D4C957F2D + 0x14057B7EF767814F) % 2**64
        return self.state >> 56


def zeros(length):
    return bytes(length)


def noise(length):
    source = Noise()
    return bytes(source.byte() for _ in range(length))


def letters(length):
    source = Noise()
    return bytes(97 + source.byte() % 4 for _ in range(length))


def words(length):
    source, made = Noise(), bytearray()
    while len(made) < length:
        made += b"word%d " % source.byte() ** 2
    return bytes(made[:length])


def numbers(length):
    """Many zeros, also where the content ends: gzip looks for matches beyond that."""
    source, made = Noise(), bytearray()
    while len(made) < length:
        made += (source.byte() % 8).to_bytes(5, "little")
    return bytes(made[:length])


def copies(length):
    """New bytes and copies of old ones, near and far, in no order."""
    source, made = Noise(), bytearray()
    while len(made) < length:
        if not made or source.byte() % 4 == 0:
            made += bytes(source.byte() for _ in range(1 + source.byte() % 64))
        else:
            distance = 1 + (source.byte() << 8 | source.byte()) % min(len(made), 40_000)
            for _ in range(3 + source.byte()):
                made.append(made[-distance])
    return bytes(made[:length])


def by_zlib(content):
    for memory_level in (8, 9):
        for level in LEVELS:
            packer = zlib.compressobj(level, zlib.DEFLATED, -15, memory_level)
            yield packer.compress(content) + packer.flush()


def by_gzip(content):
    # The header has no name, and 10 bytes; behind the stream are 8.
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        for level in LEVELS_OF_OTHERS:
            packed = subprocess.run(["gzip", "-nc", f"-{level}", file.name], check=True, stdout=subprocess.PIPE)
            yield packed.stdout[10:-8]


def by_zip(content):
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "content").write_bytes(content)
        for level in LEVELS_OF_OTHERS:
            path = folder / f"{level}.zip"
            subprocess.run(["zip", "-qXD", f"-{level}", path.name, "content"], check=True, cwd=folder)
            yield entry(path)


def entry(path):
    """The stream of the one entry of an archive; None where it is stored."""
    header_bytes = 30
    with zipfile.ZipFile(path) as archive:
        [it] = archive.infolist()
    if it.compress_type != zipfile.ZIP_DEFLATED:
        return None
    start = it.header_offset + header_bytes + len(it.filename)
    return path.read_bytes()[start : start + it.compress_size]


def digest(stream):
    return "-" if stream is None else hashlib.sha256(stream).hexdigest()[:8]


def of(kinds, lengths):
    return [(kind, length) for kind in kinds for length in lengths]


FOR_ZLIB = [
    *of((zeros, noise, letters, words, copies), SHORT),
    *of((zeros, noise, words, copies), LONG),
    (copies, LONGEST),
]
FOR_OTHERS = [*of([numbers], SHORT), *of((noise, numbers, copies), (*LONG, WITHIN)), (copies, LONGEST)]


def table(program, contents):
    return "".join(
        " ".join([kind.__name__, str(length), *map(digest, program(kind(length)))]) + "\n" for kind, length in contents
    )


def main():
    is_check = sys.argv[1:] == ["--check"]
    for name, program, contents in (
        ("zlib", by_zlib, FOR_ZLIB),
        ("gzip", by_gzip, FOR_OTHERS),
        ("zip", by_zip, FOR_OTHERS),
    ):
        path = KEPT / name
        if not is_check:
            path.write_text(table(program, contents))
        elif table(program, contents) != path.read_text():
            sys.exit(f"{name} makes other streams here than those in {path}")


if __name__ == "__main__":
    main()
