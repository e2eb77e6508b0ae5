"""Bodies come back byte for byte, after a kill too, and a long conversation takes little room."""

import hashlib
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from speedproof.errors import RecordError
from speedproof.journal import bodies
from speedproof.journal.bodies import BadTail, BodyWriter, read_bodies

SOURCE = "\n".join(p.read_text() for p in sorted((Path(__file__).parents[1] / "src").rglob("*.py")))
"""Text such as agents read and send."""


def name_of(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def store(path: Path, stored: list[bytes]) -> Path:
    writer = BodyWriter(path)
    for body in stored:
        writer.add(name_of(body), body)
    writer.close()
    return path


def conversation(steps: int, final: int, side: int = 0) -> Iterator[tuple[bytes, bytes]]:
    """Requests and answers as Chat Completions has them; the last request is about `final` bytes long."""
    chance = random.Random(side)
    tools = [{"type": "function", "function": {"name": f"tool{n}", "description": SOURCE[:400]}} for n in range(8)]
    messages: list[dict[str, object]] = [{"role": "system", "content": SOURCE[side : side + 3000]}]
    step = (final - 8000) // steps
    for number in range(steps):
        asked = {"model": "gpt-5", "messages": messages, "tools": tools, "stream": True, "temperature": 1}
        said = SOURCE[(begin := chance.randrange(len(SOURCE) - step)) : begin + min(step // 4, 1200)]
        chunks = [
            {"id": f"chatcmpl-{side}-{number}", "delta": {"content": said[n : n + 12]}} for n in range(0, 600, 12)
        ]
        yield json.dumps(asked).encode(), b"".join(b"data: %s\n\n" % json.dumps(c).encode() for c in chunks)
        read = SOURCE[(begin := chance.randrange(len(SOURCE) - step)) : begin + step - len(said) - 300]
        call = {"id": f"call_{number}", "type": "function", "function": {"name": "shell", "arguments": "{}"}}
        messages += [
            {"role": "assistant", "content": said, "tool_calls": [call]},
            {"role": "tool", "tool_call_id": f"call_{number}", "content": read},
        ]


@st.composite
def _bodies(draw: st.DrawFn) -> list[bytes]:
    """Bodies of any kind, many of them made from earlier ones."""
    made: list[bytes] = []
    for _ in range(draw(st.integers(0, 14))):
        new = draw(st.binary(max_size=40)) * draw(st.sampled_from([1, 1, 7, 60]))
        if made and draw(st.booleans()):
            base = draw(st.sampled_from(made))
            begin = draw(st.integers(0, len(base)))
            end = draw(st.integers(0, len(base)))
            new = base[:begin] + new + base[end:]
        made.append(new)
    return made


@given(_bodies(), st.randoms())
def test_any_sequence_of_bodies_comes_back_byte_for_byte_in_any_order(
    tmp_path_factory: pytest.TempPathFactory, stored: list[bytes], chance: random.Random
) -> None:
    found = read_bodies(store(tmp_path_factory.mktemp("bodies") / "bodies.zst", stored))
    assert found.torn is None
    assert found.names == tuple(dict.fromkeys(map(name_of, stored)))
    for body in chance.sample(stored, len(stored)):
        assert found.get(name_of(body)) == body


def agreeing(a: bytes, b: bytes) -> int:
    """How many bytes two texts agree in from their beginning, the slow way."""
    return next((n for n, (x, y) in enumerate(zip(a, b, strict=False)) if x != y), min(len(a), len(b)))


@given(st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300), st.binary(max_size=300))
def test_what_two_bodies_share_is_found_to_the_byte(begin: bytes, end: bytes, one: bytes, two: bytes) -> None:
    a, b = begin * 9 + one + end * 9, begin * 9 + two + end * 9
    prefix = bodies._common_beginning(a, b)
    assert prefix == agreeing(a, b)
    limit = min(len(a), len(b)) - prefix
    assert bodies._common_end(a, b, limit) == min(limit, agreeing(a[::-1], b[::-1]))


def test_a_body_is_named_by_its_original_and_holds_what_was_stored(tmp_path: Path) -> None:
    original, kept = b'{"key": "sk-secret"}', b'{"key": "[redacted]"}'
    writer = BodyWriter(tmp_path / "bodies.zst")
    writer.add(name_of(original), kept)
    writer.close()
    found = read_bodies(tmp_path / "bodies.zst")
    header = found.header(name_of(original))
    assert found.get(name_of(original)) == kept
    assert header is not None and (header.name, header.sha256) == (name_of(original), name_of(kept))
    assert found.get(name_of(kept)) is None and found.header(name_of(kept)) is None
    assert b"sk-secret" not in (tmp_path / "bodies.zst").read_bytes()


def test_a_body_stored_already_is_not_stored_again(tmp_path: Path) -> None:
    writer = BodyWriter(tmp_path / "bodies.zst")
    writer.add("a", b"x" * 1000)
    size = writer.size
    writer.add("a", b"x" * 1000)
    assert writer.size == size == (tmp_path / "bodies.zst").stat().st_size
    writer.close()


def test_the_record_of_a_hundred_steps_stays_small_and_is_read_back(tmp_path: Path) -> None:
    calls = list(conversation(100, 400_000))
    stored = [body for pair in calls for body in pair]
    assert 350_000 < len(calls[-1][0]) < 450_000
    path = store(tmp_path / "bodies.zst", stored)
    whole = sum(map(len, stored))
    alone = sum(len(zstandard.compress(body)) for body in stored)
    size = path.stat().st_size
    print(
        f"100 steps to {len(calls[-1][0]):,} bytes: {whole:,} bytes of bodies; {alone:,} each packed; {size:,} stored"
    )
    assert size < whole / 40
    assert size < alone / 8
    found = read_bodies(path)
    assert all(found.get(name_of(body)) == body for body in stored)
    assert read_bodies(path).get(name_of(stored[-2])) == stored[-2]


def test_parallel_conversations_find_their_own_base(tmp_path: Path) -> None:
    pairs = zip(*(conversation(20, 100_000, side) for side in (0, 700, 1400)), strict=True)
    stored = [request for together in pairs for request, _ in together]
    path = store(tmp_path / "bodies.zst", stored)
    found = read_bodies(path)
    headers = [h for n in found.names if (h := found.header(n)) is not None]
    assert [h.base for h in headers[3:]] == list(range(len(headers) - 3))
    assert path.stat().st_size < sum(map(len, stored)) / 15


def test_a_chain_of_bodies_ends_before_it_becomes_slow_to_read(tmp_path: Path) -> None:
    stored = [SOURCE[: 2000 + 10 * n].encode() for n in range(2 * bodies._DEEPEST)]
    found = read_bodies(store(tmp_path / "bodies.zst", stored))
    depths: list[int] = []
    for name in found.names:
        header = found.header(name)
        assert header is not None
        depths.append(0 if header.base is None else depths[header.base] + 1)
    assert max(depths) == bodies._DEEPEST
    assert found.get(name_of(stored[-1])) == stored[-1]


def test_what_is_kept_in_memory_is_bounded_in_number_and_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_KEPT_BYTES", 10_000)
    writer = BodyWriter(tmp_path / "bodies.zst")
    for number in range(40):
        writer.add(f"small{number}", bytes([number]) * 1000)
        assert len(writer._recent.bodies) <= 8
    for number in range(40):
        writer.add(f"large{number}", bytes([number]) * 4000)
        assert sum(map(len, writer._recent.bodies.values())) <= 10_000
    writer.add("huge", b"x" * 20_000)
    assert b"x" * 20_000 not in writer._recent.bodies.values()
    writer.close()
    assert read_bodies(tmp_path / "bodies.zst").get("huge") == b"x" * 20_000


def test_cut_at_any_byte_of_the_last_record_only_that_body_is_lost(tmp_path: Path) -> None:
    first, second = SOURCE[:3000].encode(), SOURCE[:3400].encode()
    path = tmp_path / "bodies.zst"
    writer = BodyWriter(path)
    writer.add(name_of(first), first)
    whole = writer.size
    writer.add(name_of(second), second)
    writer.close()
    raw = path.read_bytes()
    assert len(raw) > whole + 200
    for cut in range(whole, len(raw)):
        path.write_bytes(raw[:cut])
        found = read_bodies(path)
        assert found.names == (name_of(first),)
        assert found.get(name_of(first)) == first
        assert found.torn == (None if cut == whole else BadTail(whole, cut - whole))


@given(st.data())
def test_a_file_with_any_byte_changed_or_bytes_added_never_gives_a_wrong_body(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    stored = [SOURCE[n : n + 900].encode() for n in (0, 300, 600)]
    path = store(tmp_path_factory.mktemp("bodies") / "bodies.zst", stored)
    raw = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(raw) - 1))
    raw[at] ^= data.draw(st.integers(1, 255))
    path.write_bytes(bytes(raw) + data.draw(st.binary(max_size=20)))
    found = read_bodies(path)
    for body in stored:
        try:
            assert found.get(name_of(body)) in (body, None)
        except RecordError as error:
            assert "damaged" in str(error) and str(path) in str(error)


def _record(header: dict[str, object], packed: bytes) -> bytes:
    text = json.dumps({"name": "a", "sha256": "b", "packed": len(packed)} | header).encode()
    return bodies._FRONT.pack(bodies._MAGIC, len(text)) + text + packed


@pytest.mark.parametrize(
    "header",
    [
        {"size": 1 << 40},
        {"size": -1},
        {"size": 5, "base": 0},
        {"size": 5, "base": -1},
        {"size": 5, "prefix": 5},
        {"size": 5, "packed": 1 << 60},
        {"size": 5, "more": "x"},
        {"size": 5, "name": "x" * 5000},
    ],
)
def test_a_header_that_cannot_be_true_ends_the_file(tmp_path: Path, header: dict[str, object]) -> None:
    raw = _record(header, zstandard.compress(b"12345"))
    (tmp_path / "bodies.zst").write_bytes(raw)
    found = read_bodies(tmp_path / "bodies.zst")
    assert (found.names, found.torn) == ((), BadTail(0, len(raw)))


def test_a_frame_that_unpacks_to_more_than_its_header_says_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    machine = zstandard.ZstdCompressor().compressobj(size=500 << 20)
    bomb = b"".join(machine.compress(bytes(1 << 20)) for _ in range(500)) + machine.flush()
    (tmp_path / "bodies.zst").write_bytes(_record({"size": 5}, bomb))
    found = read_bodies(tmp_path / "bodies.zst")
    begun = time.monotonic()
    with pytest.raises(RecordError, match="damaged"):
        found.get("a")
    assert time.monotonic() - begun < 0.1


def test_zstdcat_prints_what_was_new(tmp_path: Path) -> None:
    path = store(tmp_path / "bodies.zst", [b"a" * 300, b"a" * 300 + b"new"])
    reader = zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True)
    assert reader.read() == b"a" * 300 + b"new"


