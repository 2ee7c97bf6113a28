"""What a person has said about a sweep: caps, holds and priorities, kept whole with it."""

from __future__ import annotations

import msgspec
from sqlalchemy import select, update

from sgonz.plan.orders import Orders
from sgonz.store.tables import sweeps
from sgonz.store.transaction import Transaction, as_text

_orders = msgspec.json.Decoder(Orders)


def set_orders(at: Transaction, sweep_id: int, orders: Orders) -> None:
    at.connection.execute(
        update(sweeps)
        .where(sweeps.c.workspace_id == at.workspace, sweeps.c.id == sweep_id)
        .values(orders=as_text(orders))
    )


def orders_of(at: Transaction, sweep_id: int) -> Orders:
    found = select(sweeps.c.orders).where(sweeps.c.workspace_id == at.workspace, sweeps.c.id == sweep_id)
    text = at.connection.execute(found).scalar()
    return _orders.decode(text) if text else Orders()
