"""A made-up lineage of thirty stages in eleven languages, for looking at the report; no number here is measured."""

from __future__ import annotations

import math

from sampan.artifacts.findings import Finding, Findings, Searched
from sampan.artifacts.item_values import Asked
from sampan.artifacts.scores import Score
from sampan.core.identity import digest_text
from sampan.recipe.report import Record, ReportData, Sample, StageView, VariantView

NAMES = {
    "tha_Thai": "Thai",
    "lao_Laoo": "Lao",
    "khm_Khmr": "Khmer",
    "mya_Mymr": "Burmese",
    "tam_Taml": "Tamil",
    "vie_Latn": "Vietnamese",
    "ind_Latn": "Indonesian",
    "zsm_Latn": "Malay",
    "tgl_Latn": "Tagalog",
    "zho_Hans": "Chinese",
    "eng_Latn": "English",
}
LANGUAGES = tuple(NAMES)
PROMPTS = {
    "tha_Thai": ("เมืองหลวงของประเทศไทยคือเมืองอะไร", "กรุงเทพมหานคร"),
    "lao_Laoo": ("ນະຄອນຫຼວງຂອງປະເທດລາວແມ່ນເມືອງໃດ", "ວຽງຈັນ"),
    "khm_Khmr": ("តើរាជធានីនៃប្រទេសកម្ពុជាមានឈ្មោះអ្វី?", "ភ្នំពេញ"),
    "mya_Mymr": ("မြန်မာနိုင်ငံ၏ မြို့တော်သည် အဘယ်နည်း။", "နေပြည်တော်"),
    "tam_Taml": ("சிங்கப்பூரின் ஆட்சி மொழிகள் எவை?", "தமிழ், மலாய், சீனம், ஆங்கிலம்"),
    "vie_Latn": ("Thủ đô của Việt Nam là thành phố nào?", "Hà Nội"),
    "ind_Latn": ("Apa ibu kota Indonesia?", "Jakarta"),
    "zsm_Latn": ("Apakah ibu negara Malaysia?", "Kuala Lumpur"),
    "tgl_Latn": ("Ano ang kabisera ng Pilipinas?", "Maynila"),
    "zho_Hans": ("新加坡位于哪个半岛的南端？", "马来半岛"),
    "eng_Latn": ("Which river runs through Vientiane?", "the Mekong"),
}
MODELS = ("base", "expanded", "cpt", "cpt_low", "sft", "sft_2", "dpo", "simpo", "merged_linear", "merged")

