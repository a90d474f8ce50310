"""Parse the output of `ansible-inventory --list` into rigs.

The groups `targets` and `clients`, and groups within them, determine a host's role. Its variables
determine how it is reached (docs/inventory.md). Names and addresses become arguments of other
programs: spaces, quotes and semicolons are allowed, but nothing may look like an option.
"""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence

from fwbench.errors import InventoryError
from fwbench.inventory.variables import OWN_VARIABLES, Variables
from fwbench.model.host import Client, Host, Rig, Target

__all__ = ["CLIENTS", "OWN_VARIABLES", "TARGETS", "assumed_rig", "parse_rigs"]

TARGETS, CLIENTS = "targets", "clients"
_SSH_PORT = 22


def parse_rigs(
    listing: Mapping[str, object],
    source: str,
    targets: Sequence[str] = (),
    clients: Sequence[str] = (),
) -> tuple[Rig, ...]:
    """Return the rigs of an inventory, in the order of its targets; errors name it `source`.

    `targets` and `clients` are names of groups or hosts; by default, these are the groups `targets`
    and `clients`. Hosts with the same `fwbench_rig` form a rig. Without that variable, a single
    target gets all clients; several targets and equally many clients are paired in order.
    Raise `InventoryError` if a host or a rig is not usable.
    """
    return _Inventory(listing, source, {TARGETS: targets, CLIENTS: clients}).rigs()


def assumed_rig() -> Rig:
    """Return one target with one client, for a plan without an inventory."""
    target = Target(name="target-1", address="192.0.2.1", load_address="192.0.2.1")
    client = Client(name="client-1", address="192.0.2.2")
    return Rig(name=target.name, target=target, clients=(client,))


class _Inventory:
    """A listing, the name that errors use for it, and the names that the user chose for a group."""

    def __init__(
        self,
        listing: Mapping[str, object],
        source: str,
        chosen: Mapping[str, Sequence[str]],
    ) -> None:
        self._listing = listing
        self._source = source
        self._chosen = chosen
        self._hostvars = self._mapping(
            self._mapping(listing.get("_meta", {}), "_meta").get("hostvars", {}), "hostvars"
        )

    def rigs(self) -> tuple[Rig, ...]:
        target_names, client_names = self._role_hosts(TARGETS), self._role_hosts(CLIENTS)
        if not (target_names or client_names or self._hostvars or self._group_hosts("all")):
            raise self._error("has no hosts (Ansible treats a missing file as an empty one)")
        for group, names in ((TARGETS, target_names), (CLIENTS, client_names)):
            if not names:
                raise self._error(
                    f"group {group!r} has no host: add one, or name hosts or groups with --{group}"
                )
        self._check_disjoint(target_names, client_names)
        targets = tuple(self._target(name) for name in target_names)
        clients = tuple(self._client(name) for name in client_names)
        self._check_distinct_machines((*targets, *clients))
        return self._pair(targets, clients)

    # From the listing to hosts

    def _role_hosts(self, role: str) -> tuple[str, ...]:
        """Return the hosts of the group `role`, or those that the user chose instead."""
        if not self._chosen[role]:
            return self._group_hosts(role)
        every_host = self._group_hosts("all")
        hosts: dict[str, None] = {}
        for name in self._chosen[role]:
            found = (name,) if name in every_host else self._group_hosts(name)
            if not found:
                raise self._error(self._unknown_name(role, name, every_host))
            hosts.update(dict.fromkeys(found))
        return tuple(hosts)

    def _unknown_name(self, role: str, name: str, every_host: Sequence[str]) -> str:
        known = [*(group for group in self._listing if group != "_meta"), *every_host]
        similar = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {similar[0]!r:.80}?" if similar else ""
        return f"--{role} names {name!r:.80}, which is neither a host nor a group with hosts{hint}"

    def _check_disjoint(self, targets: Sequence[str], clients: Sequence[str]) -> None:
        # The playbooks install by group: a chosen target must not be in the group of clients.
        served = {*targets, *self._group_hosts(TARGETS)}
        loading = {*clients, *self._group_hosts(CLIENTS)}
        both = [
            *(name for name in targets if name in loading),
            *(name for name in clients if name in served),
        ]
        if both:
            raise self._error(
                f"host {both[0]!r:.80} is in {TARGETS} and in {CLIENTS}: remove it from one of them"
            )

    def _group_hosts(self, group: str) -> tuple[str, ...]:
        """Return the hosts of a group and the groups within it, each once, in order."""
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
        values = self._mapping(self._hostvars.get(name, {}), f"the variables of host {name!r:.80}")
        return Variables(self._source, name, values)

    def _check_distinct_machines(self, hosts: Sequence[Host]) -> None:
        seen: dict[tuple[object, ...], str] = {}
        for host in hosts:
            # Behind different bastions, one private address may belong to two machines.
            machine = (host.address.lower(), host.port or _SSH_PORT, host.jump_hosts)
            other = seen.setdefault(machine, host.name)
            if other != host.name:
                raise self._error(
                    f"hosts {other!r:.80} and {host.name!r:.80} are the same machine"
                    f" ({host.address:.80} port {machine[1]}): remove one of them"
                )

    # From hosts to rigs

    def _pair(self, targets: tuple[Target, ...], clients: tuple[Client, ...]) -> tuple[Rig, ...]:
        named = {
            host.name: rig
            for host in (*targets, *clients)
            if (rig := self._variables(host.name).name("fwbench_rig"))
        }
        if named:
            return self._pair_by_name(targets, clients, named)
        if len(targets) == 1:
            return (Rig(name=targets[0].name, target=targets[0], clients=clients),)
        if len(targets) == len(clients):
            pairs = zip(targets, clients, strict=True)
            return tuple(Rig(name=t.name, target=t, clients=(c,)) for t, c in pairs)
        raise self._error(
            f"targets ({len(targets)}) and clients ({len(clients)}) cannot be paired in order: give"
            " each host a fwbench_rig, the same one for a target and its clients"
        )

    def _pair_by_name(
        self,
        targets: tuple[Target, ...],
        clients: tuple[Client, ...],
        named: Mapping[str, str],
    ) -> tuple[Rig, ...]:
        if unnamed := [host.name for host in (*targets, *clients) if host.name not in named]:
            raise self._error(
                f"host {unnamed[0]!r:.80} has no fwbench_rig, but others have one: give it one"
            )
        numbers = Counter(named[target.name] for target in targets)
        for rig in dict.fromkeys(named.values()):
            if numbers[rig] != 1:
                raise self._error(
                    f"rig {rig!r:.80} has {numbers[rig] or 'no'} targets: give one target"
                    " this fwbench_rig"
                )
        rigs = []
        for target in targets:
            rig = named[target.name]
            own = tuple(client for client in clients if named[client.name] == rig)
            if not own:
                raise self._error(f"rig {rig!r:.80} has no client: give one the same fwbench_rig")
            rigs.append(Rig(name=rig, target=target, clients=own))
        return tuple(rigs)

    # The parts of the listing

    def _mapping(self, value: object, what: str) -> Mapping[object, object]:
        if not isinstance(value, Mapping):
            raise self._error(f"{what} is not what `ansible-inventory --list` prints")
        return value

    def _names(self, value: object, group: str) -> list[str]:
        if not isinstance(value, list):
            raise self._error(f"group {group!r:.80} is not a list of names")
        names = [name for name in value if isinstance(name, str)]
        if len(names) < len(value):
            raise self._error(f"group {group!r:.80} is not a list of names")
        return names

    def _error(self, problem: str) -> InventoryError:
        return InventoryError(f"{self._source}: {problem}")
