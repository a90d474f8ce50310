from repository import ROOT

GOLDEN = ROOT / "tests" / "golden"


class Golden:
    """Compares texts with golden files, so that a diff shows how they change."""

    def __init__(self, rewrite: bool) -> None:
        self._rewrite = rewrite

    def check(self, name: str, text: str) -> None:
        file = GOLDEN / name
        if self._rewrite:
            GOLDEN.mkdir(exist_ok=True)
            file.write_text(text, encoding="utf-8")
        assert text == file.read_text(encoding="utf-8")
