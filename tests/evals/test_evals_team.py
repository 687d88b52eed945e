"""Processes that evaluate together: every unit and piece once, the same values for all, nothing lost by a kill."""

from __future__ import annotations

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from sampan.artifacts.items import Item, write_items
from sampan.core.spread import Spread
from sampan.core.stage import Inputs, Runtime
from sampan.evals.run import STAGE
from sampan.evals.team import Team


def team_of(folder, processes: int = 3) -> Team:
    return Team(Runtime(out=folder / "out", state=folder / "state", spread=Spread(processes=processes)))


@pytest.mark.parametrize("members", [1, 3])
def test_members_share_units_and_pieces_and_all_get_every_value(tmp_path, members):
    """Threads stand for processes: each opens the lock files for itself."""
    done = Counter()
    meeting = threading.Barrier(members)

    def one(_: int) -> list:
        team = team_of(tmp_path)

        def work(unit: int) -> dict:
            def piece(rows, start, progress):
                done[unit, start] += 1
                time.sleep(0.01)
                return [[unit, row, start] for row in rows]

            return {"first": team.cut("abcdefg", 3, piece, print), "second": team.cut("", 3, piece, print)}

        meeting.wait()
        return team.units(["u0", "u1"], work)

    with ThreadPoolExecutor(members) as pool:
        found = list(pool.map(one, range(members)))
    assert done == {(unit, start): 1 for unit in (0, 1) for start in (0, 3, 6)}
    want = [{"first": [[u, c, n // 3 * 3] for n, c in enumerate("abcdefg")], "second": []} for u in (0, 1)]
    assert found == [want] * members


def test_units_that_cannot_be_cut_are_waited_for(tmp_path):
    """What asks a paid endpoint, say, is never done twice."""
    calls = Counter()
    started = threading.Event()

    def slow(unit: int) -> dict:
        calls[unit] += 1
        started.set()
        time.sleep(0.3)
        return {"unit": unit}

    def second() -> list:
        started.wait()
        return team_of(tmp_path).units(["only"], slow, cuts=False)

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(lambda: team_of(tmp_path).units(["only"], slow, cuts=False))
        assert pool.submit(second).result() == first.result() == [{"unit": 0}]
    assert calls == {0: 1}


def test_a_killed_unit_goes_on_after_its_last_piece(tmp_path):
    done = []

    def attempt(processes: int, until: int) -> list:
        team = team_of(tmp_path, processes)

        def piece(rows, start, progress):
            if len(done) == until:
                raise KeyboardInterrupt
            done.append(start)
            return list(rows)

        return team.units(["only"], lambda unit: {"rows": team.cut(range(10), 3, piece, print)})

    with pytest.raises(KeyboardInterrupt):
        attempt(2, 2)
    assert attempt(1, 99) == [{"rows": list(range(10))}]
    assert done == [0, 3, 6, 9]


def test_a_process_has_a_device_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "5")
    for device, processes, own in (("cuda", 8, "cuda:5"), ("cuda", 1, "cuda"), ("cpu", 8, "cpu")):
        runtime = Runtime(out=tmp_path, state=tmp_path, device=device, spread=Spread(processes=processes))
        assert Team(runtime).device == own


def test_two_processes_score_as_one_does(tmp_path, artifact, tiny, other, one_and_two_processes):
    """Bit for bit: each takes a model, and then both take pieces of what is left."""
    (tmp_path / "items").mkdir()
    rows = [Item(f"{n}", "say", "generate", "eng_Latn", f"say {n} the", [], f"{n}") for n in range(600)]
    rows += [Item(f"{n}", "quiz", "multiple_choice", "tha_Thai", f"มา {n}: ", ["a", "b"], "1") for n in range(20)]
    write_items(tmp_path / "items", rows)
    models = [artifact(tiny, "checkpoint", "one"), artifact(other, "checkpoint", "two")]
    given = Inputs({"models": models, "items": [artifact(tmp_path / "items", "items")]})
    alone, together = one_and_two_processes(STAGE, STAGE.params(max_new_tokens=4), given)
    assert alone == together
    starts = {path.stem.rpartition("-")[2] for path in (tmp_path / "2" / "state" / "pieces").glob("*.json")}
    assert starts == {"0", "256", "512"}