# name: (stage, kind, {role: names}, params)
STAGES = {
    "pages": ("crawl.warc", "documents", {"files": ["warc"]}, {}),
    "wiki": ("crawl.wiki", "documents", {"files": ["dumps"]}, {"min_characters": 80}),
    "books": ("crawl.tables", "documents", {"files": ["library"]}, {}),
    "identified": ("corpus.identify", "documents", {"documents": ["pages"]}, {"min_confidence": 0.6}),
    "clean": ("corpus.clean", "documents", {"documents": ["identified", "wiki", "books"]}, {"max_symbol_share": 0.3}),
    "unique": ("corpus.dedup", "documents", {"documents": ["clean"]}, {"method": "minhash", "threshold": 0.8}),
    "quality": ("corpus.quality", "documents", {"documents": ["unique"]}, {"min_bucket": "medium"}),
    "held_out": ("corpus.split", "documents", {"documents": ["quality"]}, {"share": 0.02}),
    "decontaminated": ("corpus.decontaminate", "documents", {"documents": ["quality"], "items": ["questions"]}, {}),
    "mixed": ("corpus.mix", "documents", {"documents": ["decontaminated"]}, {"temperature": 0.3, "max_repeats": 4}),
    "tokenizer": ("vocab.train", "tokenizer", {"documents": ["mixed"]}, {"vocab_size": 16384}),
    "expanded": (
        "vocab.expand",
        "checkpoint",
        {"base": ["base"], "tokenizer": ["tokenizer"]},
        {"init": "mean_subword"},
    ),
    "tokens": ("corpus.pack", "tokens", {"documents": ["mixed"], "tokenizer": ["expanded"]}, {"context_len": 4096}),
    "tokens_low": ("corpus.pack", "tokens", {"documents": ["books"], "tokenizer": ["expanded"]}, {}),
    "cpt": ("train.causal_lm", "checkpoint", {"model": ["expanded"], "tokens": ["tokens"]}, {"lr": 1e-5}),
    "cpt_low": ("train.causal_lm", "checkpoint", {"model": ["cpt"], "tokens": ["tokens_low"]}, {"lr": 3e-6}),
    "translated": ("synth.translate", "conversations", {"model": ["cpt"], "conversations": ["chat"]}, {}),
    "magpie": ("synth.magpie", "conversations", {"model": ["sft"]}, {"num_prompts": 4000}),
    "vetted": ("synth.review", "conversations", {"conversations": ["translated"]}, {"min_score": 7}),
    "sft": ("train.sft", "checkpoint", {"model": ["cpt_low"], "conversations": ["vetted"]}, {"lr": 2e-5}),
    "sft_2": ("train.sft", "checkpoint", {"model": ["sft"], "conversations": ["magpie"]}, {"lr": 5e-6}),
    "pairs": ("synth.self_preference", "preferences", {"model": ["sft_2"], "prompts": ["chat"]}, {"samples": 8}),
    "dpo": ("train.preference", "checkpoint", {"model": ["sft_2"], "preferences": ["pairs"]}, {"beta": 0.1}),
    "simpo": (
        "train.preference",
        "checkpoint",
        {"model": ["sft_2"], "preferences": ["pairs"]},
        {"objective": "simpo", "beta": 10, "gamma": 5},
    ),
    "merged_linear": ("merge.weights", "checkpoint", {"models": ["cpt_low", "dpo"]}, {"method": "linear"}),
    "merged": (
        "merge.weights",
        "checkpoint",
        {"base": ["base"], "models": ["cpt_low", "dpo", "simpo"]},
        {"method": "della_linear", "weights": [1, 1, 1], "density": 0.7, "normalize": False},
    ),
    "scores": ("evals.run", "scores", {"models": list(MODELS), "items": ["questions"], "documents": ["held_out"]}, {}),
    "red_team": ("evals.safety", "scores", {"models": ["merged"]}, {}),
    "gguf": ("export.gguf", "bundle", {"model": ["merged"]}, {"quantization": "Q4_K_M"}),
    "card": ("export.card", "bundle", {"model": ["merged"], "scores": ["scores"]}, {}),
}


def _noise(*parts: object) -> float:
    """A repeatable number between 0 and 1."""
    return int(digest_text("/".join(map(str, parts)))[:8], 16) / 0xFFFFFFFF


