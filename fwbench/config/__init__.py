"""The files that users write: suites and contenders.

In: YAML files. Out: models. Errors name the file, the line and the key.
"""
