"""The platoon of the cache suites: what its tool asks has the time that a busy machine may need for once."""
from platoon_fixture import Platoon

OWN_TIME = {"start", "stop", "restart", "reload", "scale", "wait", "cache wait", "cache dump"}  # these have a minute and more


class CachePlatoon(Platoon):
    def ctl(self, *words, **options):
        """A question gets longer than the tool's 5 s: who says nothing of time promises nothing of it. Where an answer is to come late a test says --timeout."""
        verb = [word for word in words if not word.startswith("-")]
        if "--timeout" not in words and not {verb[0], " ".join(verb[:2])} & OWN_TIME:
            words = ("--timeout", "40s", *words)
        return super().ctl(*words, **options)
