"""How people write dates, times and lengths in the shipped languages, as patterns.

Every pattern reads folded text (`dates.fold`): lower case, no accents, plain digits. None nests an
unbounded repetition in another, so the work grows with the text alone.
"""

import re

from frostdesk.dates import MONTHS, SHORT_WEEKDAYS, WEEKDAYS


def _any(words: list[str]) -> str:
    """Longest first, as a pattern takes the first alternative that fits."""
    return "|".join(re.escape(word) for word in sorted(words, key=lambda w: (-len(w), w)))


NUMBER_WORDS = {
    word: value
    for value, words in (
        (1, "a an one ein eine einer einen une un una un' uno een um uma"),
        (1.5, "anderthalb eineinhalb anderhalf"),
        (2, "two zwei deux due dos twee dois duas"),
        (2.5, "zweieinhalb"),
        (3, "three drei trois tre tres drie"),
        (3.5, "dreieinhalb"),
        (4, "four vier quatre quattro cuatro quatro"),
        (5, "five funf cinq cinque cinco vijf"),
        (6, "six sechs sei seis zes"),
        (7, "seven sieben sept sette siete zeven sete"),
        (8, "eight acht huit otto ocho oito"),
        (30, "thirty dreissig trente trenta treinta dertig trinta"),
        (45, "forty-five funfundvierzig quarante-cinq quarantacinque vijfenveertig"),
        (60, "sixty sechzig soixante sessanta sesenta zestig sessenta"),
        (90, "ninety neunzig quatre-vingt-dix novanta noventa negentig"),
    )
    for word in words.split()
}
_NUMBER = rf"(?:[0-9]{{1,4}}(?:[.,][0-9]{{1,2}})?|[.,]5|{_any(list(NUMBER_WORDS))})"
_HALF_MORE = (
    r"\s+(?:and|und|et|e|y|en)\s+(?:an?\s+|een\s+)?(?:half|halbe|demie?|mezz[ao]|media|meia)"
)
_MINUTES = r"(?:minut[a-z]{0,3}|mins?)\b"
_HOURS = r"(?:hours?|hrs?|stunden?|std|uren)"
_HOURS_OR_OCLOCK = r"(?:heures?|horas?|or[ae]|uur|h)"
_NO_LETTER = r"(?![a-z])"

# --- Dates ------------------------------------------------------------------------------------

_MONTH = rf"(?P<{{}}>{_any(list(MONTHS))})\b\.?"
_ORDINAL = r"(?:\.|st\b|nd\b|rd\b|th\b|er\b|re\b|o\b|°)?"
_SHORT_DAY = (  # two letters may be a word ("so"): they need their dot
    rf"(?:\b(?P<short>(?:{_any([day for day in SHORT_WEEKDAYS if len(day) > len('so')])})\b"
    rf"|(?:{_any(list(SHORT_WEEKDAYS))})(?=\.))[.,]{{0,2}}\s*)?"
)
_OTHER_DAY = (
    rf"(?:(?<![0-9:.h/])\b(?P<other>[0-9]{{1,2}}){_ORDINAL}\s*"
    r"(?:[-/\u2013]|\b(?:or|and|oder|und|ou|et|o|e|of|en|to|bis)\b)\s*(?:the\s+|den\s+|le\s+|il\s+)?)?"
)
DATE = re.compile(
    rf"{_SHORT_DAY}{_OTHER_DAY}(?<![0-9.:/-])(?!24/7)(?:"
    r"(?P<y1>[0-9]{4})-(?P<m1>[0-9]{1,2})-(?P<d1>[0-9]{1,2})(?![0-9])(?:t(?=[0-9]))?"
    r"|(?P<d2>[0-9]{1,2})(?P<sep>[./-])(?P<m2>[0-9]{1,2})(?P=sep)(?P<y2>[0-9]{4}|[0-9]{2})(?![0-9])"
    r"|(?P<d3>[0-9]{1,2})(?:\.(?P<m3>[0-9]{1,2})\.|/(?P<m3b>[0-9]{1,2})(?!\s?-?(?:h|stunde)))(?![0-9/])"
    rf"|(?P<d4>[0-9]{{1,2}}){_ORDINAL}\s*(?:of\s+|de\s+)?{_MONTH.format('m4')}"
    r",?(?:\s+(?:del?\s+)?(?P<y4>[0-9]{4})(?![0-9:h]))?"
    rf"|\b{_MONTH.format('m5')}\s+(?:the\s+)?(?P<d5>[0-9]{{1,2}})(?![0-9:]){_ORDINAL}"
    r"(?:,?\s+(?P<y5>[0-9]{4})(?![0-9:h]))?"
    r")"
)
"""A date with its month, a short weekday before it (`short`), or a second day (`other`)."""

