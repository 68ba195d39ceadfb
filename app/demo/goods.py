"""What Cedar sells: read by the story of its visits (`shop`) and by the pages of its site (`sites`)."""

from decimal import Decimal

import msgspec

CURRENCY = "USD"


class Good(msgspec.Struct, frozen=True, kw_only=True):
    """A good. `share` is how many of a hundred looks go to it."""

    id: str
    share: int
    price: Decimal
    line: str
    about: str
    facts: tuple[str, ...]

    @property
    def title(self) -> str:
        """What it and its page are called."""
        return self.id.replace("-", " ").title()

    @property
    def path(self) -> str:
        """Where its page is."""
        return f"/goods/{self.id}"


GOODS = (
    Good(
        id="oak-stool",
        share=14,
        price=Decimal("89.00"),
        line="Sit, step, stack books on it.",
        about="Three turned legs, wedged through a seat that is cut from one board. No screw in it, so nothing comes "
        "loose: tap the wedges once a decade.",
        facts=("White oak, oiled", "45 cm high, 32 cm across", "3.1 kg"),
    ),
    Good(
        id="wool-throw",
        share=18,
        price=Decimal("64.50"),
        line="Warm without being heavy.",
        about="Woven in one piece from undyed lambswool and washed until it is soft. It gets better with every winter.",
        facts=("Undyed lambswool", "130 by 180 cm", "Wash by hand, dry flat"),
    ),
    Good(
        id="pour-over-kettle",
        share=20,
        price=Decimal("48.00"),
        line="A thin stream, exactly where you want it.",
        about="The long neck slows the water down, the handle stays cool, and the lid does not fall into your cup.",
        facts=("Brushed steel", "0.9 l", "For gas, induction and electric hobs"),
    ),
    Good(
        id="linen-apron",
        share=16,
        price=Decimal("35.00"),
        line="For bread, clay and engines.",
        about="Straps that cross at the back instead of pulling at the neck, and two pockets that a hand fits into.",
        facts=("Washed linen", "One size", "Wash at 60 °C"),
    ),
    Good(
        id="cast-iron-pan",
        share=17,
        price=Decimal("72.00"),
        line="The last pan you buy.",
        about="Cast in sand, ground smooth, and seasoned three times. Use it every day, and do not let it soak.",
        facts=("Cast iron, seasoned", "26 cm across", "2.4 kg"),
    ),
    Good(
        id="beeswax-candles",
        share=15,
        price=Decimal("18.90"),
        line="Six evenings of warm light.",
        about="Dipped by hand from the wax of one valley. They smell faintly of honey and burn for eight hours each.",
        facts=("Six candles", "24 cm high", "Cotton wick"),
    ),
)
