"""The JSON Schema of a suite file, for editors and for `speedproof schema`."""

import copy
from typing import Any

from speedproof.tasks.models import Suite


def suite_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a suite file as it is written: before `defaults` are merged into the tasks."""
    schema = Suite.model_json_schema()
    definitions = schema["$defs"]
    task = definitions["Task"]
    required = task.pop("required")
    task["required"] = ["name"]
    defaults = copy.deepcopy(task)
    defaults |= {"title": "Defaults", "description": schema["properties"]["defaults"]["description"]}
    del defaults["required"], defaults["properties"]["name"]
    definitions["Defaults"] = defaults
    schema["properties"]["defaults"] = {"$ref": "#/$defs/Defaults"}
    # What a task must say may stand in the defaults instead.
    schema["allOf"] = [
        {
            "anyOf": [
                {"properties": {"tasks": {"items": {"required": [field]}}}},
                {"required": ["defaults"], "properties": {"defaults": {"required": [field]}}},
            ]
        }
        for field in required
        if field != "name"
    ]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
