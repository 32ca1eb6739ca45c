#!/usr/bin/python3
"""Random cron expressions with the next time that croniter, an independent implementation, gives: for 015_cron_zones.pl.

usage: croniter_times.py COUNT SEED

Prints expression, zone, after, next (both in UTC), separated by tabs; only what both languages have, written as croniter takes
it.  Left out, for the reason said:

- times within two days of a change of the zone's offset: croniter steps over gaps by its own rules, and finds times in
  overlaps twice or not at all;
- its own way across a change, even one months before the time found: it is an hour off there ("* * 5-8 6 *" in Santiago
  from February on gives June 5, 1:00), so it is asked on the local clock, without a zone;
- day fields that name every value without being "*", like 1-31, */1 or 0-6: croniter takes them for unrestricted, POSIX and we
  do not;
- steps in the day of week that run up to 7, where croniter counts Sunday twice or drops it; ranges that wrap;
- times from the end of February on, of days 1 or 2 together with 30 or 31: it takes the next "30" for March 2 and so misses
  March 1 ("4 * 8,*/10,19 * *" on 2019-02-22 gives March 8);
- L, W and #, which it has only in part, and seconds, which it wants at the end;
- expressions it gives up on (CroniterBadDateError): it looks 50 years ahead and no more, by days.
"""
import random
import sys
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from croniter import croniter, CroniterBadDateError

ZONES = """UTC Europe/Berlin America/New_York America/St_Johns Australia/Lord_Howe Antarctica/Troll Pacific/Chatham
America/Nuuk Pacific/Apia Africa/Casablanca Asia/Kathmandu Asia/Tokyo Africa/Cairo America/Santiago Pacific/Kiritimati
Pacific/Marquesas""".split()
RANGES = {"minute": (0, 59), "hour": (0, 23), "day": (1, 31), "month": (1, 12), "weekday": (0, 6)}
NAMES = {
    "month": "jan feb mar apr may jun jul aug sep oct nov dec".split(),
    "weekday": "sun mon tue wed thu fri sat".split(),
}


def value(kind, number):
    low, _ = RANGES[kind]
    if kind in NAMES and random.random() < 0.3:
        return NAMES[kind][number - low]
    return str(number)


def member(kind):
    low, high = RANGES[kind]
    a, b = sorted(random.sample(range(low, high + 1), 2))
    if kind in ("day", "weekday") and (a, b) == (low, high):
        b -= 1
    shape = random.random()
    if shape < 0.15:
        return f"*/{random.randint(2, high // 2)}"
    if shape < 0.25:
        return f"{a}-{b}/{random.randint(2, 5)}" if b - a >= 5 else str(a)
    if shape < 0.5:
        return f"{value(kind, a)}-{value(kind, b)}"
    return value(kind, a)


def admitted(kind, text):
    """The values of a field."""
    low, high = RANGES[kind]
    names = {n: str(low + i) for i, n in enumerate(NAMES.get(kind, []))}
    values = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        first, last = names.get(first, first), names.get(last, last)
        if first == "*":
            first, last = low, high
        values |= set(range(int(first), int(last or first) + 1, int(step or 1)))
    return values


def field(kind, star):
    if random.random() < star:
        return "*"
    text = ",".join(member(kind) for _ in range(random.choice((1, 1, 1, 2, 3))))
    low, high = RANGES[kind]
    if kind in ("day", "weekday") and len(admitted(kind, text)) == high - low + 1:
        return "*"
    return text


def february_jumped(expr, after, found):
    day = expr.split()[2]
    days = admitted("day", day)
    if day == "*" or not days & {1, 2} or not days & {30, 31}:
        return False
    return any(after < datetime(y, 3, 3) and found >= datetime(y, 3, 1) for y in range(after.year, found.year + 1))


def changes_near(zone, time):
    days = [(time + timedelta(days=d)).astimezone(zone).utcoffset() for d in range(-2, 3)]
    return len(set(days)) > 1


def main():
    count, seed = int(sys.argv[1]), int(sys.argv[2])
    random.seed(seed)
    printed = 0
    while printed < count:
        expr = " ".join((field("minute", 0.2), field("hour", 0.4), field("day", 0.5), field("month", 0.6), field("weekday", 0.5)))
        name = random.choice(ZONES)
        zone = ZoneInfo(name)
        after = datetime(1990, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=random.randrange(45 * 365 * 86400))
        try:
            start = after.astimezone(zone).replace(tzinfo=None)
            local = croniter(expr, start).get_next(datetime)
            found = local.replace(tzinfo=zone).astimezone(timezone.utc)
        except CroniterBadDateError:
            continue
        if changes_near(zone, after) or changes_near(zone, found) or february_jumped(expr, start, local):
            continue
        printed += 1
        print(expr, name, after.isoformat(), found.isoformat(), sep="\t")


main()
