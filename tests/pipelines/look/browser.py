"""A headless Chromium driven over the WebDriver protocol with the standard library: open a page, press keys, read the page, take a picture."""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

FLAGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
         '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage']
WAIT_S = 120


class Browser:
    """One Chromium with one window; use it as a context."""

    def __init__(self, profile: Path, width: int = 1280, height: int = 860):
        for program in ('chromium', 'chromedriver'):
            if shutil.which(program) is None:
                pytest.skip(f'{program} is not installed; apt-get install chromium chromium-driver')
        self._profile, self._size = profile, f'--window-size={width},{height}'

    def __enter__(self) -> 'Browser':
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        self._driver = subprocess.Popen(['chromedriver', f'--port={port}'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._at = f'http://127.0.0.1:{port}'
        options = {'args': [*FLAGS, self._size, f'--user-data-dir={self._profile}']}
        self._wait(lambda: self._call('GET', '/status')['ready'])
        self._at += '/session/' + self._call('POST', '/session', capabilities={'alwaysMatch': {
            'browserName': 'chrome', 'goog:chromeOptions': options, 'goog:loggingPrefs': {'browser': 'ALL'}}})['sessionId']
        return self

    def __exit__(self, *_) -> None:
        try:
            self._call('DELETE', '')
        finally:
            self._driver.terminate()
            self._driver.wait()

    def open(self, address: str) -> None:
        self._call('POST', '/url', url=address)

    def narrow(self, width: int, height: int) -> None:
        """Make the page as small as a telephone's, which no window is."""
        self._call('POST', '/goog/cdp/execute', cmd='Emulation.setDeviceMetricsOverride',
                   params={'width': width, 'height': height, 'deviceScaleFactor': 1, 'mobile': True})

    def run(self, script: str):
        """Return what a script returns."""
        return self._call('POST', '/execute/sync', script=script, args=[])

    def press(self, key: str) -> None:
        keys = [{'type': kind, 'value': key} for kind in ('keyDown', 'keyUp')]
        self._call('POST', '/actions', actions=[{'type': 'key', 'id': 'keyboard', 'actions': keys}])

    def wait(self, script: str):
        """Return the first true value of a script."""
        return self._wait(lambda: self.run(script), script)

    def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something holds."""
        self._wait(holds)

    def complaints(self) -> list[str]:
        """Return what the console says is wrong: errors of scripts, refused or missing addresses."""
        return [line['message'] for line in self._call('POST', '/se/log', type='browser') if line['level'] == 'SEVERE']

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call('GET', '/screenshot')))

    def _wait(self, ask, what: str = ''):
        end = time.monotonic() + WAIT_S
        while time.monotonic() < end:
            try:
                if found := ask():
                    return found
            except OSError:
                pass
            time.sleep(0.05)
        raise AssertionError(f'nothing after {WAIT_S} s: {what}; {self.run("return document.body.innerText")[:2000] if what else ""}')

    def _call(self, method: str, path: str, **body):
        request = urllib.request.Request(self._at + path, json.dumps(body).encode() if method == 'POST' else None, method=method)
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                return json.load(reply)['value']
        except urllib.error.HTTPError as e:
            raise AssertionError(e.read().decode()[:500]) from e
