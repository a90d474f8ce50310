"""Two rigs whose targets are of different sizes."""

from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess

from lab_fixture import bring_up
from lab_program import Lab, Program

SIZES = ("--target", "small=0.5,512m,0.01", "--target", "large=1,1g,0.02")


@dataclass(frozen=True)
class SizedHosts:
    """The lab, and results of `provision`: two while client-1 is unreachable, then one of all."""

    lab: Lab
    refused: CompletedProcess[str]
    kept_going: CompletedProcess[str]
    whole: CompletedProcess[str]

    @classmethod
    def prepare(cls, program: Program, name: str, place: Path) -> "SizedHosts":
        lab = bring_up(program, name, SIZES)
        inventory = place / "hosts.yml"
        port = lab.hosts["client-1"]["ansible_port"]
        text = lab.inventory.read_text()
        inventory.write_text(text.replace(f"ansible_port: {port}\n", "ansible_port: 1\n"))
        return cls(
            lab,
            program("provision", "-i", inventory, exits=5),
            program("provision", "--keep-going", "-i", inventory, exits=11),
            program("provision", "-i", lab.inventory),
        )
