"""fwbench benchmarks web frameworks on real hosts."""

__version__ = "0.1.0"