WEEKDAY = re.compile(rf"\b(?P<day>{_any(list(WEEKDAYS))})(?:morgen|vormittag|nachmittag|abend)?\b")
WEEKDAY_AND_DAY = re.compile(
    rf"\b(?P<day>{_any(list(WEEKDAYS))}),?\s+(?:the\s+|den\s+|le\s+)?"
    rf"(?P<number>[0-9]{{1,2}})(?![0-9]){_ORDINAL}"
)
DAY_AT = re.compile(rf"{WEEKDAY_AND_DAY.pattern}(?=\s(?:at|um|a|alle|om|as)\s)")
"""The same before an "at": in French and Italian that word would make it a range of hours."""

_NO_TOMORROW = (
    r"\b(?:guten?\s+morgen|heute\s+morgen|jeden\s+morgen|am\s+morgen"
    r"|(?:por|de|en)\s+la\s+manana|esta\s+manana|buongiorno|bom\s+dia)\b"
)
MORNING = re.compile(rf"{_NO_TOMORROW}|(?<=tag|dag|och)\smorgen\b")
"""Where "morgen" or "mañana" is the morning and not tomorrow."""

RELATIVE_DAYS = {
    2: "day after tomorrow|ubermorgen|apres-demain|dopodomani|pasado manana|overmorgen"
    "|depois de amanha",
    1: "tomorrow|morgen|demain|domani|manana|amanha",
    0: "today|tonight|heute|aujourd'hui|oggi|hoy|vandaag|hoje",
}
RELATIVE = re.compile(
    "|".join(rf"(?P<in{days}>\b(?:{words})\b)" for days, words in RELATIVE_DAYS.items())
)
OTHER_WEEK = re.compile(r"\b(?:weeks?|wochen?|semaines?|settiman[ae]|semanas?|weken)\b")
"""Shifts a bare weekday by an amount that is not read here."""

# --- Times ------------------------------------------------------------------------------------

_LATE = (
    r"in the (?:afternoon|evening)|nachmittags|abends|am (?:nachmittag|abend)|de l'apres-midi"
    r"|du soir|del? pomeriggio|di sera|de la (?:tarde|noche)|'s (?:middags|avonds)"
    r"|da (?:tarde|noite)"
)
_EARLY = (
    r"in the morning|morgens|am (?:morgen|vormittag)|du matin|del? mattin[ao]|de la manana"
    r"|'s (?:morgens|ochtends)|da manha"
)
_NO_CLOCK = (
    rf"(?![0-9])(?![.,/][0-9])(?!\s?-?(?:{_MINUTES}|{_HOURS}{_NO_LETTER}))"
    r"(?!\s?-?(?:(?:chf|eur|euros?|fr|francs?|franken|people|persons?|personen|years?|km)\b|[%€$]))"
)


_QUARTER, _HALF = "(?:quarto?|cuarto|kwart)", "(?:demie?|mezz[ao]|media|meia)"
_MORE, _LESS = (
    r"(?:et|e|y|en)\s(?:une?\s|um\s|een\s)?",
    r"(?:moins|meno|menos)\s(?:le\s|un\s|um\s)?",
)
_AND = r"(?:(?:et|e|y|und|en)\s)?"
PARTS = (
    (15, re.compile(_MORE + _QUARTER)),
    (30, re.compile(_MORE + _HALF)),
    (-15, re.compile(_LESS + _QUARTER)),
    (-30, re.compile(_LESS + _HALF)),
    (15, re.compile(_AND + "(?:fifteen|funfzehn|quinze|quindici|quince|vijftien)")),
    (30, re.compile(_AND + "(?:thirty|dreissig|trente|trenta|treinta|dertig|trinta)")),
    (
        45,
        re.compile(
            _AND + "(?:forty-five|funfundvierzig|quarante-cinq|quarantacinque|vijfenveertig)"
        ),
    ),
)
"""Minutes that are said after the hour, in words."""

