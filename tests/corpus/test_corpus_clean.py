"""One document per reason that must go, and per language ones that must stay."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sampan.artifacts.documents import Document, read_documents, read_summary, write_documents
from sampan.core.errors import InputError, RecipeError
from sampan.core.params import parse_params
from sampan.core.stage import Artifact
from sampan.corpus.clean import LIMITS, Params
from sampan.corpus.cleaning import Cleaner
from sampan.corpus.filters import FILTERS
from sampan.corpus.verdict import KEEP
from sampan.lang.profile import Thresholds, languages, load_profile

KEPT = {
    "eng_Latn": [
        "The ferry leaves at six. Nobody has seen the captain since the storm, but his dog waits on the pier.",
        "Soak the rice overnight, drain it, and steam it in a basket for twenty minutes.",
        "Dear Aunt, the roof is mended at last. We paid 45 dollars for the tin and did the work ourselves.",
    ],
    "zho_Hans": [
        "渡船六点出发。暴风雨以后谁也没有见过船长，只有他的狗还在码头上等着。",
        "把米泡一个晚上，沥干水，放在竹篮里蒸二十分钟。",
        "姑姑，屋顶终于修好了。我们花了四十五块钱买铁皮，活儿是自己干的。",
    ],
    "vie_Latn": [
        "Phà rời bến lúc sáu giờ. Từ sau cơn bão chưa ai gặp lại ông thuyền trưởng, chỉ có con chó vẫn đợi ở bến.",
        "Ngâm gạo qua đêm, để ráo nước rồi hấp trong chõ khoảng hai mươi phút.",
        "Cô ơi, mái nhà sửa xong rồi. Nhà cháu mua tôn hết 45 nghìn và tự làm lấy.",
    ],
    "ind_Latn": [
        "Feri berangkat pukul enam. Sejak badai belum ada yang melihat nakhoda, hanya anjingnya menunggu di dermaga.",
        "Rendam beras semalaman, tiriskan, lalu kukus di dalam bakul selama dua puluh menit.",
        "Bibi, atap rumah sudah diperbaiki. Kami membeli seng seharga 45 ribu dan mengerjakannya sendiri.",
    ],
    "msa_Latn": [
        "Feri bertolak pada pukul enam. Sejak ribut belum ada sesiapa yang nampak nakhoda, hanya "
        "anjingnya menunggu di jeti.",
        "Rendam beras semalaman, toskan, kemudian kukus di dalam bakul selama dua puluh minit.",
        "Mak cik, bumbung rumah sudah dibaiki. Kami beli zink dengan harga 45 ringgit dan buat sendiri.",
    ],
    "tha_Thai": [
        "เรือข้ามฟากออกตอนหกโมง หลังพายุยังไม่มีใครเห็นกัปตันเลย มีแต่หมาของแกที่ยังรออยู่ที่ท่า",
        "แช่ข้าวเหนียวไว้หนึ่งคืน สะเด็ดน้ำ แล้วนึ่งในหวดประมาณยี่สิบนาที",
        "ป้าครับ หลังคาซ่อมเสร็จแล้ว เราซื้อสังกะสีมา 45 บาท แล้วก็ลงมือทำกันเอง",
    ],
    "khm_Khmr": [
        "សាឡាងចេញនៅម៉ោងប្រាំមួយ។ តាំងពីព្យុះមក គ្មាននរណាឃើញនាយសំពៅទេ មានតែឆ្កែរបស់គាត់នៅចាំលើកំពង់ផែ។",
        "ត្រាំអង្ករមួយយប់ ស្រង់ឲ្យស្ងួតទឹក រួចចំហុយក្នុងកន្ត្រកប្រហែលម្ភៃនាទី។",
        "មីង ដំបូលផ្ទះជួសជុលរួចហើយ។ យើងទិញស័ង្កសីអស់ ៤៥ រៀល ហើយធ្វើដោយខ្លួនឯង។",
    ],
    "lao_Laoo": [
        "ເຮືອຂ້າມຟາກອອກຕອນຫົກໂມງ ຫຼັງຈາກພາຍຸຍັງບໍ່ມີໃຜເຫັນນາຍເຮືອ ມີແຕ່ໝາຂອງລາວທີ່ຍັງຖ້າຢູ່ທ່າເຮືອ",
        "ແຊ່ເຂົ້າໜຽວໄວ້ໜຶ່ງຄືນ ສະເດັດນ້ຳ ແລ້ວໜຶ້ງໃນຫວດປະມານຊາວນາທີ",
        "ປ້າເອີຍ ຫຼັງຄາສ້ອມແປງແລ້ວ ພວກເຮົາຊື້ສັງກະສີ 45 ກີບ ແລ້ວກໍ່ເຮັດເອງ",
    ],
    "mya_Mymr": [
        "ကူးတို့သင်္ဘောသည် ခြောက်နာရီတွင် ထွက်သည်။ မုန်တိုင်းကျပြီးကတည်းက ကပ္ပတိန်ကို မည်သူမျှ မတွေ့ရသေးပါ။",
        "ဆန်ကို တစ်ညလုံး စိမ်ပြီး ရေစစ်ကာ ခြင်းထဲတွင် မိနစ်နှစ်ဆယ်ခန့် ပေါင်းပါ။",
        "အဒေါ်ရေ အိမ်ခေါင်မိုး ပြင်ပြီးပါပြီ။ သွပ်ပြားကို ၄၅ ကျပ်နဲ့ ဝယ်ပြီး ကိုယ်တိုင် လုပ်ခဲ့ကြတယ်။",
    ],
    "tgl_Latn": [
        "Aalis ang lantsa nang alas-sais. Mula noong bagyo ay wala pang nakakakita sa kapitan, ang "
        "aso lamang niya ang naghihintay.",
        "Ibabad ang bigas nang magdamag, patuluin, at pasingawan sa basket nang dalawampung minuto.",
        "Tiya, naayos na po ang bubong. Bumili kami ng yero sa halagang 45 piso at kami na rin ang gumawa.",
    ],
    "tam_Taml": [
        "படகு ஆறு மணிக்குப் புறப்படும். புயலுக்குப் பிறகு கேப்டனை யாரும் பார்க்கவில்லை, அவருடைய நாய் மட்டும் காத்திருக்கிறது.",
        "அரிசியை இரவு முழுவதும் ஊறவைத்து, வடிகட்டி, கூடையில் இருபது நிமிடம் ஆவியில் வேகவைக்கவும்.",
        "அத்தை, கூரை சரிசெய்யப்பட்டது. 45 ரூபாய்க்குத் தகரம் வாங்கி நாங்களே வேலையைச் செய்தோம்.",
    ],
    "jav_Latn": [
        "Prau nyabrang mangkat jam enem. Wiwit ana prahara durung ana wong sing weruh juragane, "
        "mung asune isih ngenteni.",
        "Beras dikum sewengi, ditus, banjur didang ing kukusan nganti rong puluh menit.",
        "Bulik, payone omah wis didandani. Aku tuku seng rega 45 ewu lan nggarap dhewe karo adhiku.",
    ],
    "sun_Latn": [
        "Parahu indit jam genep. Saprak angin ribut can aya jalma anu ningali juragan parahu, ngan "
        "anjingna anu nungguan.",
        "Beas dikeueum sapeuting, ditirisan, tuluy diseupan dina aseupan kira-kira dua puluh menit.",
        "Bibi, hateup imah geus dioméan. Kuring meuli seng hargana 45 rebu jeung digawé ku sorangan.",
    ],
}
ZAWGYI = "ျမန္မာႏိုင္ငံသည္ အေရွ႕ေတာင္အာရွတြင္ ရွိေသာ ႏိုင္ငံျဖစ္သည္။ ေက်ာင္းသားမ်ားသည္ စာဖတ္ၾကသည္။"
STORY = KEPT["eng_Latn"][0]
DROPPED = {
    "empty": ("", "\u200b \n"),
    "unknown_language": ("xx", STORY),
    "mislabelled": ("tha_Thai", "Die Fähre geht um sechs Uhr, aber seit dem Sturm hat niemand den Kapitän gesehen."),
    "other_language": ("", "Die Fähre geht um sechs Uhr, aber seit dem Sturm hat niemand den Kapitän gesehen."),
    "unsure_language": ("", "Rumah sakit: info, hotel & radio Mac"),
    "unwanted_language": ("eng_Latn", STORY),
    "wrong_encoding": ("tha_Thai", "เรือ\ufffdข้าม\ufffdฟาก\ufffdออก\ufffdตอน\ufffdหกโมงเช้าทุกวันจากท่าเรือ"),
    "zawgyi": ("mya_Mymr", ZAWGYI),
    "too_short": ("tha_Thai", "สวัสดีครับ"),
    "too_long": ("tha_Thai", "น้ำขึ้นให้รีบตัก " * 200),
    "other_script": ("lao_Laoo", "ເຮືອຂ້າມຟາກ The ferry leaves at six in the morning from pier"),
    "too_many_digits": ("tha_Thai", "ผลสลากกินแบ่ง 482910 338201 990017 274650 119204 663829"),
    "too_many_symbols": ("tha_Thai", "☆★☆★ =====>>>> ราคาพิเศษ <<<<===== ★☆★☆ #### ลดแลกแจกแถม ####"),
    "repeated_lines": ("khm_Khmr", "\n".join(["ទិញឥឡូវនេះ តម្លៃពិសេសណាស់"] * 8)),
    "repeated_phrase": ("lao_Laoo", "ຊື້ດຽວນີ້ລາຄາຖືກທີ່ສຸດໃນເມືອງ " * 30),
    "repeated_passages": ("eng_Latn", " ".join(f"{STORY} {n} {KEPT['eng_Latn'][1]}" for n in "abcdefgh")),
    "boilerplate": (
        "ind_Latn",
        "Kebijakan privasi\nKami memakai cookie: accept all cookies\nLog in\nHak cipta dilindungi undang-undang",
    ),
    "menu": ("vie_Latn", "Trang chủ\nTin tức\nThể thao\nGiải trí\nSức khỏe\nDu lịch\nLiên hệ\nBạn đọc viết"),
}


def cleaner(**params):
    return Cleaner(parse_params(Params, params, where="test"))


# A sentence is enough, but for languages with sisters, where one without a label may be too little to tell.
LABELS = [(c, c) for c in KEPT] + [(c, "") for c in KEPT if not load_profile(c).sisters]


@pytest.mark.parametrize(("code", "label"), LABELS)
def test_ordinary_text_is_kept(code, label):
    clean = cleaner()
    for number, text in enumerate(KEPT[code]):
        document, reason = clean(Document(str(number), text, language=label))
        assert (document.language, reason) == (code, ""), text
        assert document.script == code[4:]


@pytest.mark.parametrize("code", KEPT)
def test_whole_pages_are_kept(code):
    document, reason = cleaner()(Document("1", "\n\n".join(KEPT[code])))
    assert (document.language, reason) == (code, "")


def test_every_language_has_kept_text():
    assert set(KEPT) == set(languages())


@pytest.mark.parametrize("reason", DROPPED)
def test_every_reason_has_its_document(reason):
    language, text = DROPPED[reason]
    params = {"too_long": {"max_characters": 1000}, "unwanted_language": {"languages": ["th", "lo"]}}.get(reason, {})
    assert cleaner(**params)(Document("1", text, language=language))[1] == reason


def test_no_reason_is_without_a_document():
    """Every name that a filter or the language decision can give is in DROPPED."""
    import re
    from pathlib import Path

    import sampan.corpus

    folder = Path(sampan.corpus.__file__).parent
    source = "".join(
        p.read_text() for p in [*folder.glob("filters/*.py"), folder / "language.py", folder / "cleaning.py"]
    )
    given = set(re.findall(r'drop\("(\w+)"\)', source)) | set(re.findall(r'"((?:un|other_|mis)\w+)"', source))
    given |= {"empty", "unknown_language"}
    assert given <= set(DROPPED)


def test_a_label_stands_between_sisters_and_not_across_scripts():
    sentence = "Saya suka makan ikan."
    assert cleaner(min_characters=1)(Document("1", sentence, language="ms"))[0].language == "msa_Latn"
    assert cleaner(min_characters=1)(Document("1", sentence, language="lo"))[1] == "mislabelled"
    assert cleaner(trust_label=False)(Document("1", KEPT["tha_Thai"][0], language="vi"))[0].language == "tha_Thai"


def test_text_is_normalised_on_the_way():
    document, reason = cleaner()(Document("1", "ភាសា\u200bខ្មែរ " + KEPT["khm_Khmr"][0]))
    assert (document.text.startswith("ភាសាខ្មែរ "), reason) == (True, "")


def test_the_sum_holds_and_cleaning_again_changes_nothing(tmp_path, run_stage):
    rows = [Document(f"{c}-{n}", t, language=c) for c in KEPT for n, t in enumerate(KEPT[c])]
    rows += [Document(reason, text, language=language) for reason, (language, text) in DROPPED.items()]
    (tmp_path / "in").mkdir()
    write_documents(tmp_path / "in", rows)
    source = Artifact(path=tmp_path / "in", kind="documents", digest="0" * 64, name="in")
    metrics, made = run_stage("corpus.clean", {}, {"documents": [source]})
    assert metrics["documents_in"] == metrics["documents"] + sum(metrics["dropped"].values())
    assert read_summary(made)["dropped_documents"] == sum(metrics["dropped"].values())
    again, twice = run_stage("corpus.clean", {}, {"documents": [made]})
    assert again["dropped"] == {}
    assert [d.row() for d in read_documents(twice)] == [d.row() for d in read_documents(made)]


def test_errors(tmp_path, run_stage):
    (tmp_path / "t.jsonl").write_text('{"text": "kurz"}')
    with pytest.raises(InputError, match="none of 1 documents"):
        run_stage("corpus.clean", {}, {"documents": [tmp_path / "t.jsonl"]})
    with pytest.raises(RecipeError, match="Did you mean 'tha_Thai'"):
        cleaner(languages=["tha_Tai"])
    with pytest.raises(RecipeError, match="Did you mean 'length'"):
        cleaner(filters=["lenght"])


def test_a_verdict_has_no_truth_value():
    with pytest.raises(TypeError):
        assert KEEP
    with pytest.raises(TypeError):
        assert not KEEP


def test_every_filter_loads_and_has_a_revision():
    import importlib

    for name, target in FILTERS.items():
        assert callable(FILTERS.load(name))
        assert importlib.import_module(target.partition(":")[0]).REVISION >= 1
    assert list(FILTERS) == parse_params(Params, {}, where="test").filters


def test_every_limit_can_be_set():
    from dataclasses import fields

    assert {f.name for f in fields(Thresholds)} == set(LIMITS)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200), st.sampled_from(["", *languages()]))
def test_any_text_gets_an_answer(text, language):
    document, reason = cleaner()(Document("1", text, language=language))
    assert isinstance(reason, str)
    assert reason or document.language


@pytest.mark.shared
def test_real_text_of_small_languages_is_kept(shared, run_stage):
    """Curated prose of every language: 99 of 100 documents stay (measured: 99.6 % and more)."""
    paths = [
        f"{c}/{n}.jsonl.gz"
        for c in ("km", "lo", "my", "th", "ta", "ms", "tl", "vi", "jv")
        for n in ("udhr", "talpco", "tico19")
    ]
    missing = {"km/talpco", "lo/talpco", "lo/tico19", "th/tico19", "ta/talpco", "tl/talpco", "vi/tico19", "jv/tico19"}
    paths = [path for path in paths if path.removesuffix(".jsonl.gz") not in missing] + ["su/tts_prompts_m.jsonl.gz"]
    _, table = run_stage("crawl.table", {"paths": paths}, {"files": [shared / "data/text"]})
    _, made = run_stage("corpus.clean", {}, {"documents": [table]})
    before, after = read_summary(table)["by_language"], read_summary(made)["by_language"]
    for language, counts in before.items():
        assert after[language]["documents"] >= 0.99 * counts["documents"], language
