"""A bad document for every reason in every language it applies to, dropped for that reason; clean text is kept.

The documents are made of the words of a language's ordinary text, so that only what a reason is about is wrong.
"""

import gzip
import json
import random
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ordinary_text import KEPT

import sampan.corpus
from sampan.artifacts.documents import Document
from sampan.core.errors import InputError, RecipeError
from sampan.core.params import parse_params
from sampan.corpus.clean import Params
from sampan.corpus.cleaning import Cleaner
from sampan.corpus.filters import FILTERS
from sampan.corpus.filters.repetition import DUPLICATE_NS, TOP_NS, _duplicate_ngrams, _top_ngram
from sampan.corpus.limits import read_limits
from sampan.corpus.rules import rules_of
from sampan.corpus.view import TextView
from sampan.lang.normalise import normalise
from sampan.lang.profile import languages, load_profile
from sampan.lang.scripts import own_script_share
from sampan.lang.segment import words

END = {"khm_Khmr": "។", "mya_Mymr": "။", "zho_Hans": "。", "tha_Thai": "", "lao_Laoo": ""}
NOTICES = {
    "zho_Hans": "版权所有\n隐私政策\n登录\n注册账号\n备案号",
    "vie_Latn": "Bản quyền thuộc về chúng tôi\nChính sách bảo mật\nĐăng nhập\nQuên mật khẩu",
    "ind_Latn": "Hak cipta dilindungi undang-undang\nKebijakan privasi\nLog in\nBaca juga",
    "msa_Latn": "Hak cipta terpelihara\nDasar privasi\nLog masuk\nDaftar masuk",
    "tha_Thai": "สงวนลิขสิทธิ์\nนโยบายความเป็นส่วนตัว\nเข้าสู่ระบบ\nลืมรหัสผ่าน",
    "khm_Khmr": "រក្សាសិទ្ធិគ្រប់យ៉ាង\nគោលការណ៍ឯកជនភាព\nចូលគណនី\nអានបន្ត",
    "lao_Laoo": "ສະຫງວນລິຂະສິດ © 2024\nເຂົ້າສູ່ລະບົບ\n© 2024 ເວັບໄຊຂອງພວກເຮົາ",
    "eng_Latn": "All rights reserved\nPrivacy policy\nLog in\nWe use cookies\nForgot password",
    "mya_Mymr": "မူပိုင်ခွင့်\nကိုယ်ရေးအချက်အလက်မူဝါဒ\nအကောင့်ဝင်",
    "tam_Taml": "அனைத்து உரிமைகளும் பாதுகாக்கப்பட்டவை\nதனியுரிமைக் கொள்கை\nஉள்நுழைக",
}
SPAM = {
    "vie_Latn": ["nhà cái", "cá cược", "nổ hũ", "soi kèo", "tài xỉu"],
    "tha_Thai": ["เว็บพนัน", "สล็อตออนไลน์", "บาคาร่า", "เครดิตฟรี", "แทงบอล"],
    "lao_Laoo": ["ເວັບພະນັນ", "ບາຄາຣາ", "ເຄຣດິດຟຣີ", "ແທງບານ"],
    "khm_Khmr": ["កាស៊ីណូអនឡាញ", "ល្បែងអនឡាញ", "ភ្នាល់បាល់", "បាការ៉ា"],
    "mya_Mymr": ["အွန်လိုင်းကာစီနို", "ဘောလုံးလောင်း", "စလော့ဂိမ်း", "ငွေသွင်းငွေထုတ်"],
    "tam_Taml": ["ஆன்லைன் கேசினோ", "ஆன்லைன் சூதாட்டம்", "டெபாசிட் போனஸ்", "வரவேற்பு போனஸ்"],
    "zho_Hans": ["在线赌场", "百家乐", "老虎机", "时时彩", "首存优惠"],
    "eng_Latn": ["online casino", "free spins", "welcome bonus", "no deposit bonus"],
    "tgl_Latn": ["online casino", "free spins", "online sabong", "welcome bonus"],
}
MALAY_SPAM = ["slot gacor", "situs judi", "bonus new member", "link alternatif", "maxwin"]