_PART = "|".join(pattern.pattern for _, pattern in PARTS)
_NO_LENGTH = rf"(?!\s?-?(?:d'|de\s)?(?:{_MINUTES}|{_HOURS}|{_HOURS_OR_OCLOCK}){_NO_LETTER})"


def _time(n: str) -> str:
    """One time of day, its groups numbered `n`; whether bare digits will do is for the reader."""
    return (
        rf"(?P<h{n}>[0-9]{{1,2}})"
        rf"(?:(?P<sep{n}>:|\.|\s?h\s?)(?P<m{n}>[0-9]{{2}})(?![0-9])(?::[0-9]{{2}})?)?"
        rf"(?P<unit{n}>\s?(?:uhr|o'clock|{_HOURS_OR_OCLOCK}){_NO_LETTER})?"
        rf"(?:(?<=[a-z])\s?(?P<mm{n}>[0-5][0-9])(?![0-9:]))?"
        rf"(?:\s(?P<part{n}>{_PART})\b{_NO_LENGTH})?"
        rf"(?P<ap{n}>\s?[ap]m\b)?{_NO_CLOCK}"
        rf"(?:\s(?:(?P<late{n}>{_LATE})|(?P<early{n}>{_EARLY}))\b)?"
    )


_AT = (
    r"at|um|ab|gegen|a\s+las?|desde\s+las?|alle|dalle|all'|ore|a|des|vers|om|vanaf|as|das|from"
    r"|von|starting|start|beginn|time|uhrzeit|heure|hora|ora|tijd"
)
AT_TIME = re.compile(rf"(?:(?<![\w'])(?:{_AT})[\s:]|@)\s?(?:ore\s|las?\s)?{_time('')}")
"""A time after a word such as "at": bare digits will do."""

CLOCK_TIME = re.compile(rf"(?<![\w.,:/-]){_time('')}")
"""A time on its own: needs minutes, a unit or am/pm."""

NOON = re.compile(r"\b(?:noon|midday|(?<!apres[- ])midi|mezzogiorno|mediodia|meio[- ]dia)\b")

DIGIT_OR_NOON = re.compile(r"[0-9]|noon|midday|midi|mezzogiorno|mediodia|meio")
"""What no time of day is named without."""

_DUTCH_HOURS = "een twee drie vier vijf zes zeven acht negen tien elf twaalf"
HOUR_WORDS = {
    word: str(hour)
    for words in (
        "one two three four five six seven eight nine ten eleven twelve",
        "eins zwei drei vier funf sechs sieben acht neun zehn elf zwolf",
        _DUTCH_HOURS,
    )
    for hour, word in enumerate(words.split(), start=1)
}
PARTS_FIRST = {
    "half past": "y media",
    "quarter past": "y cuarto",
    "quarter to": "menos cuarto",
    "halb": "menos media",
    "viertel nach": "y cuarto",
    "viertel vor": "menos cuarto",
    "half": "menos media",
    "kwart over": "y cuarto",
    "kwart voor": "menos cuarto",
}
PART_FIRST = re.compile(
    rf"\b(?:an?\s)?(?P<part>{_any([p for p in PARTS_FIRST if p != 'half'])}"
    rf"|half(?=\s(?:(?:{_any(_DUTCH_HOURS.split())})\b|[0-9]{{1,2}}\suur\b)))"
    rf"\s(?P<hour>[0-9]{{1,2}}(?![0-9:]|\.[0-9])|(?:{_any(list(HOUR_WORDS))})\b)"
    r"(?:\s?(?:uhr|uur|o'clock)\b)?"
)
"""A part of an hour before it. A British "half ten" is left: in Dutch it is an hour earlier."""

