"""Learnt limits keep the asked share of the reference, cut the tails, and are read by corpus.clean."""

import json
import random

import pytest
import yaml
from ordinary_text import KEPT

from sampan.core.errors import InputError, RecipeError
from sampan.core.params import parse_params
from sampan.corpus.calibrate import Params
from sampan.corpus.calibration import REPORT, _rounded
from sampan.corpus.limits import LIMITS_FILE
from sampan.lang.normalise import normalise
from sampan.lang.segment import words


def reference(folder, counts, *, digits=range(11), shuffle=None):
    """Files of made-up documents, in each of which one word of ten to none is a number."""
    rows = []
    for code, number in counts.items():
        vocabulary = words(normalise(" ".join(KEPT[code])), code)
        rng = random.Random(code)
        for place in range(number):
            share = digits[place % len(digits)] / 100
            text = " ".join(rng.choice(vocabulary) if rng.random() > share else "1984" for _ in range(80))
            rows.append({"id": f"{code}-{place}", "text": text, "language": code})
    if shuffle is not None:
        random.Random(shuffle).shuffle(rows)
    folder.mkdir()
    for place in range(3):
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows[place::3]]
        (folder / f"{place}.jsonl").write_text("".join(lines), encoding="utf-8")
    return folder


def test_the_asked_share_passes_together(tmp_path, run_stage):
    files = reference(tmp_path / "ref", {"ind_Latn": 120, "khm_Khmr": 100, "lao_Laoo": 20})
    for keep in (0.95, 0.8):
        params = {"keep": keep, "min_documents": 50}
        metrics, made = run_stage("corpus.calibrate", params, {"documents": [files]})
        assert metrics["left_out"] == {"lao_Laoo": 20}
        limits = yaml.safe_load((made.path / LIMITS_FILE).read_text(encoding="utf-8"))
        assert set(limits) == {"ind_Latn", "khm_Khmr"}
        for code, number in (("ind_Latn", 120), ("khm_Khmr", 100)):
            # No tail between two documents exists, and a tail of one more of each statistic can cost several documents.
            assert keep <= metrics["kept"][code] <= keep + 0.12
            report = json.loads((made.path / REPORT).read_text(encoding="utf-8"))[code]
            row = report["statistics"]["max_digit_share"]
            assert row["documents"] == report["documents"] == number
            assert (
                row["quantiles"]["0.5"]
                < row["learnt"]
                == limits[code]["max_digit_share"]
                <= row["quantiles"]["1"] * 1.001
            )
            assert "max_spam_share" not in limits[code], "the reference has no spam, so it says nothing of it"
        given = {"documents": [files], "limits": [made]}
        cleaned, _ = run_stage("corpus.clean", {"languages": ["ind_Latn", "khm_Khmr"]}, given)
        passed = cleaned["documents"] / 220
        # The rules that teach nothing and the length rules lose none of these documents.
        assert passed == pytest.approx((metrics["kept"]["ind_Latn"] * 120 + metrics["kept"]["khm_Khmr"] * 100) / 220)


def test_the_least_confidence_is_learnt(tmp_path, run_stage):
    files = reference(tmp_path / "ref", {"tha_Thai": 60, "ind_Latn": 60})
    _, made = run_stage("corpus.calibrate", {"min_documents": 50, "keep": 0.9}, {"documents": [files]})
    limits = yaml.safe_load((made.path / LIMITS_FILE).read_text(encoding="utf-8"))
    report = json.loads((made.path / REPORT).read_text(encoding="utf-8"))
    for code in limits:
        row = report[code]["statistics"]["min_language_confidence"]
        assert row["profile"] == 0.5
        if row["quantiles"]["0.05"] < 1:  # else the same in nearly every document: it teaches nothing
            assert 0.5 < limits[code]["min_language_confidence"] <= row["quantiles"]["0.25"]
    assert "min_language_confidence" in limits["ind_Latn"]
    _, made = run_stage("corpus.calibrate", {"min_documents": 50, "confidence": False}, {"documents": [files]})
    assert "confidence" not in (made.path / LIMITS_FILE).read_text(encoding="utf-8")


def test_learnt_limits_drop_what_the_reference_never_has(tmp_path, run_stage):
    files = reference(tmp_path / "ref", {"ind_Latn": 100}, digits=range(3))
    _, made = run_stage("corpus.calibrate", {"min_documents": 50}, {"documents": [files]})
    other = reference(tmp_path / "other", {"ind_Latn": 40}, digits=[30, 0])
    before, _ = run_stage("corpus.clean", {}, {"documents": [other]})
    after, _ = run_stage("corpus.clean", {}, {"documents": [other], "limits": [made]})
    assert before["dropped"] == {}
    assert after["dropped"]["too_many_digits"] + after["dropped"].get("few_letters", 0) >= 18


def test_the_order_and_the_cut_of_the_reference_do_not_matter(tmp_path, run_stage):
    counts = {"ind_Latn": 60, "khm_Khmr": 60}
    params = {"min_documents": 20, "max_documents": 30}
    one = run_stage("corpus.calibrate", params, {"documents": [reference(tmp_path / "a", counts)]})[1]
    two = run_stage("corpus.calibrate", params, {"documents": [reference(tmp_path / "b", counts, shuffle=1)]})[1]
    for name in (LIMITS_FILE, REPORT):
        assert (one.path / name).read_bytes() == (two.path / name).read_bytes()
    assert json.loads((one.path / REPORT).read_text(encoding="utf-8"))["ind_Latn"]["documents"] == 30


def test_rounding_goes_outwards():
    import numpy as np

    assert _rounded(0.123449, np.ceil) == 0.1235
    assert _rounded(0.123451, np.floor) == 0.1234
    assert _rounded(12345.0, np.ceil) == 12350.0
    assert _rounded(0.0, np.ceil) == 0.0


def test_calibrate_errors(tmp_path, run_stage):
    files = reference(tmp_path / "ref", {"ind_Latn": 5})
    with pytest.raises(InputError, match="no language has 200 reference documents"):
        run_stage("corpus.calibrate", {}, {"documents": [files]})
    with pytest.raises(RecipeError, match="`keep` = 0.2"):
        parse_params(Params, {"keep": 0.2}, where="test")