class Words:
    """A language's words (or clusters) in an order of their own for each seed."""

    def __init__(self, code):
        self.code, self.profile = code, load_profile(code)
        self.glue = " " if self.profile.spaced else ""
        self.all = sorted({word for text in KEPT[code] for word in words(normalise(text), code) if not word.isdigit()})
        self.scale = 1 if self.profile.spaced else 3

    def run(self, number, seed, among=None):
        """`number` words' worth of text without punctuation."""
        rng = random.Random(f"{self.code} {seed}")
        return self.glue.join(rng.choice(among or self.all) for _ in range(number * self.scale))

    def sentence(self, number, seed):
        return self.run(number, seed) + END.get(self.code, ".")

    def lines(self, count, number, seed):
        return [self.sentence(number, f"{seed}-{place}") for place in range(count)]


def interleave(pieces, between):
    return " ".join(f"{a} {b}" for a, b in zip(pieces, between, strict=True))


def with_another(w):
    """Twenty lines of it, and a paragraph in a language of another script."""
    other = KEPT["tha_Thai" if w.code == "khm_Khmr" else "khm_Khmr"][:3]
    return "\n".join([*w.lines(20, 12, 1), *other])


def paragraphs_repeated(w):
    long = ["\n".join(w.lines(12, 8, f"long {n}")) for n in range(3)]
    return "\n\n".join([*long, *[w.sentence(6, "same")] * 9])


def passages_repeated(w):
    passage = w.run(34, "passage")
    return interleave([passage] * 7, [w.sentence(2, n) for n in range(7)])


LETTERS = {
    "tha_Thai": "กขคฆงจฉชซฌญฎฏฐฑฒณดตถทธนบปผฝพฟภมยรลวศษสหฬอฮ",
    "lao_Laoo": "ກຂຄງຈສຊຍດຕຖທນບປຜຝພຟມຢຣລວຫອຮ",
    "khm_Khmr": "កខគឃងចឆជឈញដឋឌឍណតថទធនបផពភមយរលវសហឡអ",
    "mya_Mymr": "ကခဂဃငစဆဇဈညဋဌဍဎဏတထဒဓနပဖဗဘမယရလဝသဟဠအ",
}


def without_stop_words(w):
    """Words that are no stop words; where those are looked for inside words, bare letters of none."""
    if w.profile.thresholds.min_stop_words is None:
        return None
    stop = set(w.profile.stop_words)
    if w.code in LETTERS:
        bare = "".join(word for word in stop if set(word) <= set(LETTERS[w.code]))
        return w.run(70, 1, [letter for letter in LETTERS[w.code] if letter not in bare])
    return w.run(70, 1, [word for word in w.all if word.lower() not in stop])


def hyphenated(w):
    """Four units of more than thirty characters."""
    if not w.profile.spaced:
        return None
    return " ".join("-".join(words(w.run(5, n), w.code)[:5]) for n in range(4))


def glued(w):
    return " ".join(w.run(6, n).replace(" ", "") for n in range(60)) if w.profile.spaced else None


def digits_between(w):
    """A little less than half of the units are single digits."""
    if w.code == "zho_Hans":
        return None  # there so many digits are too many digits first
    units = words(w.run(90, 1), w.code)
    return " ".join(f"{unit} {place % 9 + 1}" if place % 6 else unit for place, unit in enumerate(units))