HOUR_WORD = re.compile(
    rf"\b(?P<before>(?:at|um|om|ab|gegen|tegen|vanaf|before|until|till|bis|tot)\s"
    rf"|(?:from|von|van)\s(?=(?:{_any(list(HOUR_WORDS))})\s(?:to|until|till|bis|tot)\b))"
    rf"(?P<hour>{_any([word for word in HOUR_WORDS if word not in ('one', 'een')])})\b"
    r"(?!\s(?:of|hours?|stunden?|uren|people|personen|persons?|mal)\b)"
    rf"(?!\s{_MINUTES})"
)
"""A whole hour in words, which would else be passed over for another time beside it."""

RANGE = re.compile(
    r"(?:(?<!\w)(?P<from>from|von|de|dalle|desde|van|das|entre|zwischen)\s+(?:las?\s+)?)?"
    rf"(?<![\w.,:/]){_time('1')}\s?"
    r"(?P<to>[-\u2013\u2014]|\b(?:to|until|till|bis|a|alle|al|tot|ate|as|hasta|jusqu'a)\b)\s?(?:las?\s+)?"
    rf"{_time('2')}"
)
"""A start and an end, which is also a length."""

# --- Lengths ----------------------------------------------------------------------------------

HALF_HOUR = re.compile(
    r"(?<!and )(?<!and a )\b(?:half(?:\s+an?)?[\s-]+hour|halbe\s+stunde|demi[\s-]heure"
    r"|mezz'?\s?ora|media\s+hora|half\s+uur|meia\s+hora)\b"
)
LENGTH = re.compile(
    r"(?P<for>\b(?:for|fur|pendant|durant|per|durante|por|voor|duree|dauer|durata|duur|duracion"
    r"|duracao|duration|length)\b[\s:]{1,2}(?:de\s)?)?"
    rf"(?<![\w.,:])(?<!quarter of )(?<!quarters of )(?P<n>{_NUMBER})(?P<half1>{_HALF_MORE})?"
    r"(?:(?<=[0-9'])|[\s-])(?:"
    rf"(?:(?P<sure>{_HOURS})|{_HOURS_OR_OCLOCK}){_NO_LETTER}"
    rf"(?:(?P<half2>{_HALF_MORE})\b"
    rf"|\s?(?:(?:and|und|et|e|y|en|,)\s)?(?P<extra>[0-9]{{1,2}})\s?{_MINUTES}"
    r"|\s?(?P<bare>[0-5][0-9])(?![\w:.]))?"
    rf"|(?P<minutes>{_MINUTES}))"
)
"""Hours (with what is beyond the full ones) or minutes. `sure` hours cannot be a time of day."""

MARGIN = re.compile(
    rf"\b(?:within|innerhalb(?:\svon)?|binnen|dans\sles|sous|entro|dentro\sde|en\smenos\sde)\s"
    rf"(?:the\s|next\s)*{_NUMBER}\s(?:{_HOURS}|{_HOURS_OR_OCLOCK}|{_MINUTES})"
    rf"|\b{_NUMBER}[\s-](?:{_HOURS}|{_HOURS_OR_OCLOCK}|{_MINUTES})\s(?:before|in\sadvance|early"
    r"|earlier|vorher|vor|fruher|avant|a\sl'avance|prima|antes|eerder|van\stevoren)\b"
    r"|[0-9]\s?(?:chf|eur|euros?|francs?|franken|€)?\s(?:an|per|pro|par|all'|a\sl'|por|la)\s?"
    r"(?:hour|stunde|heure|ora|hora|uur)\b"
)
"""A length that is not the lesson's: "within 24 hours", "10 minutes before", "90 an hour"."""

# --- What a sentence is about -----------------------------------------------------------------

