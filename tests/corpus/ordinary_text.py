"""Three ordinary texts in each language, which every filter must keep."""

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
