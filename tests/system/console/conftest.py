"""An engine with three flows and a browser, one of each for the tests of a file, and tabs in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.peers import require
from tests.system.console.browser import Visit, open_browser
from tests.system.console.product import make_flow, open_product
from tests.system.console.site import DOORS, Set


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Set]:
    program = require("chromium", "chromium")
    with (
        open_product(tmp_path_factory.mktemp("product")) as product,
        open_browser(program) as browser,
    ):
        run, client = product.run, product.client
        keys = [run(client.create_key, "default", role) for role in ("owner", "viewer")]
        quick = run(make_flow, client, "Appointment reminder", ["+14155550100"], 30)
        slow = run(make_flow, client, "Customer survey", ["+14155550110"], 0.2)
        bare = run(make_flow, client, "School closure", [], 1, DOORS)
        for flow in (quick, slow):
            run(client.activate_listener, flow)
        yield Set(product, browser, keys[0].key, keys[1].key, quick, slow, bare)


@pytest.fixture
def visit(there: Set) -> Iterator[Callable[[], Visit]]:
    """Opens tabs in which nothing may go wrong."""
    visits: list[Visit] = []

    def open_visit() -> Visit:
        visits.append(Visit(there.browser, there.product.url))
        return visits[-1]

    yield open_visit
    for one in visits:
        one.close()
