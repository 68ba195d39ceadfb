"""Cedar's story line: people look at goods, fill a cart, some check out and pay. Pure."""

from decimal import Decimal

from app.demo.goods import CURRENCY, GOODS
from app.demo.visit import Visit, pick

_GOODS = {good.id: good for good in GOODS}
_SHARES = {good.id: good.share for good in GOODS}
_METHODS = {"card": 62, "paypal": 24, "apple_pay": 14}
ADDS, CHECKS_OUT, PAYS = 0.24, 0.55, 0.72


def tell_shopping(visit: Visit) -> None:
    """Tell one visit to the shop."""
    visit.open_page("/", "Cedar Goods")
    visit.tell("page_view")
    cart: dict[str, int] = {}
    while visit.chance(0.62):
        _look_at(visit, cart)
    if cart and visit.chance(CHECKS_OUT):
        _check_out(visit, cart)


def _look_at(visit: Visit, cart: dict[str, int]) -> None:
    product = pick(visit.rng, _SHARES)
    good = _GOODS[product]
    price = float(good.price)
    visit.wait(4, 45)
    visit.open_page(good.path, good.title)
    visit.tell("product_view", {"product_id": product, "price": price})
    if visit.chance(ADDS):
        quantity = pick(visit.rng, {1: 80, 2: 15, 3: 5})
        visit.wait(5, 60)
        visit.tell("add_to_cart", {"product_id": product, "quantity": quantity, "price": price})
        cart[product] = cart.get(product, 0) + quantity


def _check_out(visit: Visit, cart: dict[str, int]) -> None:
    total = sum((_GOODS[product].price * quantity for product, quantity in cart.items()), Decimal(0))
    visit.wait(5, 60)
    visit.open_page("/checkout", "Checkout")
    visit.tell("checkout_start", {"items": sum(cart.values())}, amount=float(total), currency=CURRENCY)
    if visit.chance(PAYS):
        visit.wait(30, 240)
        order = {
            "order_id": f"C{visit.rng.randrange(10**8):08}",
            "items": [{"product_id": product, "quantity": quantity} for product, quantity in cart.items()],
            "payment_method": pick(visit.rng, _METHODS),
        }
        visit.tell("purchase", order, amount=float(total), currency=CURRENCY)
