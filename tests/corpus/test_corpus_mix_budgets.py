"""Ratios to budgets, exactly: SEA-LION v3's table, limits, temperature, UniMax, and the course's cascade."""

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sampan.core.errors import RecipeError
from sampan.corpus.mixing.buckets import bucket_shares, towards_head
from sampan.corpus.mixing.choose import choose
from sampan.corpus.mixing.count import ROW, ROWS
from sampan.corpus.mixing.exact import exact, fill, sharpened, whole
from sampan.corpus.mixing.tree import ROOT, Supply, Tree


@dataclass
class Division:
    members: dict
    alpha: float = 0


def supplies(sizes, epochs=4):
    return {name: Supply(size, Fraction(math.floor(size * epochs))) for name, size in sizes.items()}


# Continued pre-training data of SEA-LION v3: group ratios, and within each group its sources in thousand millions of
# tokens. From AI Singapore's model cards (aisingapore/sealion, models/sea-lion-v3) and arXiv:2504.05747.
RATIOS = {"code": 20, "english": 25, "sea": 55}
SEA = {"chinese": 13, "vietnamese": 13, "indonesian": 13, "thai": 10, "fil-msa-tam": 3, "khm-lao-mya": 3}
SOURCES = {
    "code": {"the-stack-v2": 40},
    "english": {"dolma": 37.5, "fineweb-edu": 7.5, "english-other": 5},
    "chinese": {"zho-pile-v1": 12, "zho-other": 14},
    "vietnamese": {"vie-pile-v1": 8.4, "vinbigdata": 16, "vie-other": 1.6},
    "indonesian": {"ind-pile-v1": 7, "ind-pile-v2": 7, "ind-other": 12},
    "thai": {"tha-pile-v1": 10.7, "wangchanberta": 8.5, "tha-other": 0.8},
    "fil-msa-tam": {"fil-msa-tam-pile-v1": 4.28, "fil-msa-tam-other": 1.72},
    "khm-lao-mya": {"khm-lao-mya-pile-v1": 5.2, "khm-lao-mya-other": 0.8},
}
BUDGET = 200 * 10**9


def test_sea_lion_v3s_table_follows_from_its_ratios():
    """Sources share a group by what there is of them; what there is is taken as half of what was used, and no source
    comes near its limit, so that nothing but the ratios decides."""
    sizes = {name: int(exact(b) * 10**9 / 2) for group in SOURCES.values() for name, b in group.items()}
    groups = {ROOT: Division(RATIOS), "sea": Division(SEA)}
    groups |= {name: Division(dict.fromkeys(members, 1), alpha=1) for name, members in SOURCES.items()}
    parts = Tree(groups, supplies(sizes)).budgets(BUDGET)
    assert len(parts) == 19
    for members in SOURCES.values():
        for name, billions in members.items():
            assert parts[name].budget == exact(billions) * 10**9 == parts[name].asked
    sums = {top: sum(part.budget for part in parts.values() if part.groups[0] == top) for top in RATIOS}
    for top, percent in RATIOS.items():
        assert abs(sums[top] / BUDGET - percent / 100) < 1e-9
    assert sum(parts[name].share for name in SOURCES["thai"]) == Fraction(10, 100)


def test_the_ratios_that_the_documentation_prints_are_these():
    page = Path(__file__).resolve().parents[2] / "docs" / "why" / "mixture.md"
    printed = yaml.safe_load(page.read_text(encoding="utf-8").split("```yaml")[1].split("```")[0])
    groups = {ROOT: Division(printed["shares"])}
    groups |= {name: Division(group["members"]) for name, group in printed["groups"].items()}
    sizes = {name: 10**12 for members in SOURCES.values() for name in members}
    parts = Tree(groups, supplies(sizes)).budgets(int(float(printed["budget"])))
    wanted = {name: exact(b) * 10**9 for members in SOURCES.values() for name, b in members.items()}
    assert {name: part.budget for name, part in parts.items()} == wanted


def test_a_used_up_source_leaves_its_budget_to_its_siblings_and_a_used_up_group_to_the_others():
    groups = {ROOT: Division({"a": 1, "b": 1}), "a": Division({"a1": 1, "a2": 1}), "b": Division({"b1": 1})}
    tree = Tree(groups, supplies({"a1": 10, "a2": 100, "b1": 1000}, epochs=2))
    assert tree.largest() == 80
    within = {name: part.budget for name, part in tree.budgets(200).items()}
    assert within == {"a1": 20, "a2": 80, "b1": 100}
    across = {name: part.budget for name, part in tree.budgets(1000).items()}
    assert across == {"a1": 20, "a2": 200, "b1": 780}
    assert tree.budgets(1000)["a1"].asked == 250
    with pytest.raises(RecipeError, match="is 1 more than the 2,220 that"):
        tree.budgets(2221)


