"""The command line: flags, exit codes, progress and printing, and nothing else.

In: what the user typed. Out: text on standard output, messages on standard error, an exit code.
Nothing heavy is imported before a command needs it.
"""
