"""Trees of files to measure with."""

import random


def make_tree(root, files, size, seed):
    """Writes `files` files, a few large and most small, of `size` bytes together, as compressible as
    programs are: of their kilobytes a third occurs once."""
    chance = random.Random(seed)
    known = [chance.randbytes(1024) for _ in range(256)]
    weights = [chance.lognormvariate(0, 1.5) for _ in range(files)]
    total = sum(weights)
    for number, weight in enumerate(weights):
        length = int(size * weight / total)
        pieces = (chance.randbytes(1024) if chance.random() < 1 / 3 else chance.choice(known)
                  for _ in range(length // 1024 + 1))
        path = root / f"folder-{number // 50:03}" / f"file-{number:05}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(pieces)[:length])
