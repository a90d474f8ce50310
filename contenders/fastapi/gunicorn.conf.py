"""The published configuration, except for what a suite sets."""

import os

# uvicorn has deprecated its workers module. The published experiment used it.
worker_class = "uvicorn.workers.UvicornWorker"
workers = int(os.environ["FWBENCH_WORKERS"])
threads = int(os.environ["FWBENCH_THREADS"])
bind = f"{os.environ['FWBENCH_BIND']}:8002"
