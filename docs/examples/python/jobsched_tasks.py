#!/usr/bin/env python3
"""Tasks in Python for the jobsched worker.

    from jobsched_tasks import PermanentTaskError, task

    @task("greet")
    def greet(payload):
        if "who" not in payload:
            raise PermanentTaskError("payload.who is needed")
        return {"greeting": "hello " + payload["who"]}

A task is a function of one argument, the job's payload as json.loads gives it: a dict, a str, what the job has.  What it
returns, anything that json.dumps takes, is the job's result.  An exception fails the attempt, and it is tried again while
the job has retries left; PermanentTaskError fails the job for good.  print() and logging go to the worker's log.

The worker runs it as a long-lived process (EXEC_TASKS_FILE, "mode": "lines"; docs/exec.md):

    {"python": {"argv": ["/usr/bin/python3", "/opt/tasks/jobsched_tasks.py", "my_tasks"], "directory": "/opt/tasks",
                "mode": "lines", "tasks": ["greet"]}}

    jobsched_tasks.py [--as NAME] MODULE...   serves the tasks of the modules: requests on standard input, answers on
                                              standard output, a line of JSON each
    jobsched_tasks.py --list MODULE...        prints the names of their tasks

--as NAME, any number of times: modules that import NAME get this one, so that tasks written for another system need no
change: "from app.worker.registry import task" works with --as app.worker.registry.

Standard library only, Python 3.9 or later.
"""

import importlib
import inspect
import json
import os
import re
import signal
import sys
import threading
import traceback
from types import SimpleNamespace

__all__ = ["PermanentTaskError", "RetryTaskError", "current_run", "progress", "task"]

TRACEBACK_MAX = 6000  # characters
_NUL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

_tasks = {}
_run = None
_send = None
_terminated = False


class PermanentTaskError(Exception):
    """The job cannot succeed, however often it is tried.  reason: a word of a-z, 0-9 and _ for whoever counts failures."""

    def __init__(self, *args, reason=None):
        super().__init__(*args)
        self.reason = reason


class RetryTaskError(Exception):
    """Try again, after delay seconds instead of the job's own delay."""

    def __init__(self, *args, delay=None):
        super().__init__(*args)
        self.delay = delay


def task(name):
    """Registers the decorated function as the task of that name."""
    if not isinstance(name, str) or not name:
        raise TypeError('@task needs a name: @task("name")')

    def register(function):
        if name in _tasks:
            raise ValueError(f"there are two tasks of the name {name}: {_tasks[name].__module__}.{_tasks[name].__qualname__}"
                             f" and {function.__module__}.{function.__qualname__}")
        _tasks[name] = function
        return function

    return register


def current_run():
    """What is known about the run under way, for a task that wants it: .id (of the request), .job_id, .task, .run_at (RFC 3339 text),
    .idempotency_key (the same for every attempt of a run), .attempt, .failures, .max_retries, and .deadline (RFC 3339
    text) and .time_left (seconds when it began), None without a time limit.  None outside of a task."""
    return _run


def progress(percent, text=None):
    """Shows how far the task is: percent 0..100 or None, and a few words.  Nothing happens outside of a run."""
    run = _run
    if run is not None and _send is not None:
        percent = None if percent is None else min(100.0, max(0.0, float(percent)))
        _send(json.dumps({"id": run.id, "progress": percent, "text": None if text is None else _clean(str(text))}), run)