_NEGATION = (
    r"\b(?:not|cannot|never|no longer|nicht|keine?[nrms]?|pas|plus de|non|niet|geen|nao|neither"
    r"|no (?:puedo|podemos|puede|es posible|esta|hay|queda|tiene))\b|n't\b"
)
NEGATION = re.compile(_NEGATION)
UNCONFIRMED = re.compile(
    rf"(?:{_NEGATION})(?:\s[^\s.!?;]{{1,20}}){{0,6}}\s(?:confirm|conferm|bestatig|bevestig|final|definit)[a-z]*"
)
"""A lesson that waits for its confirmation is no refusal."""

CONDITION = re.compile(
    r"\b(?:if|falls|wenn|sollte|si|s'il|se|als|indien|caso|no problem|kein problem"
    r"|pas de (?:souci|probleme)|geen probleem)\b[^.!?;,\n]{0,200}"
)
"""A condition, or a phrase, whose negation says nothing about the lesson."""

REFUSAL = re.compile(
    r"\b(?:unavailable|unfortunately|afraid|already (?:taken|booked|reserved)|(?:is|are) taken"
    r"|fully booked|leider|belegt|vergeben|besetzt|ausgebucht|malheureusement|indisponible"
    r"|deja (?:prise?|reservee?|occupee?)|complet|occupee?|purtroppo|occupat[oa]|al completo"
    r"|gia (?:pres[oa]|prenotat[oa])|lamentablemente|desgraciadamente|por desgracia|ocupad[oa]"
    r"|ya (?:esta )?reservad[oa]|helaas|bezet|volgeboekt|al geboekt|infelizmente|esgotad[oa]"
    r"|ja (?:esta )?reservad[oa])\b"
    r"|\b(?:not|nicht|pas|niet|nao|non e|no esta) "
    r"(?:available|free|verfugbar|frei|disponib[a-z]*|libre|beschikbaar|vrij|livre|liber[oa])"
    r"|\b(?:been|was|wurde|ete|stat[oa]|sido|is|foi) "
    r"(?:cancell?ed|storniert|abgesagt|annulee?|annullat[oa]|cancelad[oa]|geannuleerd)\b"
)
CANCELLATION = re.compile(
    r"\b(?:cancel|called off|stornier|abgesagt|fallt aus\b|ausgefallen|entfallt|annulier"
    r"|annulee?s?\b|annulation|annullat|disdett|cancelad|anulad|suspendid|geannul|afgezegd"
    r"|declined|abgelehnt|refusee?\b|rechazad|geweigerd|recusad)"
)
_THE_LESSON = (
    r"(?:your|the|this|ihre?n?|die|diese|der|votre|le|la|cette|il|sua|su|tu|uw|je|de|deze|a|o)\s"
    r"(?:lesson|booking|slot|stunde|skistunde|termin|buchung|cours|lecon|reservation|lezione"
    r"|prenotazione|clase|reserva|les|afspraak|boeking|aula|marcacao)"
)
_SETTLED = (
    r"(?:accepted|approved|(?:re)?scheduled|moved|angenommen|genehmigt|verschoben|eingetragen"
    r"|(?:accepte|approuve|deplace|reporte|programme)e?s?|(?:accettat|approvat|spostat|fissat)[aeio]"
    r"|(?:aceptad|aprobad|movid|cambiad|programad|aprovad|alterad|remarcad)[ao]s?|aceite"
    r"|geaccepteerd|goedgekeurd|verplaatst|verzet|ingepland)"
)
"""Common words, which tell of a state where they are said of one lesson."""

