#!/usr/bin/env python3
"""client.py HOSTS: clients of an ensemble whose servers are replaced under them.

Each of them holds one session with an ephemeral node, creates nodes one after the other, and reads back what was acknowledged. A line on standard input asks for a report, one line of JSON: "so far"
only counts, "phase" looks for the sessions' nodes too and begins a new phase, "stop" ends the writing and looks for everything. The end of standard input ends the clients. Whatever an
application would have to call a loss is in the report under "problems".
"""
import json
import logging
import sys
import threading
import time

from kazoo.client import KazooClient, KazooState
from kazoo.exceptions import ConnectionLoss, NodeExistsError, OperationTimeoutError, SessionExpiredError
from kazoo.handlers.threading import KazooTimeoutError

UNKNOWN = (ConnectionLoss, OperationTimeoutError, KazooTimeoutError)
ROOT = "/migration"


class Worker(threading.Thread):
    def __init__(self, number, hosts):
        super().__init__(daemon=True)
        self.number = number
        self.client = KazooClient(hosts=",".join(hosts[number:] + hosts[:number]), timeout=30, randomize_hosts=False)
        self.root = "%s/%d" % (ROOT, number)
        self.ephemeral = "%s-here" % self.root
        self.lock = threading.Lock()
        self.acked = self.unknown = self.reconnects = self.lost = 0
        self.pause = 0.0
        self.problems = []
        self.over = threading.Event()

    def begin(self):
        self.client.start(timeout=60)
        self.client.add_listener(self.state)
        self.client.ensure_path(self.root)
        self.client.create(self.ephemeral, b"", ephemeral=True)
        self.session = self.client.client_id[0]
        self.start()

    def state(self, state):
        with self.lock:
            if state == KazooState.LOST:
                self.lost += 1
            elif state == KazooState.SUSPENDED:
                self.reconnects += 1

    def run(self):
        last = time.monotonic()
        n = 0
        while not self.over.is_set():
            path = "%s/%08d" % (self.root, n)
            try:
                self.client.create(path, str(n).encode())
            except NodeExistsError:
                pass  # the outcome of the first try was unknown: it had happened
            except UNKNOWN:
                with self.lock:
                    self.unknown += 1
                time.sleep(0.05)
                continue
            except SessionExpiredError:
                self.problem("session expired")
                return
            except Exception as e:
                self.problem("create %s: %r" % (path, e))
                return
            now = time.monotonic()
            with self.lock:
                self.acked = n = n + 1
                self.pause = max(self.pause, now - last)
            last = now
            if n % 10 == 0:
                self.read_back(n - 1)

    def read_back(self, n):
        path = "%s/%08d" % (self.root, n)
        while not self.over.is_set():
            try:
                data, _ = self.client.get(path)
                if data != str(n).encode():
                    self.problem("%s holds %r" % (path, data))
                return
            except UNKNOWN:
                time.sleep(0.05)
            except Exception as e:
                self.problem("get %s, which was acknowledged: %r" % (path, e))
                return

    def problem(self, text):
        with self.lock:
            self.problems.append("client %d: %s" % (self.number, text))

    def report(self, word):
        problems = []
        if not self.is_alive() and not self.over.is_set():
            problems.append("client %d has ended" % self.number)
        if word != "so far":
            for _ in range(100):
                try:
                    there = set(self.client.get_children(self.root))
                    stat = self.client.exists(self.ephemeral)
                    break
                except UNKNOWN:
                    time.sleep(0.1)
            with self.lock:
                acked = self.acked
            missing = [n for n in range(acked) if "%08d" % n not in there] if word == "stop" else []
            if missing:
                problems.append("client %d: %d acknowledged nodes are missing, the first is %d" % (self.number, len(missing), missing[0]))
            if stat is None or stat.ephemeralOwner != self.session:
                problems.append("client %d: the ephemeral node of its session is gone: %r" % (self.number, stat))
        with self.lock:
            if self.lost:
                problems.append("client %d: its session was lost" % self.number)
            id = self.client.client_id  # none while it is not connected
            if id and id[0] != self.session:
                problems.append("client %d: it has another session" % self.number)
            out = {"acked": self.acked, "unknown": self.unknown, "reconnects": self.reconnects, "pause": round(self.pause, 3), "problems": self.problems + problems}
            if word == "phase":
                self.pause = 0.0
        return out


def main():
    logging.disable(logging.CRITICAL)  # what is worth knowing is in the report
    hosts = sys.argv[1].split(",")
    first = KazooClient(hosts=sys.argv[1], timeout=30)
    first.start(timeout=60)
    first.ensure_path(ROOT)
    first.stop()
    first.close()
    workers = [Worker(n, hosts) for n in range(len(hosts))]
    for w in workers:
        w.begin()
    for line in sys.stdin:
        word = line.strip()
        if word == "stop":  # no more writes; what was acknowledged is looked for
            for w in workers:
                w.over.set()
            for w in workers:
                w.join(60)
        reports = [w.report(word) for w in workers]
        print(json.dumps({
            "acked": sum(r["acked"] for r in reports),
            "unknown": sum(r["unknown"] for r in reports),
            "reconnects": sum(r["reconnects"] for r in reports),
            "pause": max(r["pause"] for r in reports),
            "problems": [p for r in reports for p in r["problems"]],
        }), flush=True)
    for w in workers:
        w.over.set()
        w.client.stop()


main()
