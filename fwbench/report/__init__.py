"""From estimates to text and tables.

In: a summary, and results of other commands. Out: text, JSON and histograms. It measures nothing
and decides nothing.
"""