WRITER = """
import sys
from hashlib import sha256
from pathlib import Path
from speedproof.journal.bodies import BodyWriter
writer = BodyWriter(Path(sys.argv[1]))
body = b""
for number in range(100_000):
    body += b"step %d of a conversation\\n" % number * 20
    writer.add(sha256(body).hexdigest(), body)
    if number == 20:
        print("writing", flush=True)
"""


@pytest.mark.parametrize("wait_s", [0.0, 0.013, 0.05])
def test_killing_the_writer_at_any_moment_leaves_every_whole_body(tmp_path: Path, wait_s: float) -> None:
    path = tmp_path / "bodies.zst"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"writing\n"
        with pytest.raises(subprocess.TimeoutExpired):
            writer.wait(wait_s)
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    found = read_bodies(path)
    assert len(found.names) >= 20
    body = b""
    for number, name in enumerate(found.names):
        body += b"step %d of a conversation\n" % number * 20
        assert name_of(body) == name and found.get(name) == body
    torn = found.torn.size if found.torn else 0
    assert torn < 5000


def test_a_body_is_readable_while_its_file_is_still_written(tmp_path: Path) -> None:
    writer = BodyWriter(tmp_path / "bodies.zst")
    writer.add("a", b"first")
    assert read_bodies(tmp_path / "bodies.zst").get("a") == b"first"
    writer.close()


