"""A small agent of somebody's own, told by a template how to reach its model: Chat Completions, one shell tool.

usage: small_agent.py PROMPT_FILE REPORT (with BASE_URL, KEY, MODEL in the environment; BEHAVIOUR makes it misbehave)
"""

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TOOL = {
    "type": "function",
    "function": {
        "name": "bash",
        "parameters": {"type": "object", "properties": {"command": {"type": "string"}}, "required": ["command"]},
    },
}


def ask(messages: list[dict[str, Any]]) -> dict[str, Any]:
    """One answer of the model."""
    body = {"model": os.environ["MODEL"], "messages": messages, "tools": [TOOL]}
    headers = {"Authorization": f"Bearer {os.environ['KEY']}", "Content-Type": "application/json"}
    url = f"{os.environ['BASE_URL']}/v1/chat/completions"
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    for left in reversed(range(4 if "repeats" in os.environ.get("BEHAVIOUR", "") else 1)):
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError:
            if not left:
                raise
    raise AssertionError("it was asked at least once")


def work(report: dict[str, Any]) -> None:
    """Answer tool calls until there is none."""
    messages: list[dict[str, Any]] = [{"role": "user", "content": Path(sys.argv[1]).read_text()}]
    used = {"in": 0, "cached": 0, "out": 0}
    while True:
        answer = ask(messages)
        usage = answer["usage"]
        used["in"] += usage["prompt_tokens"]
        used["cached"] += usage["prompt_tokens_details"]["cached_tokens"]
        used["out"] += usage["completion_tokens"] + (1 if "miscounts" in os.environ.get("BEHAVIOUR", "") else 0)
        report["usage"] = used
        message = answer["choices"][0]["message"]
        messages.append(message)
        if "forgets" in os.environ.get("BEHAVIOUR", "") and len(messages) == 2:
            messages.append({"role": "user", "content": "Nothing has changed yet."})
            continue  # and the call has no output
        for call in message.get("tool_calls") or []:
            command = json.loads(call["function"]["arguments"])["command"]
            done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": done.stdout + done.stderr})
        if not message.get("tool_calls"):
            report["result"] = {"status": "done", "words": message["content"]}
            return


def main() -> None:
    """Work, and write the report whatever happens."""
    report: dict[str, Any] = {"result": {"status": "begun"}}
    if "leaves" in os.environ.get("BEHAVIOUR", ""):
        subprocess.Popen(["sleep", "60"], start_new_session=True)
    try:
        if "idles" not in os.environ.get("BEHAVIOUR", ""):
            work(report)
    except urllib.error.HTTPError as error:
        report["result"] = {"status": "failed", "error": error.read().decode()}
        time.sleep(30 if "lingers" in os.environ.get("BEHAVIOUR", "") else 0)
    Path(sys.argv[2]).parent.mkdir(parents=True, exist_ok=True)
    Path(sys.argv[2]).write_text(json.dumps(report) + "\n")


main()
