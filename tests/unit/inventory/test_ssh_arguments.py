import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fwbench.inventory.ssh_arguments import SshRoute, parse_ssh_arguments
from fwbench.model.host import JumpHost
from fwbench.ssh.jump_hosts import parse_proxy_jump

BASTION = JumpHost(address="bastion.example", port=2222, user="me")
COMMAND = "-o ProxyCommand="


@pytest.mark.parametrize(
    "text",
    [
        "-J me@bastion.example:2222",
        "-Jme@bastion.example:2222",
        "-o ProxyJump=me@bastion.example:2222",
        "-oProxyJump=me@bastion.example:2222",
        "-o 'ProxyJump me@bastion.example:2222'",
        "-o 'proxyjump = ssh://me@bastion.example:2222'",
        '-o ProxyCommand="ssh -W %h:%p me@bastion.example -p 2222"',
        '-o ProxyCommand="ssh -p 2222 -l me -q -W [%h]:%p bastion.example"',
        "-o 'ProxyCommand=/usr/bin/ssh -oPort=2222 -W%h:%p me@bastion.example'",
        "-o 'ProxyCommand=ssh -o StrictHostKeyChecking=yes -W %h:%p -p2222 me@bastion.example'",
        "-4C -o ControlMaster=auto -o ServerAliveInterval=5 -J me@bastion.example:2222 -vv",
        "-o StrictHostKeyChecking=no -J me@bastion.example:2222",
        "-J me@bastion.example:2222 -J other",
        '-J me@bastion.example:2222 -o ProxyCommand="ssh -W %h:%p other"',
    ],
)
def test_jump_host_is_parsed_in_every_syntax(text: str) -> None:
    assert parse_ssh_arguments(text) == SshRoute(jump=(BASTION,))


def test_several_jump_hosts_keep_their_order() -> None:
    assert parse_ssh_arguments("-J one,me@[fd00::1]:22,three:2200").jump == (
        JumpHost(address="one"),
        JumpHost(address="fd00::1", port=22, user="me"),
        JumpHost(address="three", port=2200),
    )


def test_jump_host_of_a_proxy_command_may_have_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    jump_hosts = parse_ssh_arguments(
        '-o ProxyCommand="ssh -i ~/.ssh/bastion.pem -W %h:%p bastion"'
    ).jump
    assert jump_hosts == (JumpHost(address="bastion", key_file=Path("/home/me/.ssh/bastion.pem")),)


@pytest.mark.parametrize("text", ["-J none", "-o ProxyJump=none", "-o ProxyCommand=none"])
def test_none_means_no_jump_hosts(text: str) -> None:
    assert parse_ssh_arguments(text).jump == ()


@pytest.mark.parametrize("text", ["", "-C", "-o ForwardAgent=yes -o LogLevel=ERROR", "-q -4"])
def test_arguments_without_a_jump_host_leave_the_route_unset(text: str) -> None:
    assert parse_ssh_arguments(text) == SshRoute()


def test_known_hosts_file_is_used_unless_it_is_dev_null() -> None:
    assert parse_ssh_arguments("-o UserKnownHostsFile=/lab/known").known_hosts == "/lab/known"
    assert (
        parse_ssh_arguments("-o UserKnownHostsFile=/dev/null -o StrictHostKeyChecking=no")
        == SshRoute()
    )


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("-o ProxyCommand='touch /tmp/pwned'", "is not `ssh -W %h:%p HOST`"),
        ("-o ProxyCommand='ssh -W %h:%p bastion; touch /tmp/pwned'", "is not `ssh -W"),
        ("-o 'ProxyCommand=ssh -W %h:%p $(touch /tmp/pwned)'", "is not `ssh -W"),
        ("-o 'ProxyCommand=ssh -W %h:%p `id`'", "is not `ssh -W"),
        ("-o 'ProxyCommand=ssh bastion nc %h %p'", "two values for one option, or with a command"),
        ("-o 'ProxyCommand=ssh bastion'", "without `-W %h:%p`"),
        ("-o 'ProxyCommand=ssh -W %h:%p'", "without a host"),
        ("-o 'ProxyCommand=ssh -W elsewhere:22 bastion'", "without `-W %h:%p`"),
        ("-o 'ProxyCommand=ssh -o ProxyCommand=touch -W %h:%p b'", "with 'proxycommand'"),
        ("-o 'ProxyCommand=ssh -o StrictHostKeyChecking=no -W %h:%p b'", "stricthostkeychecking"),
        ("-o 'ProxyCommand=ssh -o UserKnownHostsFile=/dev/null -W %h:%p b'", "userknownhostsfile"),
        ("-o 'ProxyCommand=ssh -F /tmp/x -W %h:%p b'", "has '-F'"),
        ("-A", "forwards your ssh-agent to the host, which fwbench never does: remove -A"),
        ("-4CA -J bastion", "remove -A"),
        ("-o HostKeyAlias=x", "which fwbench does not support"),
        ("-o GlobalKnownHostsFile=/x", "which fwbench does not support"),
        ("-o NoHostAuthenticationForLocalhost=yes", "which fwbench does not support"),
        ("-o VerifyHostKeyDNS=yes", "which fwbench does not support"),
        ("-S /tmp/socket", "'-S', which fwbench does not support"),
        ("-o PermitLocalCommand=yes", "'permitlocalcommand', which fwbench does not support"),
        ("-o LocalCommand=x", "which fwbench does not support"),
        ("-o KnownHostsCommand=x", "which fwbench does not support"),
        ("-o PKCS11Provider=x", "which fwbench does not support"),
        ("-F /tmp/x", "'-F', which fwbench does not support"),
        ("-L 80:x:80", "which fwbench does not support"),
        ("-p 22", "use the variable ansible_port instead"),
        ("-o User=me", "use the variable ansible_user instead"),
        ("-i key", "use the variable ansible_ssh_private_key_file instead"),
        ("bastion", "which fwbench does not support"),
        ("-o", "which fwbench does not support"),
        ("-J", "has '', which is not [user@]host[:port]"),
        ("-J bastion:99999", "which is not [user@]host[:port]"),
        ("-J -oProxyCommand=x", "which is not [user@]host[:port]"),
        ("-J 'a b'", "which is not [user@]host[:port]"),
        ("-J $(id)", "which is not [user@]host[:port]"),
        ("-o UserKnownHostsFile='/a /b'", "name one file in fwbench_known_hosts"),
    ],
)
def test_unsupported_argument_is_refused(text: str, error: str) -> None:
    with pytest.raises(ValueError, match=re.escape(error)):
        parse_ssh_arguments(text)


def test_password_in_a_proxy_command_is_not_repeated() -> None:
    with pytest.raises(ValueError, match="ProxyCommand") as caught:
        parse_ssh_arguments("-o 'ProxyCommand=sshpass -p hunter2 ssh -W %h:%p bastion'")
    assert "hunter2" not in str(caught.value)


@given(st.text(max_size=30) | st.text("-JoWiplF=%h: @,'\"[]none.", max_size=30))
def test_any_text_gives_a_route_or_a_value_error(text: str) -> None:
    for parse in (
        parse_ssh_arguments,
        parse_proxy_jump,
        lambda text: parse_ssh_arguments(COMMAND + text),
    ):
        with suppress(ValueError):
            parse(text)
