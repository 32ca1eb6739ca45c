"""Example tasks: functions with a name, as they are written for the original system."""

import hashlib
import re

from jobsched_tasks import PermanentTaskError, task


@task("top_words")
def top_words(payload):
    """{"text": "..."}, or the text itself: how many words, and the most frequent ones."""
    text = payload.get("text") if isinstance(payload, dict) else payload
    if not isinstance(text, str):
        raise PermanentTaskError("payload.text: a string is needed")
    words = re.findall(r"\w+", text.lower())
    counts = {}
    for word in words:
        counts[word] = counts.get(word, 0) + 1
    top = sorted(counts, key=lambda word: (-counts[word], word))[:3]
    return {"words": len(words), "top": top}


@task("checksum")
def checksum(payload):
    """{"path": "/..."}: SHA-256 of a file.  That it is not there may change: the job is tried again."""
    if not isinstance(payload, dict) or "path" not in payload:
        raise PermanentTaskError("payload.path is needed")
    print("reading", payload["path"])
    with open(payload["path"], "rb") as file:
        data = file.read()
    return {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
