#!/usr/bin/env python3
"""What zlib makes of made-up bytes, at every level: the table that the client's own deflate is held to.

Prints a line for each content: its kind, its length, and the first eight digits of the SHA-256 of the raw
stream, for memory levels 8 and 9 and within each for levels 1 to 9. With --check the table is compared with
the one that is kept, so that a zlib that makes other streams is noticed.
"""

import hashlib
import pathlib
import sys
import zlib

KEPT = pathlib.Path(__file__).resolve().parents[2] / "fixtures" / "deflate" / "zlib"
SHORT = (0, 1, 2, 3, 100, 4_000)
# Where zlib's window comes to its end.
LONG = (65_274, 65_536, 70_000)
LONGEST = 200_000


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


def line(kind, length):
    content = kind(length)
    digests = []
    for memory_level in (8, 9):
        for level in range(1, 10):
            packer = zlib.compressobj(level, zlib.DEFLATED, -15, memory_level)
            stream = packer.compress(content) + packer.flush()
            digests.append(hashlib.sha256(stream).hexdigest()[:8])
    return " ".join([kind.__name__, str(length), *digests])


def main():
    kinds = (zeros, noise, letters, words, copies)
    lines = [line(kind, length) for kind in kinds for length in SHORT]
    lines += [line(kind, length) for kind in kinds if kind is not letters for length in LONG]
    lines.append(line(copies, LONGEST))
    table = "\n".join(lines) + "\n"
    if sys.argv[1:] == ["--check"]:
        if table != KEPT.read_text():
            sys.exit(f"zlib {zlib.ZLIB_RUNTIME_VERSION} makes other streams than those in {KEPT}")
    else:
        print(table, end="")


if __name__ == "__main__":
    main()
