#!/usr/bin/env python3
"""play.py SCRIPT COMMAND...: hands the lines of SCRIPT to zkCli (COMMAND) and prints its answer under each, without what differs from run to run.

A line that starts with --- starts a new client. zkCli echoes nothing when it does not sit at a terminal, so every command is followed by one whose
answer is known, and that answer marks where the next begins. Watch events are printed by a thread of their own: they are listed after the client's
last command, in their order.
"""
import re
import subprocess
import sys

MARK = "/mark-%03d"
# Two lines, printed one after the other: what the main thread prints may come between them.
WATCHER = re.compile(r"\nWATCHER::\n")
EVENT = re.compile(r"\nWatchedEvent (.*)\n")


def clients(path):
    client = None
    for line in open(path):
        line = line.rstrip("\n")
        if line.startswith("---") or client is None:
            client = (line.lstrip("- ") if line.startswith("---") else "a client", [])
            yield client
            if line.startswith("---"):
                continue
        if line and not line.startswith("#"):
            client[1].append(line)


def play(commands, zkcli):
    lines = []
    for number, command in enumerate(commands):
        lines += [command, "ls " + MARK % number]
    done = subprocess.run(zkcli, input="\n".join(lines) + "\n", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=180)
    return done.stdout


def split(commands, text):
    """Yields command and answer; without a mark (the connection is gone, the client has quit) the rest belongs to the last command that ran."""
    events = EVENT.findall(text)
    text = EVENT.sub("", WATCHER.sub("", text))
    greeting = re.compile(r"\A.*?JLine support is disabled\n", re.DOTALL)
    text = greeting.sub("", text)
    # How soon a client hears that it was turned away, and which of its commands does, is chance; the event that says so is not.
    text = re.sub(r"KeeperErrorCode = (AuthFailed|ConnectionLoss|Session expired) for .*\n", "", text)
    for number, command in enumerate(commands):
        answer, mark, rest = text.partition("Node does not exist: " + MARK % number + "\n")
        if mark:
            yield command, answer
            text = rest
        else:
            answer, mark, rest = text.partition("Not connected\n")
            yield command, answer
            text = rest
    if text.strip():
        yield "(after the last command)", text
    yield "(events)", "".join(event + "\n" for event in events)


def normalise(text, zxids):
    text = re.sub(r"(?m)^([cmp]Zxid = )(0x[0-9a-f]+)$", lambda m: m[1] + zxids[m[2]], text)
    text = re.sub(r"(?m)^([cm]time = ).*$", r"\1TIME", text)
    text = re.sub(r"(?m)^(ephemeralOwner = )0x[0-9a-f]{8,}$", r"\1SESSION", text)
    text = re.sub(r" zxid: -?\d+", "", text)  # clients since 3.9 print it with every event
    text = re.sub(r"127\.0\.0\.1:\d+", "ADDRESS", text)
    return text


def main():
    script, zkcli = sys.argv[1], sys.argv[2:]
    played = [(title, commands, play(commands, zkcli)) for title, commands in list(clients(script))]
    # Zxids by rank: their order and which are equal says everything, their values depend on what else has happened.
    seen = sorted({int(z, 16) for _, _, text in played for z in re.findall(r"[cmp]Zxid = (0x[0-9a-f]+)", text)})
    zxids = {hex(z): "Z%d" % rank for rank, z in enumerate(seen)}
    for title, commands, text in played:
        print("---", title)
        for command, answer in split(commands, text):
            print("zk>", command)
            if command == "whoami":  # in no promised order
                answer = "".join(sorted(answer.splitlines(True)))
            print(normalise(answer, zxids), end="")


main()