def _summary(name: str, size: int) -> dict:
    reasons = {
        "pages": ("no_text", "too_short"),
        "identified": ("low_confidence", "other_language"),
        "clean": ("too_short", "symbols", "repeated_lines", "stop_words"),
        "unique": ("near_duplicate", "exact_duplicate"),
        "quality": ("low_quality",),
        "decontaminated": ("contaminated",),
    }.get(name, ())
    sizes = {code: int(size * (0.04 + _noise(code) ** 2) / (1 + i / 3)) for i, code in enumerate(LANGUAGES)}
    dropped = {r: {code: int(n * 0.35 * _noise(name, r, code) ** 1.5) for code, n in sizes.items()} for r in reasons}
    return {
        "documents": sum(sizes.values()),
        "by_language": {code: {"documents": n, "text_bytes": 2400 * n} for code, n in sizes.items()},
        "dropped": dropped,
        "by_source": dict.fromkeys(("web", "wiki", "books"), size // 3),
        "dropped_by_source": {r: {"web": 40, "wiki": 2} for r in reasons},
        "by_language_and_source": {code: {"web": n, "wiki": 7} for code, n in sizes.items()},
        "dropped_by_language_and_source": {code: {"web": 40} for code in LANGUAGES},
        "dropped_examples": {r: {code: [f"example of {r} in {code}"] for code in LANGUAGES} for r in reasons},
    }


def _log(name: str, preference: bool) -> list[dict]:
    steps, rows = 240, []
    for step in range(0, steps + 1, 2):
        done = step / steps
        fall = math.exp(-4 * done)
        row = {
            "step": step * 5,
            "tokens": step * 5 * 65536,
            "loss": (0.42 + 0.27 * fall if preference else 1.9 + 1.6 * fall) + 0.06 * (_noise(name, step) - 0.5),
            "lr": 1e-5 * min(1, done * 20) * (0.55 + 0.45 * math.cos(math.pi * done)),
        }
        if preference:
            row |= {
                "reward_accuracy": 0.5 + 0.35 * (1 - fall) + 0.04 * _noise(name, step, "r"),
                "margin": 4 * (1 - fall),
            }
        rows.append(row)
    return rows


def _fertility() -> dict:
    unit = {"tha_Thai": "word", "lao_Laoo": "word"}
    rows = []
    for i, code in enumerate(LANGUAGES):
        before = 1.3 if code == "eng_Latn" else 2.2 + 7.5 * _noise(code, "f") * (1.3 if i < 5 else 0.25)
        after = before if code == "eng_Latn" else 1.5 + before * 0.22
        rows.append(
            {
                "language": code,
                "unit": unit.get(code, "word"),
                "tokens_per_word_before": before,
                "tokens_per_word_after": after,
                "bytes_per_token_before": 9 / before,
                "bytes_per_token_after": 9 / after,
            }
        )
    return {"rows": rows, "vocab_size_before": 128256, "vocab_size_after": 144640}


def _view(index: int, name: str) -> StageView:
    stage, kind, inputs, params = STAGES[name]
    status = {"red_team": "failed", "card": "pending"}.get(name, "run" if index > 20 else "hit")
    size = {"pages": 90000, "wiki": 9000, "books": 3000, "held_out": 700}.get(name, 52000 - 2600 * index)
    chat = {"rows": 900, "by_language": {code: 40 + int(90 * _noise(name, code)) for code in LANGUAGES}}
    if name == "vetted":
        chat["dropped"] = {
            "low_score": {code: 5 + int(30 * _noise(code, "v")) for code in LANGUAGES},
            "wrong_language": 31,
        }
    tokens = {
        code: {"documents": 900, "tokens": 40000 + i * 9000, "text_bytes": 160000} for i, code in enumerate(LANGUAGES)
    }
    return StageView(
        name=name,
        stage=stage,
        kind=kind,
        digest="" if status in ("failed", "pending") else digest_text(name),
        key=digest_text(name + "key"),
        status=status,
        reason={"failed": "the judge did not answer", "pending": "waits for nothing but a run"}.get(status, ""),
        seconds=None if status in ("failed", "pending") else 3 + 4000 * _noise(name, "t") ** 6,
        inputs=inputs,
        params=params,
        metrics={"parameters": 8_030_000_000, "drift": {"mean": 0.0312}}
        if kind == "checkpoint"
        else {"documents": 120},
        licenses=("CC-BY-SA-4.0", "Apache-2.0") if index % 3 else ("CC0-1.0",),
        code_version="0.1.0",
        summary=_summary(name, size)
        if kind == "documents"
        else chat
        if kind in ("conversations", "preferences")
        else {},
        train_log=_log(name, stage == "train.preference") if stage.startswith("train.") else (),
        fertility=_fertility() if name == "expanded" else {},
        tokens={"tokens": 935_000, "trained_tokens": 935_000, "vocab_size": 144640, "by_stream": tokens}
        if kind == "tokens"
        else {},
    )


def _scores() -> list[Score]:
    rows = []
    for m, model in enumerate(MODELS):
        for i, code in enumerate(LANGUAGES):
            english = code == "eng_Latn"
            skill = (0.02 if english else 0.06) * m * (1 if model != "merged_linear" else 0.6) + 0.05 * _noise(
                model, code
            )
            values = {
                ("held_out", "bits_per_byte", False): (0.92 if english else 1.1 + 0.12 * i) * (1 - 0.8 * skill),
                ("four_choice", "accuracy", True): min(0.95, (0.55 if english else 0.27) + 0.7 * skill),
                ("preference", "accuracy", True): min(0.97, 0.5 + 0.8 * skill),
            }
            for (task, metric, higher), value in values.items():
                rows.append(
                    Score(
                        model=model,
                        model_digest=digest_text(model),
                        task=task,
                        language=code,
                        metric=metric,
                        value=value,
                        stderr=0.011 if metric == "bits_per_byte" else 0.021,
                        n=500,
                        higher_is_better=higher,
                        prompt_digest=digest_text(task + code),
                        revision=1,
                    )
                )
    return rows


def _samples() -> list[Sample]:
    rows = []
    for code, (prompt, answer) in PROMPTS.items():
        for m, model in enumerate(MODELS):
            output = (
                ("" if m == 0 else prompt) if m < 2 else f"{answer[: max(2, len(answer) - 6 + m)]}" if m < 6 else answer
            )
            rows.append(
                Sample(model=model, language=code, task="open_question", prompt=prompt, output=output, expected=answer)
            )
    return rows


def _records() -> list[Record]:
    rows = []
    for code, (prompt, answer) in PROMPTS.items():
        for number in range(3):
            for m, model in enumerate(MODELS):
                output = "" if m == 0 else answer if _noise(model, code, number) > 0.5 else "?"
                rows.append(
                    Record(
                        model=model,
                        language=code,
                        task="four_choice",
                        id=f"q{number}",
                        prompt=f"{prompt} ({number})",
                        output=output,
                        extracted=output[:4],
                        expected=answer,
                        verdict={"accuracy": float(output == answer)},
                    )
                )
    return rows


def _asked() -> list[Asked]:
    ids = [f"q{number}" for number in range(500)]
    return [Asked("four_choice", code, digest_text("four_choice" + code), ids, [], []) for code in LANGUAGES]


def _findings() -> Findings:
    """Two Thai questions stand in the decontaminated corpus, one of them whole."""
    corpus = digest_text("decontaminated")
    thai = {"task": "four_choice", "language": "tha_Thai", "corpus": corpus, "text": PROMPTS["tha_Thai"][0]}
    found = [Finding(item=f"q{n}", exact=n == 1, documents=n, document="d", **thai) for n in (1, 2)]
    ids = [f"q{number}" for number in range(500)]
    return Findings([corpus], [Searched("four_choice", code, ids) for code in LANGUAGES], found)


def example() -> ReportData:
    """The whole lineage."""
    return ReportData(
        recipe="mekong-eleven",
        languages=LANGUAGES,
        language_names=NAMES,
        stages=tuple(_view(index, name) for index, name in enumerate(STAGES)),
        scores=tuple(_scores()),
        samples=tuple(_samples()),
        records=tuple(_records()),
        records_left=12_345,
        asked=tuple(_asked()),
        findings=(_findings(),),
        variants=(VariantView(name="linear", about="A plain merge.", stages={"merged": "merged_linear"}),),
        versions={"sampan": ("0.1.0",), "torch": ("2.13.0",), "transformers": ("5.22.1", "5.23.0")},
        recipe_file="recipes/mekong-eleven.yaml",
        recipe_digest=digest_text("recipe"),
        recipe_text="recipe: mekong-eleven\nlanguages: [tha_Thai, lao_Laoo]\n",
    )
