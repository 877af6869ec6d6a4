"""Texts that try a port, and the vocabulary that they use."""

from __future__ import annotations

import random

_PLAIN = [
    "a",
    "the",
    "film",
    "is",
    "was",
    "good",
    "bad",
    "not",
    "it",
    "this",
    "of",
    "and",
    "plot",
    "never",
]
_PLAIN += ["very", "again", "wonderful", "boring"]
# Words that lower-casing has to reach: dotted I, sharp s, both sigmas, Kelvin and Angstrom,
# titlecase, Greek with iota, Deseret (beyond the first plane), Georgian, Cherokee, Armenian's
# ligature.
_ODD = [
    "i̇stanbul", "straße", "σας", "οδός", "οδοσ", "kelvin", "ångström", "ǆ", "ᾳ", "𐐨𐐩", "ა", "ꭰ",
    "ﬓ", "ω",
    "日本", "映画", "фильм", "хороший", "فيلم", "फ़िल्म", "영화", "🎬", "👍🏽", "naïve", "don't",
    "x\x00y", "nb sp", "\u2028line", "\ufeffbom", "\ufffd", "café",
]  # fmt: skip
VOCABULARY = tuple(_PLAIN + [w.replace("'", "") for w in _ODD] + [f"word{i}" for i in range(40)])
# "!" and "?" are marks by the rule pieces-1.
VOCABULARY += ("!", "?", "l’été", "l'été")
# Of scripts without spaces between words.
UNSEGMENTED = (
    "映画",
    "とても",
    "良い",
    "悪い",
    "電影院",
    "很好",
    "日本",
    "ภาพยนตร์",
    "ดี",
    "。",
    "!",
)

_WRITTEN = [
    "",
    " ",
    "\t\r\n...!?",
    "Qwxyzzy!",
    "A wonderful film.",
    "never again",
    "THE FILM\r\nis GOOD\rNOT BAD",
    "İSTANBUL ISTANBUL ıstanbul",
    "STRASSE STRAẞE straße",
    "ΣΑΣ ΟΔΌΣ ΟΔΟΣ. ΟΔΟΣ' ΟΔΟΣ'Α Σ ΣΣ 'Σ Α\u0301Σ Α.Σ.Α ΑΣ\u0301 ΑΣ\u0301Α Σ\u00ad ΑΣ\u00ad ΑΣ:Α",
    "ÅNGSTRÖM ÅNGSTRÖM KELVIN KELVIN Ω Ω Ǆ ǅ ǆ ᾼ 𐐀𐐁 Ა ꭰ Ꭰ",
    "日本 映画 ФИЛЬМ Хороший فيلم फ़िल्म 영화",
    "🎬 👍🏽 good🎬 🎬🎬",
    "lone \ud800 surrogates \udfff\ud83d here",
    "x\x00y \x00 \x7f good",
    "nb sp a\u00a0b \u2028line \u3000 wide",
    "\ufeffbom \ufeffgood",
    "\ufffd good",
    # A lone surrogate is one U+FFFD, a pair is its character, and U+FFFD is unknown.
    "\ud800good film\udfff",
    "go\ud83dod fi\udc4dlm \ud800\ud800 \udc00\ud800",
    "\ud83c\udfac \ud83d\udc4d\ud83c\udffd good\ud83c\udfac \ud801\udc00\ud801\udc01",
    "\ud83c \udfac good\ud83c\nbad\ud83c\udfac\udfac film\ud83d\ud83c\udfac",
    "日\ud842\udfb7本\ud842映画\udfb7",
    "\ud800",
    "Don't CAFÉ cafe\u0301 naïve",
    "w" * 5000 + " good",
    "good " * 599,
    "good " * 600,
    "good bad " * 301,
    "Qwxyzzy! " * 700,
    "bad" + " " * 3000 + "film",
    "filming filmed unbelievable (film)! good?! ?? “good” – l’été l'été ؟ fi·lm",
    "日本電影院很好 電影院 日本映画館 很很好 影院日本",
    "とても良い映画。映画はとても悪い!ภาพยนตร์ดีฟิล์ม フィルムfilm日本",
    "xyz" * 4000 + "film" + "日本" * 900 + "x" * 100 + " good",
    "qqq film qq 🎬👍🏽🎬 cafe\u0301 ΟΔΟΣ wwwwww",
    "wonderfu wnoderful woonderful wonderbul onderful wonderfulx fil flim filn wonder vrey",
    "borinng Sttraße angström",
    (
        "ångsröm хорроший ххроший фильн ильм 𐐨𐐩 ποδός οδόςς хороший1 wonderful2 wond3rful naïve "
        "naïvé цафé"
    ),
    "good1 goood godo bord word again’s" + " wonderfull" * 40 + " " + "wonderful" * 30,
    "WORD1" + " word2" * 30 + "\tword3" * 90,
]


def _made() -> list[str]:
    rng = random.Random(0)
    # No NUL: such a text with line ends cannot be an argument of a command.
    words = [*(word for word in VOCABULARY if "\x00" not in word), "unknown", "."]
    return [
        rng.choice(["", "!", "\n"]).join(
            rng.choice([str, str.upper, str.title])(rng.choice(words)) + " "
            for _ in range(rng.randrange(1, 30))
        )
        for _ in range(20)
    ]


TEXTS = _WRITTEN + _made()
