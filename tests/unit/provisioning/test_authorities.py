"""Certificate authorities of `fwbench_ca_certs`: hosts and builds trust them, and no others.

The role changes the system's bundle in a mount namespace, where copies replace its folders.
"""

import datetime
import ipaddress
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from repository import ROOT

from fwbench import paths

SYSTEM_PYTHON = Path("/usr/bin/python3")
CONNECT = """
import ssl, sys, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=10).read()
    print("trusted")
except OSError as error:
    print(getattr(error, "reason", error))
"""
# Runs in the mount namespace: the role, and before and after it a client with the system's bundle.
IN_NAMESPACE = """
import json, subprocess, sys
from pathlib import Path
from fwbench.provisioning.inventory import Inventory
from fwbench.provisioning.playbook import play
folder, connect, *urls = sys.argv[1:]
connect_to_all = lambda: [
    subprocess.run(["/usr/bin/python3", "-c", connect, url], capture_output=True, text=True).stdout
    for url in urls
]
before = connect_to_all()
result = play(folder + "/play.yml", Inventory((Path(folder, "hosts.yml"),)), ["box"])
print(json.dumps([before, connect_to_all(), result.hosts[0].error]))
"""


class Authority:
    """A certificate authority, which also issues certificates to servers on loopback."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        constraint = x509.BasicConstraints(ca=True, path_length=None)
        certificate = self._builder(self._name, self._key).add_extension(constraint, critical=True)
        self.file = folder / f"{name}.crt"
        self.file.write_bytes(self._pem(certificate))

    @contextmanager
    def server(self) -> Iterator[str]:
        """Yield the URL of a server that answers every request."""
        key = ec.generate_private_key(ec.SECP256R1())
        loopback = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "server")])
        certificate = self._builder(subject, key).add_extension(loopback, critical=False)
        file = self._folder / f"{self.file.stem}-server.pem"
        file.write_bytes(self._pem(certificate) + private_pem(key))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(file)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"https://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    def _pem(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def private_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        with suppress(OSError):
            self.wfile.write(b"<html></html>")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def added(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "mine")


@pytest.fixture
def other(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "other")


@pytest.mark.skipif(os.geteuid() != 0, reason="changes what a system trusts, in a namespace")
def test_host_trusts_only_servers_of_the_added_authority(
    tmp_path: Path, added: Authority, other: Authority
) -> None:
    role = {"name": str(paths.data_folder() / "roles/fwbench_host"), "tasks_from": "authorities"}
    variables = {
        "ansible_python_interpreter": sys.executable,
        "fwbench_host_ca_certs": [str(added.file)],
        "fwbench_host_state_dir": str(tmp_path),
    }
    playbook = [
        {
            "hosts": "all",
            "connection": "local",
            "gather_facts": False,
            "vars": variables,
            "tasks": [{"ansible.builtin.include_role": role}],
        }
    ]
    (tmp_path / "play.yml").write_text(yaml.safe_dump(playbook))
    (tmp_path / "hosts.yml").write_text(yaml.safe_dump({"all": {"hosts": {"box": None}}}))
    shutil.copytree("/etc/ssl/certs", tmp_path / "certs", symlinks=True)
    (tmp_path / "local").mkdir()
    mounts = (
        f"mount --bind {tmp_path}/local /usr/local/share/ca-certificates"
        f" && mount --bind {tmp_path}/certs /etc/ssl/certs"
    )
    with added.server() as added_url, other.server() as other_url:
        argv = [sys.executable, "-c", IN_NAMESPACE, str(tmp_path), CONNECT, added_url, other_url]
        result = subprocess.run(
            ["unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh", *argv],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
    assert result.returncode == 0, result.stderr
    before, after, error = json.loads(result.stdout)
    assert error is None
    assert ["CERTIFICATE_VERIFY_FAILED" in output for output in before] == [True, True]
    assert after[0] == "trusted\n"
    assert "CERTIFICATE_VERIFY_FAILED" in after[1]
    assert not Path("/usr/local/share/ca-certificates/fwbench-mine.crt").exists()


def test_build_trusts_only_indexes_of_the_added_authority(
    tmp_path: Path, added: Authority, other: Authority
) -> None:
    """pip uses the bundle that the Dockerfiles build; the role adds certificates to the context."""
    install_from = pip_build(tmp_path)
    shutil.copy(added.file, tmp_path / "build")
    with added.server() as added_url, other.server() as other_url:
        output = install_from(added_url)
        assert "CERTIFICATE_VERIFY_FAILED" not in output
        assert "No matching distribution" in output
        assert "CERTIFICATE_VERIFY_FAILED" in install_from(other_url)


def pip_build(folder: Path) -> Callable[[str], str]:
    """Return a function that executes the Dockerfiles' build command and returns its output.

    The command installs a package from the index at the URL.
    """
    (folder / "build").mkdir()
    (folder / "build/requirements.txt").write_text(f"nothing==1 --hash=sha256:{'0' * 64}\n")
    step = re.compile(r"^RUN (cat .*?[^\\])$", re.MULTILINE | re.DOTALL)
    (command,) = {
        command
        for file in ROOT.glob("contenders/*/Dockerfile")
        for command in step.findall(file.read_text())
    }
    command = command.replace("/build", f"{folder}/build").replace("/opt/venv", f"{folder}/venv")

    def install_from(index_url: str) -> str:
        (folder / "build/pip.conf").write_text(
            f"[global]\nindex-url = {index_url}/simple\nretries = 0\n"
        )
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PIP_", "SSL_", "REQUESTS_", "CURL_"))
        }
        result = subprocess.run(
            ["sh", "-c", command],
            env={**environment, "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"},
            capture_output=True,
            text=True,
        )
        return result.stdout + result.stderr

    return install_from
