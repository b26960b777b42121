"""A headless Chromium that a test drives over its debugging pipe: pages, what they ask for and say, screenshots."""
import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time

from broker import PATIENCE_S, Failed, check

COMMAND = ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
           "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars", "--disable-extensions",
           "--disable-domain-reliability", "--no-default-browser-check", "--remote-debugging-pipe"]


def is_there():
    return bool(shutil.which("chromium"))


class Chromium:
    """with Chromium() as browser: page = browser.page(URL)"""

    def __init__(self):
        self.profile = tempfile.mkdtemp(prefix="herald-chromium-")
        to_read, self.write_fd = os.pipe()
        self.read_fd, to_write = os.pipe()
        # It reads from descriptor 3 and writes to 4.
        shell = f'exec "$@" 3<&{to_read} 4>&{to_write}'
        self.process = subprocess.Popen(["bash", "-c", shell, "chromium", *COMMAND, "--user-data-dir=" + self.profile, "about:blank"],
                                        pass_fds=(to_read, to_write), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                        start_new_session=True, env=dict(os.environ, TMPDIR=self.profile))
        os.close(to_read)
        os.close(to_write)
        self.number, self.buffer, self.pages = 0, b"", {}

    def message(self, timeout_s):
        """The next one, None when none came in time."""
        while b"\0" not in self.buffer:
            if not select.select([self.read_fd], [], [], timeout_s)[0]:
                return None
            piece = os.read(self.read_fd, 1 << 20)
            check(piece, "the browser has ended")
            self.buffer += piece
        text, _, self.buffer = self.buffer.partition(b"\0")
        message = json.loads(text)
        page = self.pages.get(message.get("sessionId"))
        if page and "method" in message:
            page.happened(message["method"], message["params"])
        return message

    def call(self, method, session=None, **params):
        self.number += 1
        number = self.number
        os.write(self.write_fd, json.dumps({"id": number, "method": method, "params": params, **({"sessionId": session} if session else {})}).encode() + b"\0")
        end = time.monotonic() + PATIENCE_S
        while True:
            message = self.message(max(end - time.monotonic(), 0))
            if message is None:
                raise Failed("the browser does not answer", method)
            if message.get("id") == number:
                check("error" not in message, method, message.get("error"))
                return message["result"]

    def page(self, url, **view):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session)
        page.view(**view)
        page.go(url)
        return page

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        os.close(self.read_fd)
        os.close(self.write_fd)
        shutil.rmtree(self.profile, ignore_errors=True)


class Page:
    """One tab.  `requests`: what was asked for; `complaints`: errors of scripts, and what the Content-Security-Policy stopped."""

    def __init__(self, browser, session):
        self.browser, self.session = browser, session
        self.requests, self.complaints, self.responses = [], [], {}
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(domain + ".enable")

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def happened(self, method, params):
        if method == "Network.requestWillBeSent":
            self.requests.append(params["request"])
        elif method == "Network.responseReceived":
            self.responses[params["response"]["url"]] = params["response"]
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(params["exceptionDetails"].get("exception", {}).get("description", str(params)))
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning"):
            self.complaints.append(str([a.get("value") for a in params["args"]]))
        elif method == "Log.entryAdded" and params["entry"]["source"] in ("security", "javascript", "violation"):
            self.complaints.append(params["entry"]["text"])

    def view(self, width=1360, height=900, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def go(self, url):
        self.call("Page.navigate", url=url)

    def run(self, script):
        """The value of an expression, or of a promise."""
        result = self.call("Runtime.evaluate", expression=script, returnByValue=True, awaitPromise=True)
        check("exceptionDetails" not in result, script, result.get("exceptionDetails"))
        return result["result"].get("value")

    def text(self):
        return self.run("document.body?.innerText ?? ''")

    def until(self, words, patience_s=PATIENCE_S):
        """Waits until the page shows the words; all its text."""
        end = time.monotonic() + patience_s
        while True:
            text = self.text()
            if words in text:
                return text
            if time.monotonic() > end:
                raise Failed(f"the page never showed {words!r}; it shows:\n{text[:3000]}\n{self.complaints}")
            self.rest(0.05)

    def rest(self, for_s):
        """Takes what the browser says meanwhile."""
        end = time.monotonic() + for_s
        while (left := end - time.monotonic()) > 0:
            self.browser.message(left)

    def click(self, selector, words=""):
        """Clicks the first element that is so and holds the words."""
        self.run(f"[...document.querySelectorAll({json.dumps(selector)})].find((e) => e.textContent.includes({json.dumps(words)})).click()")

    def type(self, selector, text):
        self.run(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.focus(); e.select(); }})()")
        self.call("Input.insertText", text=text)

    def screenshot(self, path):
        self.rest(0.3)
        octets = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        with open(path, "wb") as file:
            file.write(octets)
