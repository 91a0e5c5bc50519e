"""The Python recipes of protocol/COOKBOOK.md, run as they stand there: cookbook.py SOCKET"""

import re
import subprocess
import sys
from importlib.metadata import version as installed
from pathlib import Path

from check import end, equal, socket_path, step, true, version

DEFAULT_SOCKET = "/run/larder/larder.sock"

version(installed("redis"))
page = (Path(__file__).resolve().parents[3] / "protocol/COOKBOOK.md").read_text()
recipes = re.findall(r"```python (\S+)\n(.*?)```\n\n```text\n(.*?)```", page, re.DOTALL)

with step("the page has recipes"):
    equal([name for name, _, _ in recipes], ["redis-py", "cashews", "django", "limits"])

for name, program, expected in recipes:
    with step(name):
        true(DEFAULT_SOCKET in program, f"{DEFAULT_SOCKET} in it")
        program = program.replace(DEFAULT_SOCKET, socket_path())
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        equal((done.stdout, done.stderr), (expected, ""), "what it prints")

end()
