"""A real browser: Debian's chromium, driven by its chromedriver over plain WebDriver (HTTP and JSON)."""
import http.client
import json
import re
import subprocess
import threading

from platoon_fixture import SCALE


class Browser:
    def __init__(self, folder):
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                       env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "TMPDIR": str(folder)})
        self.session = None
        late = threading.Timer(60 * SCALE, self.driver.kill)
        late.start()
        try:
            for line in self.driver.stdout:
                if found := re.search(r"successfully on port (\d+)", line):
                    self.port = int(found[1])
                    break
            else:
                raise AssertionError("chromedriver has ended")
            words = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run", f"--user-data-dir={folder}/profile"]
            self.session = self.call("POST", "/session", {"capabilities": {"alwaysMatch": {"goog:chromeOptions": {"binary": "/usr/bin/chromium", "args": words}}}})["sessionId"]
        except BaseException:
            self.close()
            raise
        finally:
            late.cancel()

    def call(self, method, path, body=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120 * SCALE)
        connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        value = json.loads(answer.read())["value"]
        connection.close()
        assert answer.status == 200, value
        return value

    def ask(self, method, path, body=None):
        return self.call(method, f"/session/{self.session}{path}", body)

    def open(self, url):
        self.ask("POST", "/url", {"url": url})

    def run(self, script):
        return self.ask("POST", "/execute/sync", {"script": script, "args": []})

    def windows(self):
        return self.ask("GET", "/window/handles")

    def show(self, window):
        self.ask("POST", "/window", {"handle": window})

    def new_tab(self):
        return self.ask("POST", "/window/new", {"type": "tab"})["handle"]

    def minimize(self):
        self.ask("POST", "/window/minimize", {})

    def restore(self):
        self.ask("POST", "/window/rect", {"x": 0, "y": 0, "width": 800, "height": 600})

    def close(self):
        try:
            if self.session is not None:
                self.ask("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait(60)
            self.driver.stdout.close()
