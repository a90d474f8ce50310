"""What other commands print: a module for each subject, with functions that return text.

In: the results of a command. Out: a table or a page for a terminal.
"""
