"""An audit as SARIF 2.1.0 (OASIS Standard, 27 March 2020): what code hosts and editors show beside the files.

No path of this machine stands in it: files are relative to the root of their archive, which is named and not located.
"""

import hashlib
import json
import re
from typing import Any
from urllib.parse import quote

from speedproof import __version__
from speedproof.analysis.audit import Audit, Audited, Finding, Place
from speedproof.report.text import clean, one_line

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LONGEST = 1_000


def sarif(audit: Audit) -> str:
    """The audit as the text of a SARIF file."""
    bases = {name: _base(name) for name in audit.archives}
    results = [_result(finding, index, bases) for index, rule in enumerate(audit.rules) for finding in rule.findings]
    run = {
        "tool": {
            "driver": {
                "name": "speedproof audit",
                "semanticVersion": __version__,
                "rules": [_rule(rule) for rule in audit.rules],
            }
        },
        "originalUriBaseIds": {
            base: {"description": {"text": f"the root of {one_line(name)}"}} for name, base in bases.items()
        },
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=1)


def _base(archive: str) -> str:
    """The name under which an archive's root goes."""
    return re.sub(r"[^A-Z0-9]+", "_", archive.upper()).strip("_") or "ARCHIVE"


def _rule(rule: Audited) -> dict[str, Any]:
    return {
        "id": rule.rule,
        "name": "".join(word.capitalize() for word in rule.rule.split("-")),
        "shortDescription": {"text": f"{rule.title}."},
        "fullDescription": {"text": rule.why},
        "help": {"text": rule.do},
        "defaultConfiguration": {"level": rule.severity},
    }


def _result(finding: Finding, index: int, bases: dict[str, str]) -> dict[str, Any]:
    name = f"{finding.attempts[0]}: " if finding.attempts else ""
    text = one_line(f"{name}{finding.message}", _LONGEST)
    result: dict[str, Any] = {
        "ruleId": finding.rule,
        "ruleIndex": index,
        "level": finding.severity,
        "message": {"text": text},
        "partialFingerprints": {"finding/v1": _fingerprint(finding)},
    }
    places = [_location(spot, bases) for spot in finding.evidence]
    if places:
        result["locations"] = places[:1]
    if places[1:]:
        result["relatedLocations"] = [place | {"id": number} for number, place in enumerate(places[1:], 1)]
    if finding.attempts:
        result["properties"] = {"attempts": [clean(each) for each in finding.attempts]}
    return result


def _fingerprint(finding: Finding) -> str:
    """What makes a finding the same in the next audit: its rule, attempts and files, not the wording."""
    first = finding.evidence[0] if finding.evidence else None
    where = "" if first is None else f"{first.file}\0{first.line}\0{first.path}"
    parts = (finding.rule, finding.archive, *finding.attempts, where)
    return hashlib.sha256("\0".join(parts).encode(errors="replace")).hexdigest()[:32]


def _location(spot: Place, bases: dict[str, str]) -> dict[str, Any]:
    base = bases.setdefault(spot.archive, _base(spot.archive))
    uri = quote(spot.file.encode(errors="replace"), safe="/._-~") or "."
    # a first segment with a colon would read as a scheme, a leading slash as an absolute path
    physical: dict[str, Any] = {"artifactLocation": {"uri": uri.lstrip("/") or ".", "uriBaseId": base}}
    if spot.line is not None:
        region: dict[str, Any] = {"startLine": max(1, spot.line)}
        if spot.excerpt:
            region["snippet"] = {"text": clean(spot.excerpt)}
        physical["region"] = region
    location: dict[str, Any] = {"physicalLocation": physical}
    if spot.path:
        location["logicalLocations"] = [{"fullyQualifiedName": one_line(spot.path), "kind": "member"}]
    return location
