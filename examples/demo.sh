#!/bin/sh
# The demonstration: two test hosts, and two experiments with their verdicts.
set -eu

say() {
    printf '\n\033[1m== %s\033[0m\n' "$1"
}

say "Starting two test hosts on this machine"
hosts=$(fwbench lab up)

say "Installing Docker, images and h2load on them, over SSH"
fwbench provision -i "$hosts"

say "Repeating the published experiment"
# Exit code 8 means that a run is invalid. Here it is expected: FastAPI runs out of memory.
fwbench run published -i "$hosts" || [ $? = 8 ]

say "Measuring the same question properly"
# On a small or shared machine, some runs may be invalid here too. The report excludes them.
fwbench run flask-vs-fastapi -i "$hosts" --framework-share 20% || [ $? = 8 ]

say "Next steps"
cat <<TXT
The session folders named above contain all raw files. The test hosts keep running. You can now use:
  .venv/bin/fwbench run smoke -i $hosts
  .venv/bin/fwbench lab status
  make clean-lab
TXT
