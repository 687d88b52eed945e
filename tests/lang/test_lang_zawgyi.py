"""Zawgyi is found and turned into the Unicode text that it shows; no other use of the Myanmar block is touched."""

import difflib
import gzip
import json
import unicodedata

import pytest

from sampan.lang.normalise import changes, normalise
from sampan.lang.zawgyi import is_zawgyi, repair_zawgyi, zawgyi_share, zawgyi_to_unicode

# Sentences and words of other languages of the block, in Unicode. Written for this test from the code charts.
NOT_ZAWGYI = {
    "mya": ["မြန်မာနိုင်ငံသည် အရှေ့တောင်အာရှတွင် ရှိသည်။", "ယောက်ျားလေး ကျွန်ုပ်", "တက္ကသိုလ်", "နေကောင်းလား", "သူလာတယ်", "ရေ", "၁၂၃၄ ၀"],
    "mnw": ["ဘာသာမန် ဍုၚ်မန်", "ပ္ဍဲဂကောံ ကျာ်ၜိုဟ် သ္ၚု", "ဒၟံၚ် ဂၠိုၚ် တၠ ညးတအ်", "အခေါၚ်အရာ မၞိဟ် ကၠောန်", "လိက်ပတ် ဂၠံၚ် ၝဲ"],
    "shn": ["ၵႂၢမ်းတႆး လိၵ်ႈတႆး", "မိူင်းတႆး ၽႃႇသႃႇ", "ၵူၼ်း ႁဝ်း ၶႃႈ ယူႇ", "ႁႅင်း ၸႂ် ၼႆႉ ဢၼ် ပဵၼ်", "လႄႈ တေ မီး ႁူမ်ႈ", "႐႑႒"],
    "ksw": ["ပှၤကညီအကျိာ်", "တၢ်သဘျ့ လၢတၢ်ခွဲးတၢ်ယာ်", "ကီၢ် ဝ့ၢ် ဒီး အတၢ်", "ပှၤကိးဂၤ အိၣ်ဖျဲၣ်ထီၣ်", "လီၤ ဟံၣ်"],
    "blk": ["ပအိုဝ်ႏ ဘာႏသာႏ", "ထာꩻ သွူ ခွန်ꩻ", "ၸွိုန်ႏ လဲ့ ဖြꩻ"],
}


@pytest.mark.parametrize("language", NOT_ZAWGYI)
def test_no_unicode_text_is_called_zawgyi_or_converted(language):
    for text in (*NOT_ZAWGYI[language], " ".join(NOT_ZAWGYI[language])):
        assert not is_zawgyi(text), text
        assert repair_zawgyi(text) == text
        assert normalise(text) == unicodedata.normalize("NFC", text), "nor are its marks moved"


@pytest.mark.parametrize(
    ("zawgyi", "burmese"),
    [
        ("ျမန္မာႏိုင္ငံ", "မြန်မာနိုင်ငံ"),  # RA before its letter, asat, a small NA
        ("ေၾကညာစာတမ္း", "ကြေညာစာတမ်း"),  # E and RA
        ("အဂၤလိပ္", "အင်္ဂလိပ်"),  # kinzi
        ("သေဘၤာ", "သင်္ဘော"),
        ("ပစၥည္း", "ပစ္စည်း"),  # a stack
        ("ဥကၠ႒", "ဥက္ကဋ္ဌ"),  # two stacks, one drawn as one sign
        ("လူ႔အခြင့္အေရး", "လူ့အခွင့်အရေး"),  # dots in two places
        ("မႈ", "မှု"),  # HA and U drawn as one
        ("၄င္းတို႔", "၎င်းတို့"),  # four for a letter
        ("၀န္ႀကီး ၂၀", "ဝန်ကြီး ၂၀"),  # zero for WA, but not in a number
        ("ေယာက္်ား", "ယောက်ျား"),
        ("ေဈး ေစ်း", "ဈေး ဈေး"),
        ("ၾသဂုတ္", "ဩဂုတ်"),
        ("ဥာဏ္ ပဥၥမ", "ဉာဏ် ပဉ္စမ"),
        ("ေဒၚစု", "ဒေါ်စု"),  # tall AA and asat drawn as one
        ("သတၱဝါ", "သတ္တဝါ"),
    ],
)
def test_known_words(zawgyi, burmese):
    converted = zawgyi_to_unicode(zawgyi)
    assert normalise(converted) == normalise(burmese)
    assert not is_zawgyi(converted)


