"""Runs OpenStack Swift's proxy, account, container and object server in DIRECTORY, each in a process of its own, until
SIGTERM or until one of them ends.  usage: swift_servers.py DIRECTORY ACCOUNT_PORT CONTAINER_PORT OBJECT_PORT

DIRECTORY holds swift.conf and NAME-server.conf of the four (swift.sh writes them).  The rings, which say where data are, are
made here: one device, DIRECTORY/devices/d1, one copy of everything.
"""
import ctypes
import os
import signal
import sys

from swift.common.ring.builder import RingBuilder
from swift.common.utils import set_swift_dir
from swift.common.wsgi import run_wsgi
import swift.account.server
import swift.container.server
import swift.obj.server
import swift.proxy.server

PR_SET_PDEATHSIG, PR_SET_NAME = 1, 15


def make_rings(directory, ports):
    for name, port in ports.items():
        builder = RingBuilder(4, 1, 0)
        builder.add_dev({'region': 1, 'zone': 1, 'weight': 1, 'device': 'd1', 'ip': '127.0.0.1', 'port': port,
                         'replication_ip': '127.0.0.1', 'replication_port': port})
        builder.rebalance()
        builder.get_ring().save(os.path.join(directory, name + '.ring.gz'))


def start(directory, name):
    pid = os.fork()
    if pid == 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        libc = ctypes.CDLL(None)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        libc.prctl(PR_SET_NAME, ('swift-' + name).encode())  # at most 15 bytes
        server = name + '-server'
        code = 1
        try:
            code = run_wsgi(os.path.join(directory, server + '.conf'), server, verbose=True)
        finally:
            os._exit(code)
    return pid


def main():
    directory = sys.argv[1]
    ports = dict(zip(('account', 'container', 'object'), map(int, sys.argv[2:5])))
    set_swift_dir(directory)
    make_rings(directory, ports)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    pids = []
    try:
        pids += [start(directory, name) for name in (*ports, 'proxy')]
        pid, status = os.wait()
        print('swift: a server ended: pid %d, status %d' % (pid, status), file=sys.stderr)
        sys.exit(1)
    finally:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass


main()