_STATES = (
    r"(?:confirmed|(?<!fully.)(?<!already )booked(?! up)|reserved|cancell?ed|called off"
    r"|bestatigt|gebucht|reserviert|abgesagt|storniert|fallt aus"
    r"|(?:est|ete|sont|ai|a|avons|avez)\s(?:bien\s|deja\s)?(?:confirm|reserv|annul|valid)ee?s?"
    r"|confermat[aeio]|prenotat[aeio]|riservat[aeio]|annullat[aeio]|disdett[aeio]"
    r"|(?:confirmad|reservad|agendad|cancelad|anulad)[ao]s?|(?:esta|foi|fica|ficou)\smarcad[ao]s?"
    r"|bevestigd|geboekt|gereserveerd|geannuleerd|afgezegd"
    rf"|{_THE_LESSON}(?:\s[^\s.!?;,]{{1,20}}){{0,4}}\s{_SETTLED}|{_SETTLED}\s{_THE_LESSON}"
    r"|(?:you're|you are)\s(?:all set|scheduled))\b"
)
STATE = re.compile(rf"\b{_STATES}")
NOT_YET = re.compile(
    r"\b(?:once|as soon as|until|till|when|sobald|bis|des que|quand|(?:non )?appena|quando"
    r"|en cuanto|cuando|zodra|wanneer|assim que|whether|ob)\b[^.!?;,\n]{0,80}"
    r"|\b(?:can|could|may|might|will|would)\shave\b[^.!?;,\n]{0,80}"
    r"|\b(?:be|etre|sera|seront|essere|sara|ser|seran|serao|worden|wordt|werden|wird)"
    rf"\s(?:[^\s.!?;,]{{1,20}}\s){{0,2}}{_STATES}"
    rf"|\b{_STATES}\s(?:werden|wird)\b"
    r"|\b(?:bevestigd|geboekt|gereserveerd|geannuleerd|afgezegd)\s(?:worden|wordt)\b"
)
"""What can be, or is to be: "can be cancelled", "as soon as it is confirmed"."""

LESSON = re.compile(
    r"\b(?:lessons?|bookings?|appointments?|slots?|(?:ski)?stunden?|skikurs|termin|buchung|lektion"
    r"|cours|lecons?|reservation|lezion[ei]|prenotazione|clases?|reserva|les|afspraak|boeking"
    r"|aulas?|marcacao)\b"
)
QUESTION = re.compile(
    r"(?:[^\W\d_]+(?:\s[^\W\d_]+){0,2}[,:]\s){0,2}¿?(?:le\s|vi\s|ti\s)?"
    r"(?:(?:how|what) about|would|will|shall|should|do|does|is|are|can|could|may"
    r"|passt|ware|wurde|soll|sollen|mochte[nt]?|wie ware|wollen|geht|ginge|kann|konnen|ist|darf"
    r"|est-ce|voulez|voudriez|souhaite[zr]|que diriez|qu'en|cela|ca|seriez|peut-on|preferez"
    r"|andrebbe|vuole|vorrebbe|va|che ne|desidera|puo|possiamo|preferisce|posso"
    r"|quiere|que tal|parece|te parece|viene|prefiere|podemos|puedo|desea"
    r"|schikt|wilt|past|zullen|zou|zal|kan|lukt|komt|que tal|pode|posso|gostaria|serve|quer)\b"
    r".*\?"
)
"""An offer: "How about Friday at ten for an hour?". What is told and then asked about is none."""

OPENING_HOURS = re.compile(
    r"\b(?:open|opening|geoffnet|offnungszeit|ouvert|apert(?:[oi]|ura)\b|orari\b|abiert"
    r"|horario de (?:apertura|atencion)|geopend|openingstijd|abert[oa]\b)"
)
PRICE = re.compile(
    r"\b(?:costs?|prices?|rates?|chf|eur|kostet|kosten|preise?|prix|coute|tarifs?|prezz[oi]|costa"
    r"|precios?|prijs|kost|precos?)\b|€|\$"
)
_SEPARATE = r"(?:uhr|uur|h|am|pm|min[a-z]*|:[0-9]{2}|h[0-9]{2}|st|nd|rd|th)?"
ALTERNATIVES = re.compile(
    rf"[0-9]\s?{_SEPARATE},?\s(?:or|oder|ou|oppure|o|of)\s(?:at|um|a|alle|a las|om|as)?\s?[0-9]"
)
"""One number or another: an offer to choose from, and nothing settled."""

SENTENCE_END = re.compile(
    rf"(?<=[!?;])\s+|(?<=\.)\s+(?![0-9]|(?:{_any(list(MONTHS))})\b)|\n+"  # "Sa. 16. Januar"
)
A_DOT_M = re.compile(r"\b([ap])\.\s?m\b\.?")
