"""A small quick agent for batches: Chat Completions, one shell tool, no retries of its own.

usage: batch_agent.py PROMPT_FILE REPORT NAME (with BASE_URL, KEY, MODEL in the environment)
"""

import http.client
import json
import os
import subprocess
import sys
from typing import Any

TOOL = {
    "type": "function",
    "function": {
        "name": "bash",
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    },
}


class Refused(Exception):
    """The provider's answer is an error."""


def ask(messages: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """One answer of the model."""
    host = os.environ["BASE_URL"].removeprefix("http://")
    connection = http.client.HTTPConnection(host, timeout=60)
    body = json.dumps({"model": os.environ["MODEL"], "messages": messages, "tools": [TOOL], "user": name})
    headers = {"Authorization": f"Bearer {os.environ['KEY']}", "Content-Type": "application/json"}
    connection.request("POST", "/v1/chat/completions", body, headers)
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    if answer.status != 200:
        raise Refused(text)
    return dict(json.loads(text))


def work(prompt: str, name: str) -> str:
    """Answer tool calls until there is none; the closing words."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": prompt}]
    while True:
        message = ask(messages, name)["choices"][0]["message"]
        messages.append(message)
        if not message.get("tool_calls"):
            return str(message["content"])
        for call in message["tool_calls"]:
            command = json.loads(call["function"]["arguments"])["command"]
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": done.stdout + done.stderr})


def main() -> None:
    """Work, and say in the report how it ended."""
    with open(sys.argv[1]) as prompt:  # noqa: PTH123 - pathlib takes as long to import as all the rest
        report = {"status": "begun"}
        try:
            report = {"status": "done", "words": work(prompt.read(), sys.argv[3])}
        except Refused as error:
            report = {"status": "failed", "error": str(error)}
        except (OSError, ValueError, http.client.HTTPException) as error:
            report = {"status": "failed", "error": f"{type(error).__name__}: {error}"}
    with open(sys.argv[2], "w") as file:  # noqa: PTH123
        file.write(json.dumps(report) + "\n")
    raise SystemExit(report["status"] != "done")


main()
