"""Load generators, one file for each: command lines and parsers.

In: a load, or the output of a load generator. Out: the command that offers the load, or a summary
of the output. Nothing here executes a program.
"""
