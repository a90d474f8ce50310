"""The command line: options, exit codes, progress and printing, and nothing else.

In: what the user typed. Out: text on standard output, messages on standard error, an exit code.
Heavy modules are imported by the command that needs them, so that `--help` is quick.
"""
