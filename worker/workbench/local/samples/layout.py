"""Common parts of the samples: their description, the setting of lines, the format of numbers."""

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal

from worker.receipts.receipt import Item, Receipt, Tax
from worker.workbench.local.samples.paper import Anchor, Cell, Line, Roll
from worker.workbench.local.samples.photo import Photo, Scan

CENT = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Sample:
    """One sample: its truth, the printed roll, and how the roll became a file."""

    file: str
    """The file's name; its suffix is the format."""
    receipt: Receipt
    roll: Roll
    taken: Scan | Photo | None = None
    """The scan or photo; None for an electronic receipt."""
    turned: bool = False
    """Whether the pixels are stored sideways, with EXIF orientation 6."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """A country's format of amounts."""

    thousands: str
    decimal: str
    places: int = 2

    def __call__(self, amount: Decimal | None) -> str:
        """Return the amount as text. Raises ValueError for None."""
        if amount is None:
            raise ValueError("an unknown amount cannot be printed")
        text = f"{amount:,.{self.places}f}"
        return text.translate({ord(","): self.thousands, ord("."): self.decimal})


@dataclass(frozen=True, slots=True)
class Sheet:
    """A sheet of paper with `columns` columns, on which lines are set."""

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
        """Set a line that repeats one mark from edge to edge."""
        return self.left(mark * self.columns)


def gap(size: float = 0.6) -> list[Line]:
    """Set a blank line."""
    return [Line(size=size)]


def stroke() -> list[Line]:
    """Set a ruled line from edge to edge."""
    return [Line(size=0.6, stroke=True)]


def bars(code: str) -> list[Line]:
    """Set a bar code."""
    return [Line(bars=code)]


def item(
    description: str, amount: str = "", *, quantity: str = "", unit_price: str = "", product_code: str = ""
) -> Item:
    """Return one item. The default amount is quantity times unit price, rounded to the cent."""
    return Item(
        description=description,
        quantity=Decimal(quantity) if quantity else None,
        unit_price=Decimal(unit_price) if unit_price else None,
        amount=Decimal(amount) if amount else cents(Decimal(quantity) * Decimal(unit_price)),
        product_code=product_code or None,
    )


def sum_of(items: Iterable[Item]) -> Decimal:
    """Return the sum of the items' amounts."""
    return sum((line.amount for line in items if line.amount is not None), Decimal(0))


def cents(amount: Decimal) -> Decimal:
    """Return the amount rounded to the cent, half up, as tills do."""
    return amount.quantize(CENT, ROUND_HALF_UP)


def tax_on(description: str, rate: str, net: Decimal) -> Tax:
    """Return the tax that is added to a net amount."""
    return Tax(description=description, rate=Decimal(rate), net=net, amount=cents(net * Decimal(rate) / 100))


def tax_beside(description: str, rate: str, net: Decimal) -> Tax:
    """Return the tax that is added to a net amount, without the net amount."""
    return tax_on(description, rate, net).model_copy(update={"net": None})


def tax_within(description: str, rate: str, gross: Decimal) -> Tax:
    """Return the tax that a gross amount includes."""
    net = cents(gross / (1 + Decimal(rate) / 100))
    return Tax(description=description, rate=Decimal(rate), net=net, amount=gross - net)
