"""Runs the command line, or code that uses us, in processes that need not import all anew.

A process that has imported what the commands need, and has done nothing else, forks for each. What
runs is a process of its own, with its own folder, environment, limits and status; only the start
of an interpreter and 0.6 s of imports are not repeated. Run as a program, this file is the first.
"""

import atexit
import functools
import json
import os
import runpy
import subprocess
import sys
import tempfile
from pathlib import Path

_IMPORTED = (
    *("coverslip.cli.app", "coverslip.cli.convert", "coverslip.cli.archive", "coverslip.cli.plan"),
    *("coverslip.cli.inspect", "coverslip.cli.verify", "coverslip.conversion", "imagecodecs"),
)


def command(*arguments, cwd=None, env=None):
    """Run a command, and return its status and what it said."""
    return _run_there(None, arguments, cwd, env)


def code(text, *arguments, cwd=None, env=None):
    """Run code as ``python -c`` does, and return its status and what it said."""
    return _run_there(text, arguments, cwd, env)


def _run_there(text, arguments, cwd, env):
    server = _server()
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as told:
        request = {
            "code": text,
            "arguments": [str(argument) for argument in arguments],
            "cwd": str(Path.cwd() if cwd is None else cwd),
            "env": dict(os.environ if env is None else env),
            "pid": os.getpid(),
            "files": [said.fileno(), told.fileno()],
        }
        server.stdin.write(json.dumps(request) + "\n")
        server.stdin.flush()
        status = int(server.stdout.readline())
        texts = []
        for file in (said, told):
            file.seek(0)
            texts.append(file.read().decode())
    return subprocess.CompletedProcess(request["arguments"], status, *texts)


@functools.cache
def _server():
    server = subprocess.Popen(
        [sys.executable, "-P", __file__],
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},  # a process with threads is not forked
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def end():
        server.stdin.close()
        server.stdout.close()
        server.wait()

    atexit.register(end)
    return server


def _serve():
    for name in _IMPORTED:
        __import__(name)
    for line in sys.stdin:
        request = json.loads(line)
        child = os.fork()
        if child == 0:
            _run(request)
        _, ended = os.waitpid(child, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(ended)}\n")
        sys.stdout.flush()


def _run(request):
    """Become the command; does not return."""
    files = [f"/proc/{request['pid']}/fd/{number}" for number in request["files"]]
    for number, name in enumerate(["/dev/null", *files]):
        opened = os.open(name, os.O_RDWR)
        os.dup2(opened, number)
        os.close(opened)
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    sys.stdin, sys.stdout, sys.stderr = (os.fdopen(n, mode) for n, mode in enumerate("rww"))
    text = request["code"]
    sys.argv = ["coverslip" if text is None else "-c", *request["arguments"]]
    status = 1
    try:
        if text is None:
            runpy.run_module("coverslip", run_name="__main__", alter_sys=True)
        else:
            exec(compile(text, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102
        status = 0
    except SystemExit as ended:
        status = ended.code if isinstance(ended.code, int) else 0 if ended.code is None else 1
    except BaseException:  # noqa: BLE001 (as an interpreter ends)
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    _serve()
