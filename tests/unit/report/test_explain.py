from golden import Golden

from fwbench.report.explain import findings_page


def test_the_page_of_findings_is_generated(golden: Golden) -> None:
    """`docs/findings.md` is what the checks say; --rewrite-golden writes it anew."""
    golden.check("../../docs/findings.md", findings_page())
