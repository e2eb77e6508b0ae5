"""Logins of the host: the token that an agent's own login left, put into its requests outside the sandbox.

The token is read anew when its file changes, and never renewed from here: the agent that owns it does that.
"""

import base64
import json
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from speedproof.errors import InputError
from speedproof.gateway.forwarding import Forwarder, Outgoing, address, sent_headers
from speedproof.gateway.hiding import forms
from speedproof.gateway.upstream import Request
from speedproof.journal.base import now
from speedproof.journal.call import Protocol

_OAUTH_BETA = "oauth-2025-04-20"
_CLAIMS = "https://api.openai.com/auth"


@dataclass(frozen=True)
class Token:
    """What a login's file holds."""

    value: str = field(repr=False)
    account: str | None = field(default=None, repr=False)
    expires: datetime | None = None


class LoginExpired(InputError):
    """A login of the host has ended."""


class Login(Forwarder):
    """A login kept in a file of the host."""

    file_name: str
    """The file, below the folder that the agent keeps its configuration in."""
    again: str
    """The command that logs in again."""

    def __init__(self, folder: Path, base_url: str | None = None) -> None:
        """`folder`: where the agent keeps its configuration. Raises InputError for no login, LoginExpired for
        one that has ended."""
        self._file = folder / self.file_name
        if base_url is not None:
            self.base_url = base_url
        self._stamp = self._stamped()
        self._token = self._read()
        self._used: dict[str, None] = {}
        self._remember()
        if self._token.expires is not None and self._token.expires <= now():
            raise LoginExpired(
                f"this login expired at {self._token.expires:%Y-%m-%d %H:%M} UTC", file=self._file, hint=self.again
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._file}>"

    @abstractmethod
    def token(self, content: Mapping[str, Any]) -> Token | None:
        """The token in the file's content; null when there is none."""

    @property
    def secrets(self) -> tuple[str, ...]:
        return forms(self._used)

    def expires_at(self) -> datetime | None:
        return self.current().expires

    def current(self) -> Token:
        """The token as the file has it now. While the file is not whole (it is being written), the last one."""
        stamp = self._stamped()
        if stamp != self._stamp:
            try:
                self._token = self._read()
            except InputError:
                return self._token  # a token that no longer counts gets the provider's own 401, and is recorded
            self._stamp = stamp
            self._remember()
        return self._token

    def _stamped(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _read(self) -> Token:
        try:
            content = json.loads(self._file.read_bytes())
        except OSError as error:
            raise InputError(f"there is no login: {error.strerror}", file=self._file, hint=self.again) from None
        except (ValueError, RecursionError):
            raise InputError("this login is no JSON", file=self._file, hint=self.again) from None
        token = self.token(content) if isinstance(content, dict) else None
        if token is None or not (token.value.isascii() and token.value.isprintable() and " " not in token.value):
            raise InputError("this file holds no token of a login", file=self._file, hint=self.again)
        return token

    def _remember(self) -> None:
        self._used |= dict.fromkeys(s for s in (self._token.value, self._token.account) if s)


class OpenAILogin(Login):
    """The ChatGPT login of Codex."""

    base_url = "https://chatgpt.com/backend-api/codex"
    listed_at = "https://api.openai.com/v1"
    file_name = "auth.json"
    again = "codex login"

    @property
    def protocols(self) -> frozenset[Protocol]:
        return frozenset({"responses"})

    def token(self, content: Mapping[str, Any]) -> Token | None:
        tokens = _object(content.get("tokens"))
        value = tokens.get("access_token")
        if not isinstance(value, str):
            return None
        claims = _claims(value)
        account = tokens.get("account_id") or _object(claims.get(_CLAIMS)).get("chatgpt_account_id")
        return Token(value, account if isinstance(account, str) else None, _moment(claims.get("exp")))

    async def outgoing(self, request: Request) -> Outgoing:
        token = self.current()
        own = {"Authorization": f"Bearer {token.value}"} | (
            {"ChatGPT-Account-ID": token.account} if token.account else {}
        )
        return Outgoing(request.method, address(self.base_url, request), sent_headers(request, own), request.body)


class AnthropicLogin(Login):
    """The Claude login of Claude Code."""

    base_url = "https://api.anthropic.com/v1"
    file_name = ".credentials.json"
    again = "claude /login"

    @property
    def protocols(self) -> frozenset[Protocol]:
        return frozenset({"messages"})

    def token(self, content: Mapping[str, Any]) -> Token | None:
        login = _object(content.get("claudeAiOauth"))
        value = login.get("accessToken")
        if not isinstance(value, str):
            return None
        ends = login.get("expiresAt")
        return Token(value, expires=_moment(ends / 1000 if isinstance(ends, int | float) else None))  # milliseconds

    async def outgoing(self, request: Request) -> Outgoing:
        betas = [b.strip() for b in (request.header("anthropic-beta") or "").split(",") if b.strip()]
        own = {
            "Authorization": f"Bearer {self.current().value}",
            "anthropic-beta": ",".join(dict.fromkeys([*betas, _OAUTH_BETA])),
        }
        return Outgoing(request.method, address(self.base_url, request), sent_headers(request, own), request.body)


def _claims(token: str) -> dict[str, Any]:
    """The claims of a JSON web token; none when it is no such token. Its signature is the provider's to check."""
    parts = token.split(".")
    if len(parts) != 3:
        return {}
    try:
        return _object(json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4))))
    except (ValueError, RecursionError):
        return {}


def _object(value: Any) -> dict[str, Any]:
    """A JSON object; an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def _moment(seconds: Any) -> datetime | None:
    """A moment from seconds since 1970; null for what is none."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def openai_login(environ: Mapping[str, str]) -> OpenAILogin:
    """The login of Codex on this host: in CODEX_HOME, else ~/.codex. Raises InputError."""
    return OpenAILogin(_folder(environ, "CODEX_HOME", ".codex"))


def anthropic_login(environ: Mapping[str, str]) -> AnthropicLogin:
    """The login of Claude Code on this host: in CLAUDE_CONFIG_DIR, else ~/.claude. Raises InputError."""
    return AnthropicLogin(_folder(environ, "CLAUDE_CONFIG_DIR", ".claude"))


def _folder(environ: Mapping[str, str], variable: str, name: str) -> Path:
    given = environ.get(variable)
    return Path(given) if given else Path(environ.get("HOME") or Path.home()) / name
