"""What the shops have in common: how a sample is described, how lines are set, how numbers are written."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from worker.receipts.receipt import Item, Receipt, Tax
from worker.workbench.local.samples.paper import Anchor, Cell, Line, Roll
from worker.workbench.local.samples.photo import Photo, Scan

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: the truth, what is printed from it, and how that came to be a file."""

    file: str
    """The file's name; its suffix says the format."""
    receipt: Receipt
    roll: Roll
    taken: Scan | Photo | None = None
    """None: an electronic receipt, which was never on paper."""
    turned: bool = False
    """The camera was held sideways: the pixels are stored turned, and EXIF orientation 6 says so."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """How a country writes amounts."""

    thousands: str
    decimal: str
    places: int = 2

    def __call__(self, amount: Decimal | None) -> str:
        """Write an amount, which must be known."""
        if amount is None:
            raise ValueError("an amount that is not known cannot be printed")
        text = f"{amount:,.{self.places}f}"
        return text.translate({ord(","): self.thousands, ord("."): self.decimal})


@dataclass(frozen=True, slots=True)
class Sheet:
    """Sets lines on paper of so many columns."""

    columns: int

    def left(self, *texts: str, size: float = 1, bold: bool = False, face: str | None = None) -> list[Line]:
        """Set each text at the left edge of its own line."""
        return [Line((Cell(0, text),), size, bold, face) for text in texts]

    def centre(self, *texts: str, size: float = 1, bold: bool = False, face: str | None = None) -> list[Line]:
        """Set each text in the middle of its own line."""
        return [Line((Cell(self.columns / 2, text, "m"),), size, bold, face) for text in texts]

    def row(self, left: str, right: str, *, indent: float = 0, size: float = 1, bold: bool = False) -> list[Line]:
        """Set one text at the left edge and one at the right."""
        return [Line((Cell(indent, left), Cell(self.columns, right, "r")), size, bold)]

    def table(self, *cells: tuple[float, str, Anchor], bold: bool = False) -> list[Line]:
        """Set one line of texts at their own columns."""
        return [Line(tuple(Cell(*cell) for cell in cells), bold=bold)]

    def rule(self, mark: str = "-") -> list[Line]:
        """Set a line of one mark from edge to edge."""
        return self.left(mark * self.columns)


def gap(size: float = 0.6) -> list[Line]:
    """Leave some paper blank."""
    return [Line(size=size)]


def stroke() -> list[Line]:
    """Draw a line from edge to edge."""
    return [Line(size=0.6, stroke=True)]


def bars(code: str) -> list[Line]:
    """Set a bar code."""
    return [Line(bars=code)]


def item(
    description: str, amount: str = "", *, quantity: str = "", unit_price: str = "", product_code: str = ""
) -> Item:
    """Describe one line of goods; without an amount it is quantity times unit price, to the cent."""
    return Item(
        description=description,
        quantity=Decimal(quantity) if quantity else None,
        unit_price=Decimal(unit_price) if unit_price else None,
        amount=Decimal(amount) if amount else cents(Decimal(quantity) * Decimal(unit_price)),
        product_code=product_code or None,
    )


def sum_of(items: Iterable[Item]) -> Decimal:
    """Add up the lines' amounts."""
    return sum((line.amount for line in items if line.amount is not None), Decimal(0))


def cents(amount: Decimal) -> Decimal:
    """Round to the cent, half up, as tills do."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def tax_on(description: str, rate: str, net: Decimal) -> Tax:
    """Return the tax that is added to a net amount."""
    return Tax(description=description, rate=Decimal(rate), net=net, amount=cents(net * Decimal(rate) / 100))


def tax_beside(description: str, rate: str, net: Decimal) -> Tax:
    """Return the tax that is added to a net amount which does not stand beside it."""
    return tax_on(description, rate, net).model_copy(update={"net": None})


def tax_within(description: str, rate: str, gross: Decimal) -> Tax:
    """Return the tax that a gross amount includes."""
    net = cents(gross / (1 + Decimal(rate) / 100))
    return Tax(description=description, rate=Decimal(rate), net=net, amount=gross - net)
