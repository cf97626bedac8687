"""The reference at /docs in a browser: everything is there, nothing comes from elsewhere, and "Send" works with a token.

    portal.py http://127.0.0.1:8080 /usr/bin/chromium [DIRECTORY FOR SCREENSHOTS]

The token is in RISKMESH_OPENAPI_TOKEN: an administrator's of a sandbox that has no client 424242.
"""

import os
import sys

from playwright.sync_api import sync_playwright

# Operations of v1 in an order that makes sense, as their examples have them, and the status that each is answered with.
STORY = [
    ("createClient", 201),
    ("getClient", 200),
    ("createAccount", 201),
    ("batchCreateTransactions", 200),
    ("updateClient", 200),
    ("putAddress", 200),
    ("listClients", 200),
    ("deleteAccount", 412),
]


def send(page, operation: str) -> tuple[int, str]:
    """Opens an operation, presses its button, and reads what is shown."""
    node = page.locator(f"#{operation}")
    node.locator("summary").first.click()
    node.get_by_role("button", name="Send").click()
    answer = node.locator("[aria-live]")
    answer.locator("pre").first.wait_for()
    return int(answer.locator("p").first.inner_text().split()[0]), answer.locator("pre").first.inner_text()


def check(page, base: str, screenshots: str | None) -> None:
    token = os.environ["RISKMESH_OPENAPI_TOKEN"]
    for prefix in ("", "/api"):
        response = page.goto(f"{base}{prefix}/docs")
        assert "script-src 'self'" in response.headers["content-security-policy"], response.headers
        for version in ("v1", "v2"):
            page.goto(f"{base}{prefix}/docs#{version}")
            document = page.request.get(f"{base}{prefix}/openapi/{version}.json").json()
            ids = {each["operationId"] for path in document["paths"].values() for each in path.values()}
            for operation in ids:
                page.locator(f"#{operation}").wait_for()
            assert page.locator("main > details").count() == len(ids), f"{version} shows more than it has"
    page.goto(f"{base}/docs#v1")
    page.locator("#getClient").wait_for()
    assert send(page, "getClient")[0] == 401, "no token"
    page.reload()
    page.fill("#token", token)
    for operation, expected in STORY:
        status, shown = send(page, operation)
        assert status == expected, f"{operation}: {status}, not {expected}: {shown}"
        print(f"  {operation}: {status}")
    node = page.locator("#batchCreateTransactions")
    node.get_by_text("Body and answers").click()
    node.get_by_text("Transaction[]").first.click()
    # The fields of what is in a list open on demand.
    node.locator("dt", has_text="counterpartyCountry").first.wait_for()
    node.get_by_text("As a command").click()
    command = node.locator("[aria-live] pre").last.inner_text()
    assert command.startswith("curl -X POST") and token not in command and "$TOKEN" in command, command
    if screenshots:
        node.scroll_into_view_if_needed()
        page.screenshot(path=f"{screenshots}/portal.png")
        page.set_viewport_size({"width": 400, "height": 800})
        page.screenshot(path=f"{screenshots}/portal-narrow.png")


def main() -> None:
    base, browser = sys.argv[1:3]
    foreign, errors = [], []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        page = chromium.new_page(viewport={"width": 1200, "height": 900})
        page.set_default_timeout(20_000)
        page.on("request", lambda request: request.url.startswith(base) or foreign.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        # An answer that is no success is told there as well, with its address: those are asked for.
        page.on("console", lambda line: line.type == "error" and "status of 4" not in line.text and errors.append(line.text))
        check(page, base, sys.argv[3] if len(sys.argv) > 3 else None)
        chromium.close()
    assert not foreign, f"asked elsewhere: {foreign}"
    assert not errors, f"the page failed: {errors}"


main()