amounts = st.integers(0, 10**6)
tables = st.dictionaries(
    st.text(min_size=1, max_size=3), st.tuples(st.integers(0, 50), amounts), min_size=1, max_size=8
)


@given(tables, amounts)
def test_parts_sum_up_keep_to_limits_and_share_the_rest_by_weight(table, amount):
    weights = {name: Fraction(weight) for name, (weight, _) in table.items()}
    limits = {name: Fraction(limit) for name, (_, limit) in table.items()}
    parts = fill(Fraction(amount), weights, limits)
    room = sum(limit for name, limit in limits.items() if weights[name])
    assert sum(parts.values()) == min(amount, room)
    assert all(parts[name] <= limits[name] for name in parts)
    ratios = {parts[name] / weights[name] for name in parts if weights[name] and parts[name] < limits[name]}
    assert len(ratios) <= 1
    highest = max(ratios, default=None)
    assert highest is None or all(parts[n] / weights[n] <= highest for n in parts if weights[n])
    if amount <= room:
        numbers = whole(parts, amount)
        assert sum(numbers.values()) == amount
        assert all(abs(numbers[name] - part) < 1 and numbers[name] <= limits[name] for name, part in parts.items())


def unimax(sizes, budget, epochs):
    """Algorithm 1 of arXiv:2304.09151 as it is printed there."""
    left, out = Fraction(budget), {}
    order = sorted(sizes, key=lambda name: sizes[name])
    for number, name in enumerate(order):
        even = left / (len(order) - number)
        out[name] = sizes[name] * epochs if even > sizes[name] * epochs else even
        left -= out[name]
    return out


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.integers(1, 10**6), min_size=1, max_size=8), amounts)
def test_equal_weights_with_limits_are_unimax(sizes, budget):
    room = sum(sizes.values()) * 4
    budget = min(budget, room)
    limits = {name: Fraction(size * 4) for name, size in sizes.items()}
    assert fill(Fraction(budget), dict.fromkeys(sizes, Fraction(1)), limits) == unimax(sizes, budget, 4)


def test_temperature_flattens():
    """Fifty to one becomes 3.2 to one at α = 0.3; at 1 and 0 the shares are exact."""
    assert sharpened(1, 50, 0.3) / sharpened(1, 1, 0.3) == pytest.approx(50**0.3, rel=1e-15)
    assert sharpened(0.1, 50, 1) == 5
    assert sharpened(0.1, 50, 0) == Fraction(1, 10)


def test_the_cascade():
    """AI Singapore's course (PAIP-Pretrain, W1D3): languages, Common Crawl or not, sources, quality.

    Its language ratios sum to 1 (its text says 1.27), web sources share equally, the others by size, and the numbers of
    its worked example are TH_SLP_1's.
    """
    ratios = {"CODE": 0.1, "EN": 0.4, "ZH": 0.09, "VI": 0.085, "ID": 0.085, "TH": 0.085, "TL": 0.025, "TA": 0.045}
    ratios |= {"MS": 0.0475, "KM": 0.015, "LO": 0.005, "MY": 0.0175, "JV": 0, "SU": 0}
    assert sum(map(exact, ratios.values())) == 1
    groups = {
        ROOT: Division({"EN": 0.4, "KM": 0.015, "rest": 0.585}),
        "EN": Division({"EN_CC": 0.8, "EN_other": 0.2}),
        "EN_CC": Division({"FineWeb-Edu": 1, "DCLM": 1}),
        "EN_other": Division({"Cosmopedia": 1, "Wikipedia": 1}, alpha=1),
        "KM": Division({"KM_CC": 1, "KM_other": 1}, alpha=1),
    }
    sizes = {"FineWeb-Edu": 190_650_069_973, "DCLM": 765_854_035_287, "Cosmopedia": 27_575_408_324}
    sizes |= {"Wikipedia": 6_592_965_498, "KM_CC": 10_867_072_201, "KM_other": 222_649_768, "rest": 10**12}
    shares = {name: share for name, (_, share) in Tree(groups, supplies(sizes)).shares().items()}
    assert shares["FineWeb-Edu"] == shares["DCLM"] == Fraction(16, 100)
    assert shares["Cosmopedia"] / shares["Wikipedia"] == Fraction(27_575_408_324, 6_592_965_498)
    assert float(shares["KM_CC"] / (shares["KM_CC"] + shares["KM_other"])) == pytest.approx(0.9799, abs=5e-5)