def curly(w):
    text = w.sentence(60, 1)
    number = int(len(text.replace(" ", "")) * 0.3)
    return text + " " + "{x} " * (number // 3) + "{" * (number // 6) + "}" * (number // 6)


def spam(w):
    phrases = SPAM.get(w.code, MALAY_SPAM) * 3
    return interleave(phrases, [w.sentence(6, n) for n in range(len(phrases))])


def copyrights(w):
    return "\n".join(f"© {2010 + n} {w.run(3, n)}" for n in range(6))


def keyword(w):
    """Two words of five are the same, with ever other ones between; in Chinese, of four."""
    stop = {word.lower() for word in w.profile.stop_words}
    own = [word for word in w.all if word.lower() not in stop]
    key = own[len(own) // 2] if w.profile.spaced else "".join(w.all[-3:])
    others = [word for word in w.all if word not in key]
    pieces = [[key, w.run(1, n, others), key, w.run(1 + (w.code != "zho_Hans"), -n - 1, others)] for n in range(60)]
    return w.glue.join(w.glue.join(piece) for piece in pieces)


def in_another_script(w):
    if w.profile.script == "Latn":
        return None  # the identifier takes such a text for the other script's language: see `mislabelled`
    text = w.run(20, 1)
    while own_script_share(text, w.profile.script) > 0.22:
        text += " the ferry leaves at six in the morning from the old pier"
    return text


PLANTED = {
    "empty": lambda w: " \u200b\n",
    "unknown_language": None,
    "mislabelled": None,
    "other_language": None,
    "unsure_language": None,
    "unwanted_language": lambda w: w.sentence(60, 1),
    "mixed_languages": with_another,
    "wrong_encoding": lambda w: w.sentence(60, 1) + "\ufffd" * 20,
    "zawgyi": None,
    "too_short": lambda w: KEPT[w.code][2][: 14 if w.code == "zho_Hans" else 28],
    "too_long": lambda w: " ".join(w.lines(60, 9, 1)),
    "too_few_words": hyphenated,
    "too_many_words": lambda w: " ".join(w.lines(60, 9, 1)),
    "other_script": in_another_script,
    "too_many_digits": lambda w: w.sentence(12, 1) + " 482910 338201 990017 274650 119204 663829 551720 118273" * 3,
    "too_many_symbols": lambda w: w.sentence(12, 1) + " ☆★☆★ =====>>>> <<<<===== ★☆★☆ ####" * 6,
    "repeated_lines": lambda w: "\n".join([w.sentence(6, 1)] * 8),
    "repeated_paragraphs": paragraphs_repeated,
    "repeated_phrase": lambda w: (w.run(4, 1) + w.glue) * 25 + w.sentence(20, 2),
    "repeated_passages": passages_repeated,
    "boilerplate": lambda w: w.sentence(5, 1) + "\n" + (NOTICES.get(w.code) or copyrights(w)),
    "menu": lambda w: "\n".join(w.run(2, n) for n in range(14)),
    "lorem_ipsum": lambda w: w.sentence(60, 1) + " Lorem ipsum dolor sit amet, consectetur adipiscing elit.",
    "code": curly,
    "javascript": lambda w: "\n".join(f"JavaScript {line}" for line in w.lines(6, 6, 1)),
    "no_sentences": lambda w: None if w.code in ("tha_Thai", "lao_Laoo") else "\n".join(w.run(9, n) for n in range(20)),
    "spam": spam,
    "keyword_stuffing": keyword,
    "strange_words": glued,
    "too_many_hashes": lambda w: " ".join(f"{w.run(1, n)} #" for n in range(70)),
    "bullet_list": lambda w: "\n".join(f"• {line}" for line in w.lines(12, 8, 1)),
    "cut_off_lines": lambda w: "\n".join(w.run(9, n) + "..." for n in range(8)),
    "few_letters": digits_between,
    "no_stop_words": without_stop_words,
    "list": lambda w: "\n".join(word + "," for word in sorted(set(w.all), key=w.all.index)[:14]),
    "short_lines": lambda w: "\n".join(w.lines(14, 5, 1)),
    "few_line_ends": lambda w: "\n".join(w.run(9, n) for n in range(14)),
    "harmful_words": lambda w: w.sentence(60, 1),
    "personal_data": lambda w: w.sentence(40, 1) + " somebody@example.com",
}  # fmt: skip
"""By reason, what makes a document bad in a language; None where the language decides (see test_corpus_clean) or the
reason does not apply."""
NEEDS = {
    "unwanted_language": lambda w: {"languages": ["eng_Latn" if w.code != "eng_Latn" else "tha_Thai"]},
    "mixed_languages": lambda w: {"mixed": "drop", "min_main_share": 0.98},
    "too_long": lambda w: {"limits": {"max_characters": 500}},
    "too_many_words": lambda w: {"limits": {"max_units": 200}},
    "no_sentences": lambda w: {"limits": {"min_sentence_ends": 3}},
    "short_lines": lambda w: {"limits": {"max_short_line_share": 0.67}},
    "few_line_ends": lambda w: {"limits": {"min_line_end_share": 0.12}},
    "personal_data": lambda w: {"pii": "drop"},
}
"""Rules that are off, or far off, without these parameters."""
CASES = [(code, reason) for reason, make in PLANTED.items() if make for code in sorted(KEPT)]


@pytest.mark.parametrize(("code", "reason"), CASES)
def test_planted_documents_are_dropped_for_their_reason(code, reason, tmp_path):
    w = Words(code)
    text = PLANTED[reason](w)
    if text is None:
        pytest.skip(f"{reason} does not apply to {code}")
    files = {}
    if reason == "harmful_words":
        (tmp_path / f"{code}.txt").write_text("# ours\n" + "\n".join(w.all[:8]), encoding="utf-8")
        files["harmful_words"] = str(tmp_path)
    cleaner = Cleaner(parse_params(Params, NEEDS.get(reason, lambda w: {})(w), where="test"), files)
    assert cleaner(Document("1", text, language=code))[1] == reason, text


@pytest.mark.parametrize("code", sorted(KEPT))
def test_the_material_of_planted_documents_is_kept(code):
    """Otherwise a planted document could be dropped for what it is made of."""
    w = Words(code)
    for number in (12, 60, 300):
        text = "\n".join(w.lines(number // 12, 12, number))
        assert Cleaner(Params())(Document("1", text, language=code))[1] == "", text


def test_every_reason_is_planted():
    folder = Path(sampan.corpus.__file__).parent
    source = "".join((folder / name).read_text() for name in ("language.py", "cleaning.py", "filters/encoding.py"))
    reasons = {rule.reason for rule in rules_of(list(FILTERS))}
    for groups in re.findall(r'drop\("(\w+)"\)|"((?:un|other_|mis)\w+)"|document, "(\w+)"', source):
        reasons |= {group for group in groups if group}
    assert reasons - {""} == set(PLANTED)


def test_no_rule_is_computed_that_is_off():
    limits = {rule.limit for rule in rules_of(list(FILTERS))}
    off = parse_params(Params, {"limits": dict.fromkeys(limits), "pii": "keep"}, where="test")
    w = Words("lao_Laoo")
    for reason in ("repeated_lines", "spam", "menu", "too_many_symbols", "list", "too_short"):
        assert Cleaner(off)(Document("1", PLANTED[reason](w), language=w.code))[1] == ""


def slow_top(units, n, lengths):
    times = Counter(tuple(units[i : i + n]) for i in range(len(units) - n + 1))
    most = max(times.values(), default=0)
    if most <= 2:
        return 0.0
    return max(covered(units, n, lengths, {gram}) for gram, number in times.items() if number == most)


def covered(units, n, lengths, grams):
    inside = {i + k for i in range(len(units) - n + 1) if tuple(units[i : i + n]) in grams for k in range(n)}
    return sum(lengths[i] for i in inside) / sum(lengths)


def slow_duplicate(units, n, lengths):
    seen, inside = set(), set()
    for i in range(len(units) - n + 1):
        gram = tuple(units[i : i + n])
        inside |= set(range(i, i + n)) if gram in seen else set()
        seen.add(gram)
    return sum(lengths[i] for i in inside) / sum(lengths)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["a", "bb", "ccc", "one two three four", "five six seven eight nine"]), min_size=40, max_size=90
    )
)
def test_repetition_is_what_counting_by_hand_gives(pieces):
    text = " ".join(pieces)
    view = TextView(text, load_profile("eng_Latn"), load_profile("eng_Latn").thresholds)
    units = text.split()
    lengths = [len(unit) for unit in units]
    for n in DUPLICATE_NS:
        assert _duplicate_ngrams(view, n) == pytest.approx(slow_duplicate(units, n, lengths))
    for n in TOP_NS:
        times = Counter(tuple(units[i : i + n]) for i in range(len(units) - n + 1))
        if list(times.values()).count(max(times.values())) <= 4:  # of more ties only some are looked at
            assert _top_ngram(view, n) == pytest.approx(slow_top(units, n, lengths))


@settings(max_examples=80, deadline=None)
@given(st.text(max_size=300), st.sampled_from(languages()))
def test_statistics_of_any_text_are_numbers(text, code):
    view = TextView(normalise(text), load_profile(code), load_profile(code).thresholds)
    for rule in rules_of(list(FILTERS)):
        value = rule.statistic(view)
        assert value is None or np.isfinite(value)
        if rule.limit.endswith("share") and value is not None:
            assert 0 <= value <= 1 + 1e-12


def test_news_about_gambling_is_no_spam():
    text = (
        "Polisi menangkap pengelola situs judi online di Jakarta. Menurut penyidik, para pelaku menawarkan slot gacor "
        "lewat media sosial dan menipu ratusan orang. Korban mengaku kehilangan tabungan keluarganya karena percaya "
        "pada iklan tersebut, dan pemerintah berjanji menutup lebih banyak situs serupa sebelum akhir tahun ini."
    )
    assert Cleaner(Params())(Document("1", text, language="id"))[1] == ""


def test_word_lists_and_limits_from_files(tmp_path):
    (tmp_path / "slurs.txt").write_text("x")
    with pytest.raises(InputError, match="no word list is named after a language"):
        Cleaner(Params(), {"harmful_words": str(tmp_path)})(Document("1", KEPT["eng_Latn"][0]))
    limits = tmp_path / "limits.yaml"
    limits.write_text("eng_Latn: {min_characters: 5000}\n")
    document = Document("1", KEPT["eng_Latn"][0])
    assert Cleaner(Params(), {"limits": str(limits)})(document)[1] == "too_short"
    assert Cleaner(Params(limits={"min_characters": 5}), {"limits": str(limits)})(document)[1] == ""
    for text, says in (
        ("eng_Latn: {min_charakters: 5}", "no limit 'min_charakters'"),
        ("eng_Latin: {}", "no language 'eng_Latin'"),
        ("eng_Latn: {min_units: many}", "limit `min_units` is 'many'"),
        ("eng_Latn: {max_digit_share: 2}", "limit `max_digit_share` is 2"),
        ("eng_Latn: 5", "limits of a language are a table"),
        ("- 1", "a table of languages"),
        ("{", "not readable as YAML"),
    ):
        limits.write_text(text)
        with pytest.raises((InputError, RecipeError), match=says):
            read_limits(limits)


CLEAN = ("udhr", "tico19", "ntrex128", "wikipedia", "wikipedia_demo", "wikipedia_sentences", "viwiki", "storybooks")


@pytest.mark.shared
def test_clean_text_of_every_language_is_kept(shared, capsys):
    """98 of 100 documents and more, of all sources; NTREX's Burmese is Zawgyi, and counted if `normalise` mends it."""
    folders = {"zho_Hans": "zh", "tgl_Latn": "tl"}
    rows, cleaner = [], Cleaner(Params())
    for code in languages():
        reasons: Counter[str] = Counter()
        number = 0
        for name in CLEAN:
            path = shared / "data/text" / folders.get(code, load_profile(code).alpha2) / f"{name}.jsonl.gz"
            if not path.is_file():
                continue
            with gzip.open(path, "rt", encoding="utf-8") as lines:
                for line in lines:
                    number += 1
                    reason = cleaner(Document("1", json.loads(line)["text"], language=code))[1]
                    reasons[reason] += 1
        zawgyi = reasons.pop("zawgyi", 0)
        rows.append((code, number - zawgyi, reasons.pop("", 0), dict(reasons)))
    with capsys.disabled():
        print("\nlanguage documents kept dropped")
        for code, number, kept, dropped in rows:
            print(f"{code} {number:6} {kept / number:8.2%} {dropped}")
    for code, number, kept, dropped in rows:
        assert kept >= 0.98 * number, (code, dropped)
