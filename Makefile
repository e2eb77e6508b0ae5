# The two commands a newcomer needs; each installs all it needs first.
.PHONY: demo test lock clean

SPEEDPROOF = .venv/bin/speedproof

demo: .venv/ready
	$(SPEEDPROOF) demo

test: .venv/ready
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/pytest -m alone
	.venv/bin/pytest -m "not alone" -n 2 --dist loadfile --max-worker-restart 0

.venv/ready: requirements.lock pyproject.toml scripts/bootstrap
	scripts/bootstrap

# Renew the pinned dependencies; the lock names versions and hashes, never addresses.
lock:
	.tools/bin/uv pip compile --quiet --universal --generate-hashes --no-header --no-annotate \
		--group dev pyproject.toml -o requirements.lock

clean:
	rm -rf .venv .tools
