#!/bin/sh
# The demonstration: from nothing to two verdicts.
set -eu

say() {
    printf '\n\033[1m== %s\033[0m\n' "$1"
}

say "A lab of two bare hosts"
hosts=$(fwbench lab up)

say "Provisioning both over SSH, as any two machines"
fwbench provision -i "$hosts"

say "The experiment as it was published"
# Exit code 8 says that a run is invalid, which is what is to be shown here.
fwbench run published -i "$hosts" || [ $? = 8 ]

say "The same question, asked soundly"
# On one small machine, shared with others, some runs may rightly be invalid too; they are left out.
fwbench run flask-vs-fastapi -i "$hosts" --framework-share 20% || [ $? = 8 ]

say "What to do next"
cat <<TXT
The session folders named above hold every raw file. The lab stays up:
  .venv/bin/fwbench run smoke -i $hosts
  .venv/bin/fwbench lab status
  make clean-lab
TXT
