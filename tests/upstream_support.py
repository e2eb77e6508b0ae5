"""What the tests of providers share: a provider that echoes, AWS's signature and event stream, logins of a host."""

import base64
import binascii
import hashlib
import hmac
import json
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

SECRET = "planted/secret+key=0123456789"
"""A key with every character that addresses and JSON write otherwise."""


class Echo:
    """A provider that keeps each request and repeats all of it: in headers, in the body, at any status."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.requests: list[web.Request] = []
        self.bodies: list[bytes] = []

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        said = {"url": str(request.url), "headers": [list(pair) for pair in request.headers.items()]}
        said["error"] = {"message": f"bad key in {dict(request.headers)} for {request.raw_path}"}
        plain = " ".join(f"{k}: {v}" for k, v in request.headers.items())
        body = "\n".join((json.dumps(said), json.dumps(said).replace("/", "\\/"), plain, quote(plain, safe="")))
        response = web.StreamResponse(status=self.status, headers={"X-Echo": plain, "Location": f"/?{quote(plain)}"})
        await response.prepare(request)
        for start in range(0, len(body), 7):  # keys are cut apart
            await response.write(body[start : start + 7].encode())
        return response

    @property
    def sent(self) -> str:
        """The last request's headers and address, as the provider saw them."""
        last = self.requests[-1]
        return f"{last.raw_path}\n" + "\n".join(f"{k}: {v}" for k, v in last.headers.items())


def signed_rightly(request: web.Request, body: bytes, secret_key: str) -> bool:
    """Whether AWS would accept a request's Signature Version 4 (computed here from its specification)."""
    parts = dict(p.strip().split("=", 1) for p in request.headers["Authorization"].partition(" ")[2].split(","))
    day, region, service = parts["Credential"].split("/")[1:4]
    names = parts["SignedHeaders"].split(";")
    canonical = "\n".join(
        (
            request.method,
            quote(request.raw_path.partition("?")[0], safe="/~"),
            request.raw_path.partition("?")[2],
            *(f"{name}:{request.headers[name].strip()}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{day}/{region}/{service}/aws4_request"
    text = "\n".join(
        ("AWS4-HMAC-SHA256", request.headers["X-Amz-Date"], scope, hashlib.sha256(canonical.encode()).hexdigest())
    )
    key = f"AWS4{secret_key}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex() == parts["Signature"] and "x-amz-date" in names


def frame(headers: dict[str, str], payload: bytes) -> bytes:
    """One message of an AWS event stream."""
    head = b"".join(
        bytes([len(k)]) + k.encode() + b"\7" + struct.pack(">H", len(v)) + v.encode() for k, v in headers.items()
    )
    prelude = struct.pack(">II", len(head) + len(payload) + 16, len(head))
    prelude += struct.pack(">I", binascii.crc32(prelude))
    return prelude + head + payload + struct.pack(">I", binascii.crc32(prelude + head + payload))


def chunk(event: dict[str, Any]) -> bytes:
    """An event of Anthropic's as Bedrock streams it."""
    inner = base64.b64encode(json.dumps(event).encode()).decode()
    return frame({":event-type": "chunk", ":message-type": "event"}, json.dumps({"bytes": inner, "p": "ab"}).encode())


def jwt(expires: float, account: str | None = None) -> str:
    """A JSON web token of a ChatGPT login."""
    claims: dict[str, Any] = {"exp": expires}
    if account:
        claims["https://api.openai.com/auth"] = {"chatgpt_account_id": account}
    parts = [{"alg": "none"}, claims, {"s": "planted-signature"}]
    return ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode().rstrip("=") for p in parts)


def codex_login(folder: Path, token: str, account: str | None = None) -> Path:
    """Codex's auth.json."""
    folder.mkdir(exist_ok=True)
    file = folder / "auth.json"
    tokens = {"access_token": token, "refresh_token": "planted-refresh-token", "account_id": account}
    file.write_text(json.dumps({"OPENAI_API_KEY": None, "tokens": tokens}))
    return file


def claude_login(folder: Path, token: str, expires: float) -> Path:
    """Claude Code's .credentials.json."""
    folder.mkdir(exist_ok=True)
    file = folder / ".credentials.json"
    file.write_text(json.dumps({"claudeAiOauth": {"accessToken": token, "expiresAt": round(expires * 1000)}}))
    return file


@contextmanager
def service_account(file: Path) -> Iterator[str]:
    """A Google service account's key file, and the server that grants its access token: the token."""
    token = "ya29.planted-access-token"

    class Grants(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            body = json.dumps({"access_token": token, "expires_in": 3600, "token_type": "Bearer"}).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    with HTTPServer(("127.0.0.1", 0), Grants) as server:
        account = {"type": "service_account", "project_id": "proj", "private_key": pem, "client_email": "a@proj"}
        account |= {"private_key_id": "1", "token_uri": f"http://127.0.0.1:{server.server_port}/token"}
        file.write_text(json.dumps(account))
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield token
        finally:
            server.shutdown()
            thread.join()
