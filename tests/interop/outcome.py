"""What came of the checks."""


class Failure(Exception):
    """Something is not as it should be."""


class Report:
    """Counts checks, and says of each what came of it."""

    def __init__(self, is_verbose):
        self.is_verbose, self.passed, self.failed = is_verbose, 0, 0

    def row(self, what, holds, detail=""):
        """Takes in one check. `detail` is shown where it does not hold."""
        if holds:
            self.passed += 1
        else:
            self.failed += 1
        if self.is_verbose or not holds:
            shown = f": {detail}" if detail else ""
            print(f"{'passed' if holds else 'FAILED'}: {what}{shown}", flush=True)
