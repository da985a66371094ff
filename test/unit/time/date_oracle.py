"""date_oracle.py SEED COUNT: random dates in words, and what they are, by Python's own calendar and zones.

One line each: ZONE <tab> now <tab> text <tab> what isoformat makes of it. Read by test_date_words.c.
"""
import datetime
import random
import sys
import zoneinfo

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "America/Sao_Paulo", "Africa/Casablanca", "UTC",
         "Africa/Cairo")
NUMBERS = "a an one two three four five six seven eight nine ten eleven twelve".split()
WEEKDAYS = "monday tuesday wednesday thursday friday saturday sunday".split()
MONTHS = "january february march april may june july august september october november december".split()
UTC = datetime.timezone.utc


def shown(naive, zone):
    """The first moment at which clocks show the time or more."""
    for fold in (0, 1):
        aware = naive.replace(tzinfo=zone, fold=fold)
        if aware.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == naive:
            return aware.astimezone(UTC)
    at = naive.replace(tzinfo=UTC) - datetime.timedelta(hours=26)
    while at.astimezone(zone).replace(tzinfo=None) < naive:
        at += datetime.timedelta(minutes=1)
    return at


def months_on(day, count):
    month = day.year * 12 + day.month - 1 + count
    first = datetime.date(month // 12, month % 12 + 1, 1)
    days = (datetime.date((month + 1) // 12, (month + 1) % 12 + 1, 1) - first).days
    return first.replace(day=min(day.day, days))


def relative(r, day):
    count = r.choice([r.randrange(0, 400), r.randrange(1, 13)])
    word = str(count)
    if 1 <= count <= 12 and r.random() < 0.5:
        word = NUMBERS[count + 1] if count > 1 else r.choice(NUMBERS[:3])
    unit = r.choice(["day", "week", "month", "year"])
    if unit == "year":
        count, word = 3, "three"
    sign, form = r.choice([(-1, "{} {} ago"), (-1, "{} {} back"), (1, "in {} {}"), (1, "{} {} from now")])
    found = day + datetime.timedelta(days=sign * count * (7 if unit == "week" else 1)) if unit in ("day", "week") \
        else months_on(day, sign * count * (12 if unit == "year" else 1))
    return form.format(word, unit + r.choice(["", "s"])), found


def weekday(r, day):
    name = r.randrange(7)
    word = r.choice(["", "last ", "next "])
    step = datetime.timedelta(days=-1 if word == "last " else 1)
    found = day + step
    while found.weekday() != name:
        found += step
    return word + r.choice([WEEKDAYS[name], WEEKDAYS[name][:3]]), found


def turn(r, day):
    word, sign = r.choice([("last", -1), ("next", 1)])
    unit = r.choice(["week", "month", "year"])
    if unit == "week":
        found = day - datetime.timedelta(days=day.weekday()) + sign * datetime.timedelta(days=7)
    else:
        found = months_on(day.replace(day=1), sign) if unit == "month" else datetime.date(day.year + sign, 1, 1)
    return f"{word} {unit}", found


def written(r, _day):
    d = datetime.date(r.randrange(1950, 2090), 1, 1) + datetime.timedelta(days=r.randrange(365))
    month = MONTHS[d.month - 1]
    name = r.choice([month, month[:3]])
    return r.choice([d.isoformat(), f"{d.month}/{d.day}/{d.year}", f"{d.day} {name} {d.year}", f"{name} {d.day}, {d.year}"]), d


def named(r, day):
    return r.choice([("today", day), ("yesterday", day - datetime.timedelta(days=1)), ("tomorrow", day + datetime.timedelta(days=1))])


def clock(r):
    t = datetime.time(r.randrange(24), r.randrange(60), r.randrange(60))
    half = "am" if t.hour < 12 else "pm"
    return r.choice([("", datetime.time()), (f"{t.hour:02}:{t.minute:02}", t.replace(second=0)), (t.isoformat(), t),
                     (f"{t.hour}:{t.minute:02}", t.replace(second=0)),
                     (f"{(t.hour + 11) % 12 + 1}{half}", datetime.time(t.hour)),
                     (f"{(t.hour + 11) % 12 + 1}:{t.minute:02}{half}", t.replace(second=0))])


def iso(r, zone):
    d = datetime.datetime(r.randrange(1950, 2090), 1, 1) + datetime.timedelta(seconds=r.randrange(365 * 86400))
    if r.random() < 0.5:
        d = d.replace(microsecond=r.randrange(1000000))
    offset = r.choice([None, 0, r.randrange(-840, 840)])
    if offset is None:
        return d.isoformat(r.choice("T ")), shown(d, zone) if d.microsecond == 0 else None
    d = d.replace(tzinfo=datetime.timezone(datetime.timedelta(minutes=offset)))
    text = d.isoformat(r.choice("T "))
    return text.replace("+00:00", "Z") if offset == 0 else text, d.astimezone(UTC)


def main():
    r = random.Random(int(sys.argv[1]))
    zones = {name: zoneinfo.ZoneInfo(name) for name in ZONES}
    done = 0
    while done < int(sys.argv[2]):
        name = r.choice(ZONES)
        zone = zones[name]
        now = r.randrange(1262304000, 2145916800)
        if r.random() < 0.2:
            text, found = iso(r, zone)
        else:
            local = datetime.datetime.fromtimestamp(now, zone)
            text, day = r.choice([relative, weekday, turn, written, named])(r, local.date())
            word, time = clock(r)
            text = r.choice([f"{text} {word}", f"{text} at {word}", f"{word} {text}"]) if word else text
            found = shown(datetime.datetime.combine(day, time), zone)
        if found is None:
            continue
        done += 1
        print(name, now, r.choice([text, text.upper(), text.title()]), found.astimezone(zone).isoformat(), sep="\t")


main()