def test_a_mixed_text_is_converted_line_by_line():
    unicode_line, zawgyi_line = "ကျွန်တော် မြန်မာနိုင်ငံမှာ နေပါတယ်။", "ကၽြန္ေတာ္ ျမန္မာႏိုင္ငံမွာ ေနပါတယ္။"
    text = f"{unicode_line}\n{zawgyi_line}\nEnglish 123\n\n{zawgyi_line}"
    assert repair_zawgyi(text) == f"{unicode_line}\n{unicode_line}\nEnglish 123\n\n{unicode_line}"
    assert zawgyi_share(text) > 0.4
    assert normalise(text) == repair_zawgyi(text)
    assert {change.reason for change in changes(text)} == {"zawgyi"}


def test_a_line_without_signs_follows_its_text():
    assert repair_zawgyi("ကၽြန္ေတာ္ ေနပါတယ္။\nမွာ") == "ကျွန်တော် နေပါတယ်။\nမှာ"
    assert repair_zawgyi("ကျွန်တော် နေပါတယ်။\nမွာ") == "ကျွန်တော် နေပါတယ်။\nမွာ"


def _texts(shared, name):
    with gzip.open(shared / f"data/text/my/{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return {row["id"].partition("/")[2]: row["text"] for row in map(json.loads, file)}


def _lines(texts):
    return [
        line for text in texts for line in text.split("\n") if sum("\u1000" <= char <= "\u109f" for char in line) >= 10
    ]


def _wrong(left, right):
    """Characters to change in `left`, an upper bound of the edit distance: differing blocks of differing words."""
    wrong = 0
    a, b = left.split(" "), right.split(" ")
    for tag, i, j, k, l in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        if tag != "equal":
            x, y = " ".join(a[i:j]), " ".join(b[k:l])
            inner = difflib.SequenceMatcher(None, x, y, autojunk=False).get_opcodes()
            wrong += sum(max(q - p, s - r) for op, p, q, r, s in inner if op != "equal")
    return wrong


def _equal_share(zawgyi, burmese):
    """Share of characters that need no change, both sides normalised, lines paired."""
    pairs = list(zip(normalise(zawgyi).split("\n"), normalise(burmese).split("\n"), strict=True))
    total = sum(len(right) for _, right in pairs)
    return 1 - sum(_wrong(*pair) for pair in pairs if pair[0] != pair[1]) / total


@pytest.mark.shared
@pytest.mark.parametrize("name", ["voa_zawgyi", "ntrex128"])
def test_zawgyi_is_found_in_documents_and_lines(shared, name):
    """The NTREX translation into Burmese is Zawgyi too, though its table of contents does not say so."""
    texts = list(_texts(shared, name).values())
    assert all(map(is_zawgyi, texts))
    lines = _lines(texts)
    assert sum(map(is_zawgyi, lines)) >= 0.99 * len(lines)
    assert not any(map(is_zawgyi, (zawgyi_to_unicode(text) for text in texts)))


@pytest.mark.shared
def test_no_false_alarm_on_real_unicode_burmese(shared):
    for name in ("voa_unicode", "wikipedia", "mypos_wiki", "tico19", "talpco", "tatoeba", "storybooks", "udhr"):
        texts = list(_texts(shared, name).values())
        assert not any(map(is_zawgyi, texts)), name
        assert not any(map(is_zawgyi, _lines(texts))), name
        assert all(repair_zawgyi(text) == text for text in texts), name


@pytest.mark.shared
def test_conversion_equals_the_unicode_twins(shared):
    zawgyi, burmese = _texts(shared, "voa_zawgyi"), _texts(shared, "voa_unicode")
    ids = sorted(zawgyi)[::4]
    shares = [_equal_share(zawgyi[name], burmese[name]) for name in ids]
    # Measured 0.9995; the rest are slips of one side or the other (a blank, a zero for WA).
    assert sum(shares) / len(shares) >= 0.998
    folder = shared / "data/lexicon"
    zawgyi, burmese = ((folder / f"burmese_udhr_{name}.txt").read_text("utf-8") for name in ("zawgyi", "unicode"))
    assert _equal_share(zawgyi, burmese) >= 0.998
