"""The script that runs on the hosts, and where the driver finds it."""

from pathlib import Path

SOURCE = Path(__file__).with_name("on_host.py")
