"""From results to text and tables.

In: the summary of a session, or the results of another command. Out: the report of a session in
one of the `formats`, and the tables of other `commands`. It measures nothing, decides nothing, and
opens no file: callers pass it plain results.
"""
