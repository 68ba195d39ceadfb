"""Maple's story line: people read the site, some open the chat, some want a human. Pure."""

from app.demo.visit import Visit, pick

# Per intent: its share, what visitors write, what the bot answers, and how sure it is of its answer.
_TALK = {
    "opening_hours": ("When are you open?", "We are here Monday to Friday, 8 to 18.", 0.94),
    "pricing": ("What does the team plan cost?", "The team plan is 49 EUR per month and seat.", 0.9),
    "order_status": ("Where is my order?", "I have looked it up: it leaves our house tomorrow.", 0.86),
    "returns": ("How do I send something back?", "You will find the label in your account under Returns.", 0.83),
    "appointment": ("Can I book a demo?", "Yes, the next free slot is on Thursday at 10.", 0.88),
    "complaint": ("This is the third time it broke!", "I am sorry to hear that. May I get a colleague?", 0.72),
    "unknown": ("Kannst du das nochmal anders sagen?", "I did not get that. Could you put it in other words?", 0.34),
}
_SHARES = {
    "opening_hours": 16,
    "pricing": 24,
    "order_status": 20,
    "returns": 12,
    "appointment": 12,
    "complaint": 7,
    "unknown": 9,
}
_PAGES = {("/", "Maple"): 50, ("/pricing", "Pricing"): 22, ("/help", "Help"): 18, ("/contact", "Contact"): 10}
_AGENTS = ("Amira", "Jonas", "Lena", "Piotr")
_FIRST = ("Anna", "Ben", "Clara", "David", "Elif", "Felix", "Greta", "Hugo", "Ida", "Jakub", "Kim", "Luca", "Mia")
_LAST = ("Albrecht", "Bauer", "Cornelius", "Dietz", "Ebert", "Fuchs", "Gruber", "Huber", "Jansen", "Keller", "Lang")
_CHOICES = {"accept": 50, "callback": 25, "continue": 15, "leave": 10}
OPENS, ASKS, LEAVES_LEAD = 0.34, 0.38, 0.06
TOKEN_PRICE = 0.000_002_5


def tell_chat(visit: Visit) -> None:
    """Tell one visit to a site with the chatbot."""
    visit.open_page(*pick(visit.rng, _PAGES))
    visit.tell("page_loaded")
    if not visit.chance(OPENS):
        return
    visit.wait(4, 90)
    visit.tell("widget_opened")
    intent = ""
    for _ in range(visit.rng.randint(1, 4)):
        intent = _exchange(visit)
    if visit.chance(ASKS) or intent == "complaint":
        _ask_human(visit)
    elif visit.chance(LEAVES_LEAD):
        _leave_lead(visit, "chat")


def _exchange(visit: Visit) -> str:
    """Have the visitor say something and the bot answer; return what it was about."""
    intent = pick(visit.rng, _SHARES)
    question, answer, confidence = _TALK[intent]
    visit.wait(5, 40)
    visit.tell("chat_message", {"role": "user", "text": question})
    tokens_in, tokens_out = visit.rng.randint(120, 900), visit.rng.randint(20, 160)
    latency_ms = visit.rng.randint(350, 2600)
    visit.wait(latency_ms / 1000, latency_ms / 1000)
    sure = round(min(0.99, max(0.05, visit.rng.gauss(confidence, 0.06))), 3)
    visit.tell(
        "chat_message",
        {
            "role": "assistant", "text": answer, "intent": intent, "confidence": sure, "fallback": intent == "unknown",
            "tokens_in": tokens_in, "tokens_out": tokens_out, "latency_ms": latency_ms,
            "cost": round((tokens_in + 4 * tokens_out) * TOKEN_PRICE, 6),
        },
    )  # fmt: skip
    return intent


def _ask_human(visit: Visit) -> None:
    visit.wait(3, 30)
    visit.tell("requested_human")
    choice = pick(visit.rng, _CHOICES)
    visit.wait(2, 45)
    if choice == "accept":
        visit.tell("pressed_accept")
        _talk_to_agent(visit)
    elif choice == "callback":
        visit.tell("pressed_callback")
        visit.wait(15, 60)
        _leave_lead(visit, "callback")
    elif choice == "continue":
        visit.tell("pressed_continue")
        _exchange(visit)


def _talk_to_agent(visit: Visit) -> None:
    agent = visit.rng.choice(_AGENTS)
    visit.wait(10, 150)
    visit.tell("agent_connected", {"agent": agent})
    for _ in range(visit.rng.randint(1, 3)):
        visit.wait(15, 80)
        visit.tell("chat_message", {"role": "agent", "text": "Let me see what I can do for you."})
    visit.wait(30, 400)
    visit.tell("agent_disconnected", {"agent": agent})
    if visit.chance(0.6):
        visit.wait(3, 30)
        visit.tell("csat", {"agent": agent, "score": pick(visit.rng, {5: 46, 4: 31, 3: 13, 2: 6, 1: 4})})


def _leave_lead(visit: Visit, source: str) -> None:
    first, last = visit.rng.choice(_FIRST), visit.rng.choice(_LAST)
    phone = f"+49 30 55501{visit.rng.randrange(1000):03}"
    email = f"{first}.{last}@example.com".lower()
    visit.tell("lead_captured", {"name": f"{first} {last}", "email": email, "phone": phone, "source": source})
