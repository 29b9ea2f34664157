"""A real Chromium that uses the console, and tells of everything that goes wrong in it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final, Literal

from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MS: Final = 30_000
"""For what takes a moment on a machine that has other things to do."""
TELL_VIOLATIONS: Final = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`));
"""
DROP: Final = """
([selector, name, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], name, { type: "text/csv" }));
  const target = document.querySelector(selector);
  for (const type of ["dragenter", "dragover", "drop"])
    target.dispatchEvent(new DragEvent(type, { dataTransfer: data, bubbles: true, cancelable: true }));
}
"""
SIZES: Final = {"console": (1280, 820), "phone": (390, 844)}
"""Of a desktop and of a telephone, in CSS pixels."""
SCHEMES: Final[tuple[Literal["light", "dark"], ...]] = ("light", "dark")


@contextmanager
def open_browser(program: str) -> Iterator[Browser]:
    """A browser for as long as the block lasts. It must stay in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One tab of somebody's browser, and what went wrong in it."""

    def __init__(self, browser: Browser, url: str) -> None:
        self.url = url
        self.faults: list[str] = []
        """Errors of its console and its scripts, violations of the policy, and questions to other sites."""
        self.refusals_expected: list[int] = []
        """Statuses of answers, of which the browser's console tells as errors."""
        self._context = browser.new_context(
            reduced_motion="reduce",
            timezone_id="Europe/Berlin",
            permissions=["clipboard-read", "clipboard-write"],
        )
        self._context.set_default_timeout(PATIENCE_MS)
        self._context.add_init_script(TELL_VIOLATIONS)
        self.page: Page = self._context.new_page()
        self._resize("console")
        self.page.on("console", self._note_message)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self._note_address(request.url))

    def _note_message(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def _note_address(self, address: str) -> None:
        if not address.startswith((self.url, "blob:", "data:")):
            self.faults.append(f"asked {address}")

    def sign_in(self, key: str) -> None:
        """Sign in as somebody does, and wait for the overview."""
        self.page.goto(self.url)
        self.page.get_by_label("Key").fill(key)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.get_by_role("heading", name="Overview", level=1).wait_for()

    def go(self, place: str, title: str) -> None:
        """Go to the view of this address, and wait for it."""
        self.page.goto(f"{self.url}/#/{place}")
        self.page.get_by_role("heading", name=title, level=1, exact=True).wait_for()

    def looks(self, devices: Iterable[str] = SIZES) -> Iterator[str]:
        """Look at what is shown as people do: on a desktop and a telephone, light and dark."""
        for device in devices:
            self._resize(device)
            for scheme in SCHEMES:
                self.page.emulate_media(color_scheme=scheme)
                yield f"{device}-{scheme}"
        self._resize("console")

    def _resize(self, device: str) -> None:
        width, height = SIZES[device]
        self.page.set_viewport_size({"width": width, "height": height})

    def slow_down(self, upload_bytes_per_s: int) -> None:
        """Have what is sent take its time."""
        session = self._context.new_cdp_session(self.page)
        session.send(
            "Network.emulateNetworkConditions",
            {
                "offline": False,
                "latency": 0,
                "downloadThroughput": -1,
                "uploadThroughput": upload_bytes_per_s,
            },
        )

    def drop(self, selector: str, name: str, text: str) -> None:
        """Drop a file on what the selector finds."""
        self.page.evaluate(DROP, [selector, name, text])

    def close(self) -> None:
        """Leave, and fail where something went wrong meanwhile."""
        self._context.close()
        told = [f"responded with a status of {status} " for status in self.refusals_expected]
        faults = [one for one in self.faults if not any(text in one for text in told)]
        assert not faults, faults
