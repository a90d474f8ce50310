"""What fwbench knows of load generators: one file for each.

In: a load. Out: the command that offers it; from what the command printed, the figures. Pure:
nothing here executes anything.
"""
