"""What the gateway answers by itself, in the provider's own error form, so that clients report it and do not retry."""

from dataclasses import dataclass

from aiohttp import web

from speedproof.gateway.protocols.chat import Chat
from speedproof.gateway.protocols.dialect import Dialect
from speedproof.journal import StopCause
from speedproof.journal.call import Illegal

BUDGET_CODE = "speedproof_budget_exhausted"
ILLEGAL_CODE = "speedproof_illegal_conversation"
_LIMIT_NAMES = {StopCause.STEPS: "model calls", StopCause.TOKENS: "tokens", StopCause.COST: "cost"}


@dataclass(eq=False)
class Refusal(Exception):
    """The gateway answers by itself."""

    status: int
    message: str
    code: str
    kind: str | None = None
    """The error's type; null: the one that the provider uses with this status."""

    def response(self, dialect: Dialect | None) -> web.Response:
        """The refusal in the provider's own error form."""
        body = (dialect or Chat()).error(self.status, self.message, self.kind, self.code, None)
        again = {} if self.status in {408, 502, 503} else {"x-should-retry": "false"}  # OpenAI's and Anthropic's word
        return web.json_response(body, status=self.status, headers=again)


def of_flood(most_calls: int, most_bytes: int) -> Refusal:
    """The attempt made more calls than any may."""
    limit = f"The limit of any attempt is {most_calls:,} model calls and {most_bytes >> 20} MiB of their records."
    return Refusal(400, f"{limit} It is used up: the attempt ends here, and no more calls are recorded.", BUDGET_CODE)


def of_limit(cause: StopCause, *, of_run: bool) -> Refusal:
    """A limit of the attempt or of its run is used up."""
    whose = "run" if of_run else "attempt"
    name = _LIMIT_NAMES.get(cause, cause.value)
    return Refusal(400, f"The {whose}'s limit of {name} is used up; the attempt ends here.", BUDGET_CODE)


def of_remote(name: str) -> Refusal:
    """A field makes the provider fetch or recall content."""
    why = "the attempt has no network, so neither has its model"
    return Refusal(400, f"'{name}' makes the provider fetch or recall content: {why}.", "remote_content_refused")


def of_illegal(first: Illegal) -> Refusal:
    """The conversation is one that its protocol forbids, and the attempt shall end there."""
    what = first.kind.value.replace("_", " ")
    where = f"tool call {first.call_id}, entry {first.entry} of the conversation"
    return Refusal(400, f"The conversation is not legal ({what}: {where}); the attempt ends here.", ILLEGAL_CODE)