def test_on_a_full_disk_the_bodies_before_stand_and_the_next_one_may_fit(full_disk: Path) -> None:
    path = full_disk / "bodies.zst"
    chance = random.Random(1)
    stored = [chance.randbytes(9_000) for _ in range(20)]
    writer = BodyWriter(path)
    kept: list[bytes] = []
    with pytest.raises(RecordError, match=r"bodies\.zst.*(?i:no space)"):
        for body in stored:
            writer.add(name_of(body), body)
            kept.append(body)
    writer.add(name_of(b"small"), b"small")
    writer.close()
    found = read_bodies(path)
    assert len(kept) >= 4 and found.torn is None
    assert [found.get(name) for name in found.names] == [*kept, b"small"]


def test_a_file_that_exists_is_never_written_to(tmp_path: Path) -> None:
    path = store(tmp_path / "bodies.zst", [b"old"])
    before = path.read_bytes()
    with pytest.raises(RecordError, match=r"bodies\.zst.*File exists"):
        BodyWriter(path)
    (tmp_path / "link.zst").symlink_to(path)
    with pytest.raises(RecordError):
        BodyWriter(tmp_path / "link.zst")
    with pytest.raises(RecordError):
        read_bodies(tmp_path / "link.zst")
    assert path.read_bytes() == before


def test_an_attempt_without_bodies_has_none(tmp_path: Path) -> None:
    found = read_bodies(tmp_path / "bodies.zst")
    assert (found.names, found.torn, found.get("a")) == ((), None, None)


def test_a_body_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "LONGEST_BODY", 10)
    writer = BodyWriter(tmp_path / "bodies.zst")
    with pytest.raises(RecordError, match="too long"):
        writer.add("a", b"x" * 11)
    writer.close()


def test_writing_is_fast_enough_for_the_wire(tmp_path: Path) -> None:
    """Of many tries the fastest counts: others may use this machine too."""
    writer = BodyWriter(tmp_path / "bodies.zst")
    seconds = []
    for number in range(60):
        body = json.dumps([number, SOURCE[number * 997 : number * 997 + 22_000]]).encode()
        name = name_of(body)
        begun = time.perf_counter()
        writer.add(name, body)
        seconds.append(time.perf_counter() - begun)
    writer.close()
    assert min(seconds) < 0.0003
