"""docker-proxy used more than 0.05 of a CPU (`docker_proxy_cores`).

Evidence: The usage.

Why: The load passed through a program that copies bytes, instead of only through the kernel. This
costs 10 µs of CPU time per request. If a connection arrives over IPv6, and the container has no
IPv6 address, docker-proxy forwards it.
"""

from fwbench.checks.support.check import Check, Outcome, Status
from fwbench.checks.support.context import CheckContext
from fwbench.checks.support.thresholds import Threshold
from fwbench.model.verdict import Level

DOCKER_PROXY_CORES = Threshold("docker_proxy_cores", 0.05, "of one CPU")


def _evaluate(context: CheckContext) -> Outcome:
    target, threshold = context.observation.target, context.threshold(DOCKER_PROXY_CORES)
    cores = target.docker_proxy_cores if target else None
    if cores is None:
        return Status.NOT_OBSERVED
    if cores <= threshold:
        return Status.PASSED
    return f"docker-proxy used {cores:.2f} of a CPU (threshold: {threshold:g}) to forward the load"


CHECK = Check(
    "docker-proxy-busy",
    Level.SUSPECT,
    order=940,
    evaluate=_evaluate,
    advice="Set networks: [host] in the suite, or an IPv4 address as the target's"
    " fwbench_load_address. docker-proxy can halve the throughput of a server.",
    thresholds=(DOCKER_PROXY_CORES,),
    needs="the CPU usage of docker-proxy",
)
