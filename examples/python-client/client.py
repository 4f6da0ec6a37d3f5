#!/usr/bin/env python3
"""Runs one prompt on an Outrigger agent, speaking outrigger.v1 as packages/protocol/PROTOCOL.md has it.

The lines of the run go to stdout as they are, what happens to stderr, the outcome into a file. See README.md.
"""
import argparse
import asyncio
import json
import os
import random
import sys

import websockets

WINDOW_BYTES = 64 * 1024  # credit, so at most this much (and a frame) is on its way to us
FRAME_BYTES_MAX = 8 * 1024 * 1024
FOR_GOOD = {1000, 4400, 4406}  # close codes after which connecting again leads to the same end
FOR_GOOD_HTTP = {400, 401, 403, 404}


class Refused(Exception):
    """The agent does not do what was asked, and would not the next time either."""


def say(text):
    print(text, file=sys.stderr, flush=True)


class Run:
    """One execution, over as many connections as it takes."""

    def __init__(self, options):
        self.options = options
        self.id = options.execution_id
        self.cursor = {"attempt": 1, "stdout": 0, "stderr": 0}
        self.unfinished = {"stdout": "", "stderr": ""}  # beginnings of lines whose rest is still to come
        self.agent = None  # agentId and journalId: our cursor means something to no other
        self.accepted = self.acknowledged = self.resumed = False
        self.outcome = self.end = self.drain_id = None

    @property
    def is_read(self):
        """Everything the run has printed is here. The last attempts may have printed nothing."""
        at, end = self.cursor, self.end
        return end is not None and at["attempt"] == end["attempt"] and all(at[log] >= end[log] for log in ("stdout", "stderr"))

    @property
    def is_over(self):
        return self.is_read and self.acknowledged and (self.resumed or not self.options.drain)

    async def connect(self):
        """Connects again and again until the run is over. The run itself does not mind a lost connection."""
        failures = 0
        while True:
            try:
                async with websockets.connect(
                    self.options.url,
                    subprotocols=["outrigger.v1"],
                    extra_headers={"Authorization": "Bearer " + os.environ.get("OUTRIGGER_TOKEN", "")},
                    compression=None,
                    max_size=FRAME_BYTES_MAX,
                    ping_interval=15,
                    ping_timeout=25,
                ) as self.socket:
                    await self.greet()
                    async for text in self.socket:
                        failures = 0
                        await self.on_frame(json.loads(text))
                        if self.is_over:
                            return
                if self.socket.close_code in FOR_GOOD:
                    raise Refused("the agent closed the connection for good")
                problem = "the agent is going away"  # the loop ends on 1001 as well
            except websockets.InvalidStatusCode as error:
                if error.status_code in FOR_GOOD_HTTP:
                    raise Refused(f"the agent answered {error.status_code}") from None
                problem = error
            except websockets.ConnectionClosed as error:
                if error.code in FOR_GOOD:
                    raise Refused(f"the agent closed the connection: {error}") from None
                problem = error
            except (OSError, asyncio.TimeoutError, websockets.InvalidHandshake) as error:
                problem = error
            failures += 1
            say(f"connection lost, connecting again: {problem}")
            await asyncio.sleep(random.uniform(0, min(10, 0.1 * 2**failures)))

    async def send(self, type, **fields):
        await self.socket.send(json.dumps({"type": type, **fields}))

    async def greet(self):
        where = {"subscription": "run", "executionId": self.id, "from": self.cursor, "creditBytes": WINDOW_BYTES}
        cursors = {"cursors": [where]} if self.accepted else {}
        await self.send("hello", versions=[1], client={"name": "python-example"}, **cursors)

    async def on_frame(self, frame):
        handler = getattr(self, "on_" + frame["type"], None)
        if handler is not None:  # what we do not know is ignored: a newer sidecar may say more
            await handler(frame)

    async def on_welcome(self, frame):
        agent = (frame["agentId"], frame["journalId"])
        if self.agent not in (None, agent):
            raise Refused(f"{agent} answers where {self.agent} did; what ran there is not known here")
        self.agent = agent
        if frame["refused"]:
            raise Refused(frame["refused"][0]["message"])

    async def on_snapshot(self, frame):
        if frame["more"]:
            return
        if not self.accepted:
            # Under the same id it is the same run, so it does no harm that an earlier reply may have been lost.
            await self.send("dispatch", id="dispatch", executionId=self.id, request={"prompt": self.options.prompt})
        elif self.outcome is not None:
            await self.send("ack", id="ack", executionId=self.id)

    async def on_reply(self, frame):
        request, _, _ = frame["id"].partition("-")
        if not frame["ok"]:
            error = frame["error"]
            if error["code"] != "stale_generation":  # somebody else was faster
                raise Refused(f"{request}: {error['code']}: {error['message']}")
        elif request == "dispatch":
            self.accepted = True
            await self.send("subscribe", id="subscribe", subscription="run", executionId=self.id,
                            **{"from": self.cursor}, creditBytes=WINDOW_BYTES)
        elif request == "ack":
            self.acknowledged = True
            if self.options.drain:
                await self.send("drain", id="drain", deadlineMs=60_000, ttlMs=600_000)
        elif request == "drain":
            self.drain_id = frame["result"]["drainId"]
            await self.on_drain_progress(frame["result"])
        elif request == "resume_admission":
            say("admits again")
            self.resumed = True

    async def on_output(self, frame):
        await self.on_lines(frame, "stdout", sys.stdout)

    async def on_stderr(self, frame):
        await self.on_lines(frame, "stderr", sys.stderr)

    async def on_lines(self, frame, log, stream):
        self.advance(frame, log)
        lines = [self.unfinished[log] + frame["lines"][0], *frame["lines"][1:]]
        self.unfinished[log] = lines.pop() if frame.get("continues") else ""
        for line in lines:
            print(line, file=stream)
        stream.flush()
        await self.send("credit", id="credit", subscription="run", bytes=frame["end"] - frame["start"])

    async def on_gap(self, frame):
        self.advance(frame, frame["log"])
        self.unfinished[frame["log"]] = ""
        say(f"{frame['end'] - frame['start']} bytes of {frame['log']} are missing: {frame['reason']}")

    def advance(self, frame, log):
        if frame["attempt"] > self.cursor["attempt"]:  # the logs of the attempts before are complete
            self.cursor = {"attempt": frame["attempt"], "stdout": 0, "stderr": 0}
            self.unfinished = {"stdout": "", "stderr": ""}
        if frame["start"] != self.cursor[log]:
            raise Refused(f"{log} goes on at {frame['start']} after {self.cursor[log]}")
        self.cursor[log] = frame["end"]

    async def on_credential_needed(self, frame):
        say(f"the agent needs another credential: {frame['reason']}")
        if "SPARE_TOKEN" in os.environ:
            credential = {"id": "spare", "kind": "oauth", "secret": os.environ["SPARE_TOKEN"]}
            await self.send("swap_credential", id="swap", credential=credential, ifGeneration=frame["generation"])

    async def on_outcome(self, frame):
        if frame["outcome"]["executionId"] != self.id:
            return  # of another client's run: to acknowledge it would take it away from that one
        self.outcome, self.end = frame["outcome"], frame["end"]
        persist(self.options.outcome, self.outcome)
        await self.send("ack", id="ack", executionId=self.id)

    async def on_drain_progress(self, drain):
        if drain["drainId"] == self.drain_id and drain["state"] == "drained" and not self.resumed:
            say("drained")  # here a container would be replaced
            await self.send("resume_admission", id="resume_admission")
        elif drain["drainId"] == self.drain_id and drain["state"] == "failed":
            raise Refused(f"still running at the deadline of the drain: {drain['remaining']}")


def persist(path, outcome):
    """Writes it where a crash cannot lose it: only then it may be acknowledged."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump(outcome, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(path + ".new", path)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("execution_id", help="yours to choose; the same one again is the same run")
    parser.add_argument("prompt")
    parser.add_argument("--url", default=os.environ.get("OUTRIGGER_URL", "ws://127.0.0.1:7411"))
    parser.add_argument("--outcome", default="outcome.json", help="the file to write the outcome to")
    parser.add_argument("--drain", action="store_true", help="afterwards drain the agent, then have it admit again")
    run = Run(parser.parse_args())
    try:
        asyncio.run(run.connect())
    except Refused as refusal:
        say(f"given up: {refusal}")
        return 2
    say(f"{run.id}: {run.outcome['status']} ({run.outcome['reason']})")
    return 0 if run.outcome["status"] == "succeeded" else 1


if __name__ == "__main__":
    sys.exit(main())
