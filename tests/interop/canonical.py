"""Canonical JSON: what securesystemslib writes and what Mainstay writes, of the same documents."""

import json
import random
import subprocess

from securesystemslib.formats import encode_canonical

from outcome import Failure

SEED = 20260817
DOCUMENTS = 20000
DEPTH_MAX = 32

# Integers at and around the ends of what 32, 53 and 64 bits hold.
EDGES = [0, 1, -1, 2**31 - 1, -2**31, 2**53 - 1, 2**53, 2**53 + 1, -2**53 - 1, 2**63 - 1, 2**63,
         -2**63, -2**63 + 1, 2**64 - 1]
# Characters that canonical forms are known to differ in, and where code points, UTF-8 and UTF-16
# sort differently: U+FF61 comes before U+10000 in the first two and after it in the last.
CHARACTERS = ['"', "\\", "/", "\0", "\b", "\t", "\n", "\f", "\r", "\x1b", "\x1f", " ", "<", "&",
              "\x7f", "\x80", "\x85", "\xa0", "\xad", "é", "e\u0301", "ß", "\u0130", "\u0301",
              "\u1e9b\u0323", "\u200b", "\u200d", "\u2028", "\u2029", "\u202e", "\ud7ff", "\ue000",
              "\ufb01", "\ufeff", "\uff61", "\ufffd", "\uffff", "\U00010000", "\U0001f600",
              "\U0001f1e9\U0001f1ea", "\U000e0001", "\U0010ffff", "大", "ö", "o\u0308", "A", "a",
              "a0", "aa", "Z"]

# What has two readings, or none that all programs agree on, is not accepted at all.
REFUSED = {
    "a fraction": "1.5",
    "a fraction that is whole": "1.0",
    "an exponent": "[1e3]",
    "negative zero": "-0",
    "an integer of more than 64 bits": "18446744073709551616",
    "a negative integer of more than 64 bits": "-9223372036854775809",
    "an integer of a hundred digits": "9" * 100,
    "not a number": "NaN",
    "infinity": "[Infinity]",
    "a lone high surrogate": '"\\ud800"',
    "a lone low surrogate": '{"\\udc00":1}',
    "surrogates in the wrong order": '"\\udc00\\ud800"',
    "a member that stands twice": '{"a":1,"b":2,"a":1}',
    "a member that stands twice, spelt differently": '{"a":1,"\\u0061":1}',
    "an unescaped control character": '"\x01"',
    "a byte order mark": "\ufeff{}",
    "a comment": "{}//",
    "a trailing comma": "[1,]",
    "a second document": "{} {}",
    "nothing": "",
    f"more than {DEPTH_MAX} levels": "[" * (DEPTH_MAX + 1) + "]" * (DEPTH_MAX + 1),
}


def any_character(draw):
    """Mostly one of those that matter, else any that is not half of a surrogate pair."""
    if draw.random() < 0.6:
        return draw.choice(CHARACTERS)
    if draw.random() < 0.5:
        return chr(draw.randrange(0x250))
    code = draw.randrange(0x110000 - 0x800)
    return chr(code if code < 0xd800 else code + 0x800)


def any_text(draw):
    """A string, empty now and then."""
    return "".join(any_character(draw) for _ in range(draw.choice([0, 1, 1, 2, 3, 8])))


def any_integer(draw):
    """An integer of at most 64 bits, with sign or without."""
    if draw.random() < 0.5:
        return draw.choice(EDGES)
    return draw.randrange(-2**63, 2**64) >> draw.randrange(64)


def any_document(draw, depth):
    """A document at most so deep."""
    kind = draw.choice("otoaoanis" if depth else "tniss")
    if kind == "o":
        return {any_text(draw): any_document(draw, depth - 1)
                for _ in range(draw.randrange(7))}
    if kind == "a":
        return [any_document(draw, depth - 1) for _ in range(draw.randrange(5))]
    if kind == "t":
        return draw.choice([True, False])
    if kind == "n":
        return None
    return any_integer(draw) if kind == "i" else any_text(draw)


def spelt(draw, document):
    """The document as JSON on one line, spelt in one of several ways."""
    separators = draw.choice([None, (",", ":"), (" ,  ", "\t: ")])
    return json.dumps(document, ensure_ascii=draw.random() < 0.5, separators=separators)


def canonical_forms(program, lines):
    """What Mainstay writes of each line."""
    text = "".join(f"{line}\n" for line in lines)
    answer = subprocess.run([program], input=text.encode(), capture_output=True, check=True)
    forms = answer.stdout.decode().splitlines()
    if len(forms) != len(lines):
        raise Failure(f"{len(forms)} answers to {len(lines)} documents")
    return forms


def check(program, report):
    """Compares generated documents, then what must be refused."""
    draw = random.Random(SEED)
    documents = [any_document(draw, draw.choice([1, 2, 4, 6])) for _ in range(DOCUMENTS)]
    # Each character and each edge by itself, as a value and as a name, whatever chance brought.
    documents += [{character: [character]} for character in CHARACTERS]
    documents += [{"": edge, "a": [edge]} for edge in EDGES]
    documents.append({character: index for index, character in enumerate(CHARACTERS)})
    deepest = {}
    for _ in range(DEPTH_MAX - 1):
        deepest = {"": deepest}
    documents.append(deepest)
    lines = [spelt(draw, document) for document in documents]
    forms = canonical_forms(program, lines)
    differing = 0
    for document, line, ours in zip(documents, lines, forms):
        theirs = encode_canonical(document).encode().hex()
        if ours != theirs:
            differing += 1
            print(f"differs: {line!r}\n  securesystemslib: {theirs}\n  Mainstay: {ours}")
    report.row(f"{len(documents)} documents (seed {SEED}) have one canonical form", differing == 0)
    refusals = canonical_forms(program, REFUSED.values())
    for what, answer in zip(REFUSED, refusals):
        report.row(f"canonical JSON refuses {what}", answer.startswith("refused: "), answer)
