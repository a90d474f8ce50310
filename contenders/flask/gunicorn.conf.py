"""The published configuration, except for what a suite sets."""

import os

workers = int(os.environ["FWBENCH_WORKERS"])
threads = int(os.environ["FWBENCH_THREADS"])
bind = f"{os.environ['FWBENCH_BIND']}:8001"
