"""What callers, bots and agents say in made-up conversations with an airline and a bank, and what is saved of it."""

from dataclasses import dataclass, field
from random import Random
from typing import NamedTuple

CODE_TTL = 300
"""How long a code is valid, in seconds."""

_LOG_LENGTH = 20

_CALLERS = ("Ana", "Bruno", "Chiara", "Dmitri", "Elif", "Femi", "Grace", "Hiro", "Ines", "Jonas")
_AGENTS = ("agent-marta", "agent-noah", "agent-priya", "agent-sam")
_CHANNELS = ("chat", "phone", "whatsapp")
_MOODS = ("calm", "calm", "friendly", "impatient")
_AIRPORTS = ("LIS", "JFK", "BER", "NRT", "GRU", "CPT")


class Topic(NamedTuple):
    """What a conversation may be about.

    Attributes:
        namespace: where it is saved.
        intent: what the bot takes it for.
        opening: what the caller begins with.
        questions: what the bot asks, the name that it saves the reply under, and possible replies.
        obstacle: why the bot hands over, if it does.
        result: what comes of it.
    """

    namespace: str
    intent: str
    opening: str
    questions: tuple[tuple[str, str, tuple[str, ...]], ...]
    obstacle: str
    result: str


_DAYS = ("Friday", "Saturday", "Monday")

TOPICS = (
    Topic(
        "airline",
        "rebook",
        "I have to fly on another day.",
        (("To which day?", "day", _DAYS), ("Which seat?", "seat", ("12A", "14C", "21F"))),
        "The fare does not allow a change.",
        "Rebooked without a fee.",
    ),
    Topic(
        "airline",
        "refund",
        "My flight was cancelled.",
        (
            ("When was it?", "day", ("yesterday", "today")),
            ("Would you take a voucher?", "wants", ("voucher", "money")),
        ),
        "The amount is above the bot's limit.",
        "Refund ordered.",
    ),
    Topic(
        "airline",
        "baggage",
        "My suitcase has not arrived.",
        (
            ("What does it look like?", "looks", ("black, hard", "blue, soft", "a red rucksack")),
            ("Where shall we send it?", "address", ("hotel", "home")),
        ),
        "No airport has reported it.",
        "Found, and on its way.",
    ),
    Topic(
        "bank",
        "card_lost",
        "I have lost my card.",
        (
            ("Which card?", "card", ("debit 4411", "credit 0907")),
            ("When did you use it last?", "last_used", ("today", "yesterday")),
        ),
        "There is a payment that the caller does not know.",
        "Card blocked, a new one ordered.",
    ),
    Topic(
        "bank",
        "transfer",
        "A transfer has not arrived.",
        (
            ("When did you send it?", "sent", _DAYS),
            ("To which country?", "country", ("PT", "JP", "BR")),
        ),
        "The receiving bank has to be asked.",
        "Traced, it arrives tomorrow.",
    ),
    Topic(
        "bank",
        "limit",
        "Can I raise my card's limit?",
        (
            ("To how much?", "amount", ("2000 EUR", "5000 EUR")),
            ("For how long?", "until", ("for a week", "for good")),
        ),
        "It needs a person's approval.",
        "Limit raised.",
    ),
)


class Turn(NamedTuple):
    """One turn of a conversation.

    Attributes:
        at: when it takes place, in seconds since the demo began; negative before that.
        owner: who takes it.
        properties: what is saved.
        code: a property of that name, which expires earlier than the rest.
    """

    at: float
    owner: str
    properties: dict[str, object]
    code: dict[str, object] | None


@dataclass
class Conversation:
    """A conversation: where it is saved, and the turns that it still has.

    Attributes:
        namespace: its namespace.
        session_id: its session.
        turns: what has not taken place yet, in order.
        fence: the fence of the lease that was taken last, if any was.
    """

    namespace: str
    session_id: str
    turns: list[Turn] = field(default_factory=list)
    fence: int | None = None


def make_up(random: Random, begins: float) -> Conversation:
    """Makes up a conversation that begins at this time. A bot leads it; every other one is handed over to an agent."""
    topic = random.choice(TOPICS)
    writer = _Writer(random, begins)
    bot = f"bot-{random.randint(1, 9)}"
    known: dict[str, object] = {
        "status": "open",
        "intent": topic.intent,
        "channel": random.choice(_CHANNELS),
        "mood": random.choice(_MOODS),
        "customer": {"name": random.choice(_CALLERS), "number": random.randint(100_000, 999_999)},
    }
    code: dict[str, object] | None = None
    if topic.namespace == "airline":
        origin, destination = random.sample(_AIRPORTS, 2)
        known["legs"] = [{"from": origin, "to": destination}]
    else:
        code = {"digits": f"{random.randrange(1_000_000):06}", "tries": 0}
    writer.take(bot, [f"caller: {topic.opening}"], known, code=code)
    form: dict[str, object] = {}
    for question, name, replies in topic.questions:
        reply = random.choice(replies)
        form = {**form, name: reply}
        writer.take(bot, [f"{bot}: {question}", f"caller: {reply}"], {"form": form})
    closing: dict[str, object] = {"status": "closed", "result": topic.result}
    if random.random() < 0.5:  # noqa: PLR2004 - every other one
        agent = random.choice(_AGENTS)
        lines = [f"{bot}: {topic.obstacle} I get you an agent."]
        writer.take(bot, lines, {"status": "waiting", "obstacle": topic.obstacle})
        lines = [f"{agent}: Hello, I have read what you want."]
        writer.take(agent, lines, {"status": "with agent", "agent": agent}, pause=(20, 90))
        writer.take(agent, [f"{agent}: {topic.result}"], closing, pause=(20, 60))
    else:
        writer.take(bot, [f"{bot}: {topic.result}"], closing)
    session_id = f"conv-{random.getrandbits(32):08x}"
    return Conversation(topic.namespace, session_id, writer.turns)


class _Writer:
    """Writes down turns, one after the other."""

    def __init__(self, random: Random, begins: float) -> None:
        self.turns: list[Turn] = []
        self._random = random
        self._at = begins
        self._log: list[str] = []

    def take(
        self,
        owner: str,
        lines: list[str],
        properties: dict[str, object],
        *,
        code: dict[str, object] | None = None,
        pause: tuple[float, float] = (5, 25),
    ) -> None:
        """Adds a turn; the first takes place at once, the others after a pause of so many seconds."""
        if self.turns:
            self._at += self._random.uniform(*pause)
        self._log = [*self._log, *lines][-_LOG_LENGTH:]
        saved = {**properties, "turns": len(self.turns) + 1, "log": self._log}
        self.turns.append(Turn(self._at, owner, saved, code))
