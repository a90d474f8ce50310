"""As published, but for what a suite sets."""

import os

# uvicorn calls its workers module deprecated, yet it is still there, and it is what was published.
worker_class = "uvicorn.workers.UvicornWorker"
workers = int(os.environ["FWBENCH_WORKERS"])
threads = int(os.environ["FWBENCH_THREADS"])
bind = f"{os.environ['FWBENCH_BIND']}:8002"
