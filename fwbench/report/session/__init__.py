"""The contents of a session's report: sentences, rows and pages that formats are made of.

In: the header and the summary of a session. Out: text, which is not escaped for any format unless
the function's name says which: `_lines` are of a page of text.
"""