def _encode(value):
    """JSON that the database takes, or ValueError or TypeError with the reason."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    if _NUL.search(text):
        raise ValueError("it holds a NUL character")
    text.encode()  # a lone surrogate is no character
    return text


def _clean(text):
    """Text that the database takes."""
    return text.encode(errors="backslashreplace").decode().replace("\0", "\\0")


def _error(exception, retry, reason=None, delay=None):
    lines = traceback.format_exception(type(exception), exception, exception.__traceback__)
    text = str(exception) or type(exception).__name__
    if not isinstance(exception, (PermanentTaskError, RetryTaskError)):
        text = "".join(traceback.format_exception_only(type(exception), exception)).strip()
    answer = {"error": _clean(text), "retry": retry, "traceback": _clean("".join(lines))[-TRACEBACK_MAX:]}
    if reason is not None:
        answer["reason"] = _clean(str(reason))
    if delay is not None:
        answer["retry_after"] = max(0.0, float(delay))
    return answer


def _call(request):
    """Runs the task; returns the answer's members and, when it succeeded, the result as JSON text."""
    name = request.get("task")
    function = _tasks.get(name)
    if function is None:
        known = ", ".join(sorted(_tasks)) or "none"
        return {"error": f"there is no @task({name!r}); known are: {known}", "retry": False, "reason": "unknown_task"}, None
    try:
        result = function(request.get("payload"))
    except PermanentTaskError as exception:
        return _error(exception, False, exception.reason), None
    except RetryTaskError as exception:
        return _error(exception, True, delay=exception.delay), None
    except Exception as exception:
        return _error(exception, True), None
    except SystemExit as exception:
        if _terminated:
            raise
        return _error(exception, True), None
    try:
        return {}, _encode(result)
    except (TypeError, ValueError, RecursionError) as exception:
        return {"error": f"the result of {name} is no JSON: {exception}", "retry": False, "reason": "bad_result"}, None


def _answer(request):
    global _run

    known = ("id", "job_id", "task", "run_at", "idempotency_key", "attempt", "failures", "max_retries", "deadline", "time_left")
    _run = SimpleNamespace(**{name: request.get(name) for name in known})
    answer, result = _call(request)
    _run = None
    if result is None:
        return json.dumps({"id": request["id"], **answer})
    return '{"id":%s,"result":%s}' % (json.dumps(request["id"]), result)


def _take_over_streams():
    """Requests and answers get descriptors of their own; whatever tasks, and what they start, print goes to stderr."""
    requests = os.fdopen(os.dup(0), "rb")
    answers = os.fdopen(os.dup(1), "wb")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)
    # Not the object of sys.stderr, since a task may close its sys.stdout.  Line by line, so that the log is in time.
    sys.stdout = os.fdopen(os.dup(1), "w", buffering=1, encoding="utf-8", errors="backslashreplace")
    return requests, answers


def _terminate(number, _frame):
    global _terminated

    _terminated = True
    sys.exit(128 + number)  # an exception, so that finally blocks and exit handlers run


def serve(modules):
    """Answers requests until standard input ends."""
    global _send
    signal.signal(signal.SIGTERM, _terminate)
    requests, answers = _take_over_streams()
    lock = threading.Lock()

    def send(text, run=None):
        with lock:  # a task may have threads that report progress, also after its end
            if run is not None and run is not _run:
                return
            answers.write(text.encode() + b"\n")
            answers.flush()

    _send = send
    for module in modules:
        importlib.import_module(module)
    for line in requests:
        text = _answer(json.loads(line))
        sys.stdout.flush()
        sys.stderr.flush()
        send(text)


def main(arguments):
    # Run as a program this module is __main__; what modules import must be the same one.
    this = sys.modules[__name__]
    sys.modules["jobsched_tasks"] = this
    listing = False
    while arguments and arguments[0].startswith("-"):
        option = arguments.pop(0)
        if option == "--list":
            listing = True
        elif option == "--as" and arguments:
            sys.modules[arguments.pop(0)] = this
        else:
            arguments = []
    if not arguments:
        print(inspect.cleandoc(__doc__), file=sys.stderr)
        return 2
    # The modules are looked for where the program stands and in the working directory.
    if os.getcwd() not in sys.path:
        sys.path.append(os.getcwd())
    if listing:
        for module in arguments:
            importlib.import_module(module)
        print("\n".join(sorted(_tasks)))
    else:
        serve(arguments)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
