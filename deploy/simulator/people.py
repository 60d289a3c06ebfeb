"""Names and sentences: many scripts, emoji, quotes, slashes, whatever breaks careless code."""

from random import Random


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


_FIRST = _listed(
    "Amélie|Björn|Chiara|Dušan|Eleni|Fatima|Giorgi|Hana|Ivana|Jamal|Kenji|Lucía|Maja|Nguyễn|Oksana|"
    "Paweł|Quinn|Rūta|Søren|Tomás|Uğur|Vera|Wen|Ximena|Yusuf|Zoë|Анна|Борис|Ольга|Σοφία|美咲|李娜|"
    "지훈|नेहा|محمد|דוד|สมชาย|María-José|O’Neil|Grace"
)
_LAST = _listed(
    "Andersen|Çelik|Dvořák|Eriksson|Ferrari|García|Horváth|Ivanova|Jovanović|Kowalska|López|Müller|"
    "Nagy|Öztürk|Petrov|Quispe|Rossi|Sánchez|Takahashi|Ünal|Visser|Wójcik|Xu|Yılmaz|Zhang|"
    "Иванов|Παπαδόπουλος|山田|김|शर्मा|الحسن|כהן|Smith-Jones|d'Angelo|Jones|Brown|Novak|Silva"
)
_PAGE = _listed(
    "Corner Bakery|Blue Door Books|Café Lumière|Rad & Tat Fahrräder|Harbour Yoga|Kopi Tiam|Атлас|"
    "Green Thumb Nursery|Old Town Cinema|Pizzeria Da Ñoño|Velvet Records|Three Rivers Vet"
)
_OPENINGS = _listed(
    "Hi! 👋|Hello,|Good morning,|Bonjour,|Hola!|Merhaba,|Здравствуйте,|こんにちは。|안녕하세요,|"
    'مرحبا،|Quick question:|Sorry to bother you,|Following up:|Hey "team",|Olá 😊|Dzień dobry,'
)
_MIDDLES = _listed(
    "is the shop open on Sunday?|my order hasn't arrived yet 😢|can I get a refund?|thanks a lot!|"
    "do you deliver to Zürich?|see https://example.org/item/42?ref=chat&x=1|I'd like a table for 4|"
    "是否有货？|le prix est de 19,90 €|the file is C:\\temp\\new.txt|that's 100% fine <3|"
    "👨‍👩‍👧‍👦 family ticket please|ça marche|no problem at all|could you call me at 18:30?|"
    "line one\nline two|où êtes-vous ?|teşekkürler|спасибо большое|the colour was #ff8800|"
    "it says {error: null}|1/2 off?|ok|see you tomorrow|can I change the size from S to M?|"
    "i̇stanbul şubesi açık mı|𝓯𝓪𝓷𝓬𝔂 text|مع السلامة|ありがとうございます|a\ttab and a  double space"
)
_USERNAME = "abcdefghijklmnopqrstuvwxyz0123456789_."


def full_name(rng: Random) -> str:
    """Return a person's name in some script."""
    return f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"


def page_name(number: int) -> str:
    """Return the name of the Page with this number, different for each."""
    name = _PAGE[number % len(_PAGE)]
    return name if number < len(_PAGE) else f"{name} {number // len(_PAGE) + 1}"


def username(rng: Random) -> str:
    """Return an Instagram user name."""
    return "u" + "".join(rng.choices(_USERNAME, k=11))


def sentence(rng: Random) -> str:
    """Return what a person or a Page might write."""
    # random() and an index cost a third of choice(), and history is made of these.
    opening = _OPENINGS[int(rng.random() * len(_OPENINGS))]
    return f"{opening} {_MIDDLES[int(rng.random() * len(_MIDDLES))]}"
