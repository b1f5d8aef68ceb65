"""Debian's nginx."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time


def nginx_program(work):
    """Where it is; its package is unpacked in the folder `work` where it is not installed."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found:
        return found
    folder = work / "nginx-package"
    folder.mkdir()
    for words in (["update", "-qq"], ["download", "-qq", "nginx"]):
        subprocess.run(["apt-get", *words], cwd=folder, check=True, stdout=sys.stderr)
    (package,) = folder.glob("nginx_*.deb")
    subprocess.run(["dpkg", "-x", package, folder], check=True)
    return folder / "usr/sbin/nginx"


@contextlib.contextmanager
def nginx(program, work, port, workers, locations, certificate=None):
    """A process of it with sendfile on a port, with TLS where there is a certificate; ended with the block."""
    folder = work / f"nginx-{port}"
    folder.mkdir()
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    temporary = "\n".join(f"{kind}_temp_path {folder / kind};" for kind in kinds)
    # As root it would give its workers another user, who may not read what is ours.
    user = "user root;" if os.geteuid() == 0 else ""
    tls = f"ssl_certificate {certificate[0]}; ssl_certificate_key {certificate[1]};" if certificate else ""
    (folder / "nginx.conf").write_text(f"""
daemon off; {user} pid {folder}/pid; error_log {folder}/error.log;
worker_processes {workers}; worker_rlimit_nofile 8192;
events {{ worker_connections 4096; }}
http {{
  access_log off; sendfile on; tcp_nopush on; {temporary}
  server {{ listen 127.0.0.1:{port}{" ssl" if certificate else ""}; {tls} {locations} }}
}}
""")
    command = [program, "-p", folder, "-c", folder / "nginx.conf", "-e", folder / "error.log"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 30
        while socket.socket().connect_ex(("127.0.0.1", port)) != 0:
            if process.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"nginx does not listen: {(folder / 'error.log').read_text()}")
            time.sleep(0.05)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def free_port():
    """A port that nobody has just now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
