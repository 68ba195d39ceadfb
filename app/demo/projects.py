"""What Birch has made: read by the story of its visits (`portfolio`) and by the pages of its site (`sites`)."""

import msgspec


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project. `share` is how many of a hundred clicks on projects go to it."""

    id: str
    share: int
    kind: str
    year: int
    line: str
    task: str
    answer: str

    @property
    def title(self) -> str:
        """What it and its page are called."""
        return self.id.replace("-", " ").title()

    @property
    def path(self) -> str:
        """Where its page is."""
        return f"/work/{self.id}"


PROJECTS = (
    Project(
        id="lighthouse",
        share=34,
        kind="Identity",
        year=2026,
        line="A mark that can be read from four miles out.",
        task="The keepers' trust looks after eleven lighthouses and had eleven logos. We drew one that works at "
        "the size of a stamp and at the size of a tower, in two colours that the sea does not have.",
        answer="The rhythm of the stripes is the rhythm of each light: two short, one long for the Skerry, three for "
        "the Head. Sailors noticed before the trustees did.",
    ),
    Project(
        id="harbour-museum",
        share=26,
        kind="Exhibition",
        year=2025,
        line="Four hundred objects, and nobody asks the way.",
        task="A warehouse with three doors and no middle. The floor now tells where you are: tide lines, painted "
        "to scale, from the oldest wharf at the entrance to the container port at the exit.",
        answer="Labels are short, large and at the height of a ten-year-old. Visits last eleven minutes longer.",
    ),
    Project(
        id="slow-bakery",
        share=20,
        kind="Packaging",
        year=2025,
        line="Paper that says when the bread was begun.",
        task="The dough rests for thirty-six hours, and that is the whole story. Each bag is stamped by hand with "
        "the day on which its loaf was started, not the day on which it is sold.",
        answer="One ink, one paper, no window. The bread is what you look at.",
    ),
    Project(
        id="field-notes",
        share=12,
        kind="Book",
        year=2024,
        line="A botanist's forty years, in the order of the walks.",
        task="Nineteen notebooks, rained on. We kept the order in which she walked instead of the order of the "
        "alphabet, and let the margins keep the weather.",
        answer="Set in two sizes of one typeface, printed on paper that takes a pencil.",
    ),
    Project(
        id="tidal-maps",
        share=8,
        kind="Data",
        year=2024,
        line="An estuary that is a different place every hour.",
        task="Ordinary maps draw the coast once. These draw it twenty-four times, and show which paths are there "
        "for how long. The harbour master prints today's in the morning.",
        answer="Drawn by a small program from the tide tables, and corrected by two people in boots.",
    ),
)
