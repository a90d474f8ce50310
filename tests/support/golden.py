from repository import ROOT

GOLDEN = ROOT / "tests" / "golden"


class Golden:
    """Expected texts, kept as files so that a change of them can be read in a diff."""

    def __init__(self, rewrite: bool) -> None:
        self._rewrite = rewrite

    def check(self, name: str, text: str) -> None:
        file = GOLDEN / name
        if self._rewrite:
            GOLDEN.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")