def test_weight_moves_from_tail_to_head():
    sizes = {"head": 2_057_048_857, "middle": 4_585_093_464, "tail": 1_775_548_351}
    shares = bucket_shares(sizes, {})
    moved = towards_head(shares, sizes, "head", "tail")
    # the course prints six decimals of shares of 0.00335
    assert {name: round(float(share) * 0.00335, 6) for name, share in moved.items()} == {
        "head": 0.001172, "middle": 0.001825, "tail": 0.000353,
    }  # fmt: skip
    larger = {"head": 6_056_890_592, "middle": 20_988_635_635, "tail": 9_749_002_919}
    more = towards_head(bucket_shares(larger, {}), larger, "head", "tail")
    assert float(more["head"] / bucket_shares(larger, {})["head"]) == pytest.approx(1.6096, abs=5e-5)
    assert more["tail"] == bucket_shares(larger, {})["head"]
    assert towards_head({"head": Fraction(1)}, {"head": 3}, "head", "tail") == {"head": 1}


@given(st.tuples(amounts, amounts, amounts).filter(any))
def test_moving_weight_keeps_the_sum_and_no_share_below_zero(amount):
    sizes = dict(zip(("head", "middle", "tail"), amount, strict=True))
    moved = towards_head(bucket_shares(sizes, {}), sizes, "head", "tail")
    assert sum(moved.values()) == 1
    assert min(moved.values()) >= 0


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        ({ROOT: {"thai": 1}}, "Did you mean 'tha'"),
        ({ROOT: {"tha": 1, "g": 1}, "g": {}}, "groups.g: the group has no member"),
        ({ROOT: {"tha": 1, "g": 1}, "g": {"lao": 0}}, "no member with a weight"),
        ({ROOT: {"tha": 1, "g": 1}, "g": {"tha": 1}}, "'tha' is in two groups"),
        ({ROOT: {"tha": 1}, "g": {"lao": 1}}, "the group 'g' is in no group"),
        ({ROOT: {"tha": 1}}, "the source 'lao' is in no group"),
        ({ROOT: {"tha": 1, "lao": -1}}, "must be 0 or more"),
        ({ROOT: {"tha": 1, "none": 1, "lao": 0}}, "no document belongs to source 'none'"),
    ],
)
def test_wrong_groups_are_refused(groups, says):
    with pytest.raises(RecipeError, match=says):
        Tree({k: Division(v) for k, v in groups.items()}, supplies({"tha": 5, "lao": 5, "none": 0}))


def test_documents_are_chosen_by_place_up_to_the_budget(tmp_path):
    """Against sorting everything in memory: ten thousand documents of four units in three folders."""
    rng = np.random.default_rng(0)
    folders, tables, everything = [], [[0, 1], [2, -1, 0], [3, 2, 1, 0]], []
    for number, table in enumerate(tables):
        rows = np.zeros(3333, ROW)
        rows["cell"], rows["size"] = rng.integers(0, len(table), 3333), rng.integers(0, 1000, 3333)
        rows["place"] = rng.integers(0, 2**64, 3333, dtype=np.uint64)
        rows["place"][:1000] >>= np.uint64(20 * number)  # many in one bin
        folders.append(tmp_path / str(number))
        folders[-1].mkdir()
        np.save(folders[-1] / ROWS, rows)
        everything += [(table[cell], int(place), int(size)) for cell, place, size in rows]
    available = {unit: sum(size for u, _, size in everything if u == unit) for unit in range(4)}
    budgets = {0: 12_345, 1: 3 * available[1] + 54_321, 2: 0, 3: available[3]}
    for unit, choice in choose(folders, tables, available, budgets).items():
        taken = sum(size for u, place, size in everything if u == unit and place < choice.below)
        nearest = min(size for u, place, size in everything if u == unit and place == choice.below) if taken else 0
        assert choice.copies == budgets[unit] // available[unit]
        assert choice.size == choice.copies * available[unit] + taken <= budgets[unit]
        assert choice.size + nearest > budgets[unit] or not taken
