"""Small corpora of our own sentences, and how to run a stage on files."""

from __future__ import annotations

import json
import random
from pathlib import Path

from sampan.core.params import parse_params
from sampan.core.stage import Artifact, Inputs, Runtime, Stage

PHRASES = {
    "eng_Latn": "the boat goes down the river|"
    "we eat rice in the morning|"
    "my sister reads a long book|"
    "the market opens early|"
    "children play near the school|"
    "it rains in the wet season|"
    "the old man sells fish|"
    "she walks home at night",
    "tha_Thai": "เรือล่องไปตามแม่น้ำ|"
    "เรากินข้าวในตอนเช้า|"
    "พี่สาวของฉันอ่านหนังสือเล่มยาว|"
    "ตลาดเปิดแต่เช้า|"
    "เด็กเล่นใกล้โรงเรียน|"
    "ฝนตกในฤดูฝน|"
    "ชายชราขายปลา|"
    "เธอเดินกลับบ้านตอนกลางคืน",
    "lao_Laoo": "ເຮືອລ່ອງໄປຕາມແມ່ນ້ຳ|ພວກເຮົາກິນເຂົ້າໃນຕອນເຊົ້າ|ເອື້ອຍຂອງຂ້ອຍອ່ານປຶ້ມ|ຕະຫຼາດເປີດແຕ່ເຊົ້າ|ເດັກນ້ອຍຫຼິ້ນໃກ້ໂຮງຮຽນ|ຝົນຕົກໃນລະດູຝົນ",
    "khm_Khmr": "ទូកធ្វើដំណើរតាមទន្លេ|យើងញ៉ាំបាយនៅពេលព្រឹក|បងស្រីខ្ញុំអានសៀវភៅ|ផ្សារបើកពីព្រឹក|ក្មេងៗលេងក្បែរសាលារៀន|ភ្លៀងធ្លាក់នៅរដូវវស្សា",
    "mya_Mymr": "လှေသည် မြစ်အတိုင်း သွားသည်|"
    "ကျွန်တော်တို့ မနက်မှာ ထမင်းစားသည်|"
    "အစ်မက စာအုပ်ဖတ်သည်|"
    "ဈေးသည် စောစောဖွင့်သည်|"
    "ကလေးများ ကျောင်းနားမှာ ကစားကြသည်",
    "tam_Taml": "படகு ஆற்றில் செல்கிறது|"
    "நாங்கள் காலையில் சோறு சாப்பிடுகிறோம்|"
    "என் அக்கா நீண்ட புத்தகம் படிக்கிறாள்|"
    "சந்தை காலையில் திறக்கிறது|"
    "குழந்தைகள் பள்ளி அருகே விளையாடுகிறார்கள்",
    "vie_Latn": "con thuyền xuôi theo dòng sông|"
    "chúng tôi ăn cơm vào buổi sáng|"
    "chị tôi đọc một quyển sách dài|"
    "chợ mở cửa từ sớm|"
    "trẻ em chơi gần trường học|"
    "trời mưa vào mùa mưa",
    "ind_Latn": "perahu menyusuri sungai dengan tenang|"
    "kami makan nasi pada pagi hari|"
    "kakak saya membaca buku yang panjang|"
    "pasar dibuka pagi sekali|"
    "anak bermain di dekat sekolah",
}
MIXED = (
    "Sampan 2024: เรือ 3 ลำ, ເຮືອ ແລະ ទូក។ လှေ ၃ စင်း — படகு; con thuyền 🚤🇹🇭 café\n\n  two  blanks\t1234567 "
    "ក្រុង​ភ្នំពេញ (ZWSP) e\u0301"
)


def make_texts(language: str, documents: int = 60) -> list[str]:
    """Documents of a few phrases each, in a fixed random order."""
    rng = random.Random(language)
    phrases = PHRASES[language].split("|")
    return [" ".join(rng.choice(phrases) for _ in range(6)) + "\n" + rng.choice(phrases) for _ in range(documents)]


def everything() -> list[str]:
    """The documents of all languages."""
    return [text for language in PHRASES for text in make_texts(language)]


def write_corpus(path: Path, languages: list[str]) -> Path:
    rows = [{"text": text, "language": language} for language in languages for text in make_texts(language)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def run_stage(stage: Stage, out: Path, given: dict[str, Path | list[Path]], **values):
    """Run a stage on files and return its metrics."""
    out.mkdir(parents=True)
    state = out.parent / f"{out.name}.state"
    state.mkdir(exist_ok=True)

    def artifact(path: Path) -> Artifact:
        return Artifact(path=path, kind="external", digest="", name=path.name)

    inputs = Inputs({r: [artifact(p) for p in (v if isinstance(v, list) else [v])] for r, v in given.items()})
    return stage.run(parse_params(stage.params, values, where="test"), inputs, Runtime(out=out, state=state))
