"""Runs OpenStack Swift's proxy, account, container and object server in DIRECTORY, each in a process of its own, until
SIGTERM or until one of them ends.  usage: swift_servers.py DIRECTORY ACCOUNT_PORT CONTAINER_PORT OBJECT_PORT

DIRECTORY holds swift.conf and NAME-server.conf of the four (swift.sh writes them).  The rings, which say where data are, are
made here: one device, DIRECTORY/devices/d1, one copy of everything.  With STACK_FAST=1 nothing is synced to the disk.
"""
import ctypes
import http.client
import os
import signal
import sys
import time

import swift.common.db
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


def no_sync():
    os.fsync = os.fdatasync = lambda fd: None
    connect = swift.common.db.get_db_connection

    def fast_connect(*args, **kwargs):
        connection = connect(*args, **kwargs)
        connection.execute('PRAGMA synchronous = OFF')
        return connection

    swift.common.db.get_db_connection = fast_connect


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


def answers(port):
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=5)
    try:
        connection.request('OPTIONS', '/')
        connection.getresponse()
        return True
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def await_answer(port):
    """Returns when there is an answer, whatever it says, or when a server has ended."""
    while not answers(port) and os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        time.sleep(0.05)


def main():
    directory = sys.argv[1]
    ports = dict(zip(('account', 'container', 'object'), map(int, sys.argv[2:5])))
    set_swift_dir(directory)
    make_rings(directory, ports)
    if os.environ.get('STACK_FAST'):
        no_sync()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    pids = []
    try:
        for name in ports:
            pids.append(start(directory, name))
        # A proxy without the servers behind it would say that there is no bucket.
        for port in ports.values():
            await_answer(port)
        pids.append(start(directory, 'proxy'))
        pid, status = os.wait()
        print('swift: a server ended: pid %d, status %d' % (pid, status), file=sys.stderr)
        sys.exit(1)
    finally:
        for pid in pids:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        # Whoever waits for the end of this process wants the ports to be free then, and nobody to answer.
        for pid in pids:
            try:
                os.waitpid(pid, 0)
            except ChildProcessError:
                pass


main()
