"""Any Ansible inventory, as `ansible-inventory --list` prints it, to rigs.

Groups `targets` and `clients` (or groups within them) say what a host is for; README's table of
variables says how it is reached. What is read here becomes arguments of other programs, so that
names with spaces, quotes or semicolons are data, but nothing may look like an option.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

from fwbench.errors import InventoryError
from fwbench.inventory.variables import OWN_VARIABLES, Variables
from fwbench.model.host import Client, Host, Rig, Target

__all__ = ["CLIENTS", "OWN_VARIABLES", "TARGETS", "parse_rigs"]

TARGETS, CLIENTS = "targets", "clients"
_SSH_PORT = 22


def parse_rigs(listing: Mapping[str, object], source: str) -> tuple[Rig, ...]:
    """The rigs of an inventory, targets in its order; `source` is its name in errors.

    Hosts with the same `fwbench_rig` form a rig. Without it, a single target has all the clients,
    and as many clients as targets are paired in the inventory's order. Raises InventoryError.
    """
    return _Inventory(listing, source).rigs()


class _Inventory:
    """A listing, and the name by which its errors call it."""

    def __init__(self, listing: Mapping[str, object], source: str) -> None:
        self._listing = listing
        self._source = source
        self._hostvars = self._mapping(
            self._mapping(listing.get("_meta", {}), "_meta").get("hostvars", {}), "hostvars"
        )

    def rigs(self) -> tuple[Rig, ...]:
        of_targets, of_clients = self._group_hosts(TARGETS), self._group_hosts(CLIENTS)
        if not (of_targets or of_clients or self._hostvars):
            raise self._error(
                "has no hosts (Ansible takes a file that is missing for an empty one)"
            )
        for group, hosts in ((TARGETS, of_targets), (CLIENTS, of_clients)):
            if not hosts:
                raise self._error(f"group {group!r} has no host")
        if both := [name for name in of_targets if name in of_clients]:
            raise self._error(
                f"host {both[0]!r:.80} is in {TARGETS} and in {CLIENTS}: what serves cannot measure"
            )
        targets = tuple(self._target(name) for name in of_targets)
        clients = tuple(self._client(name) for name in of_clients)
        self._check_distinct_machines((*targets, *clients))
        return self._pair(targets, clients)

    # From the listing to hosts

    def _group_hosts(self, group: str) -> tuple[str, ...]:
        """The hosts of a group and of the groups within it, each once, in the inventory's order."""
        hosts: dict[str, None] = {}
        groups = [group]
        seen = set()
        while groups:
            name = groups.pop(0)
            if name in seen:
                continue
            seen.add(name)
            content = self._mapping(self._listing.get(name, {}), f"group {name!r:.80}")
            hosts.update(dict.fromkeys(self._names(content.get("hosts", []), name)))
            groups[:0] = self._names(content.get("children", []), name)
        return tuple(hosts)

    def _target(self, name: str) -> Target:
        variables = self._variables(name)
        host = variables.host()
        load_address = variables.text("fwbench_load_address") or host.address
        return Target(**dict(host), load_address=load_address)

    def _client(self, name: str) -> Client:
        return Client(**dict(self._variables(name).host()))

    def _variables(self, name: str) -> Variables:
        given = self._mapping(self._hostvars.get(name, {}), f"the variables of host {name!r:.80}")
        return Variables(self._source, name, given)

    def _check_distinct_machines(self, hosts: Sequence[Host]) -> None:
        seen: dict[tuple[object, ...], str] = {}
        for host in hosts:
            # Behind two bastions, one private address may be two machines.
            machine = (host.address.lower(), host.port or _SSH_PORT, host.jump_hosts)
            other = seen.setdefault(machine, host.name)
            if other != host.name:
                raise self._error(
                    f"hosts {other!r:.80} and {host.name!r:.80} are the same machine"
                    f" ({host.address:.80} port {machine[1]}):"
                    " they would take the CPU from each other"
                )

    # From hosts to rigs

    def _pair(self, targets: tuple[Target, ...], clients: tuple[Client, ...]) -> tuple[Rig, ...]:
        named = {
            host.name: rig
            for host in (*targets, *clients)
            if (rig := self._variables(host.name).text("fwbench_rig"))
        }
        if named:
            return self._pair_by_name(targets, clients, named)
        if len(targets) == 1:
            return (Rig(name=targets[0].name, target=targets[0], clients=clients),)
        if len(targets) == len(clients):
            pairs = zip(targets, clients, strict=True)
            return tuple(Rig(name=t.name, target=t, clients=(c,)) for t, c in pairs)
        raise self._error(
            f"targets ({len(targets)}) and clients ({len(clients)}) do not pair by themselves: give"
            " each host a fwbench_rig, the same one for a target and its clients"
        )

    def _pair_by_name(
        self,
        targets: tuple[Target, ...],
        clients: tuple[Client, ...],
        named: Mapping[str, str],
    ) -> tuple[Rig, ...]:
        if nameless := [host.name for host in (*targets, *clients) if host.name not in named]:
            raise self._error(f"host {nameless[0]!r:.80} has no fwbench_rig, but others have one")
        numbers = Counter(named[target.name] for target in targets)
        for rig in dict.fromkeys(named.values()):
            if numbers[rig] != 1:
                raise self._error(
                    f"rig {rig!r:.80} has {numbers[rig] or 'no'} targets; it needs one"
                )
        found = []
        for target in targets:
            rig = named[target.name]
            own = tuple(client for client in clients if named[client.name] == rig)
            if not own:
                raise self._error(f"rig {rig!r:.80} has no client: give one the same fwbench_rig")
            found.append(Rig(name=rig, target=target, clients=own))
        return tuple(found)

    # What the listing consists of

    def _mapping(self, value: object, what: str) -> Mapping[object, object]:
        if not isinstance(value, Mapping):
            raise self._error(f"{what} is not what `ansible-inventory --list` prints")
        return value

    def _names(self, value: object, group: str) -> list[str]:
        if not isinstance(value, list):
            raise self._error(f"group {group!r:.80} does not list names")
        names = [name for name in value if isinstance(name, str)]
        if len(names) < len(value):
            raise self._error(f"group {group!r:.80} does not list names")
        return names

    def _error(self, problem: str) -> InventoryError:
        return InventoryError(f"{self._source}: {problem}")
