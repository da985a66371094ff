"""A platoon whose tool has patience: for suites that ask much, beside others on a busy machine."""
from platoon_fixture import SCALE, Platoon


class PatientPlatoon(Platoon):
    """
    A question of people's has 5 s, which the machine may need for once: a test that asks what becomes of it, and not how fast, asks for longer than any verb
    has by itself. Who says how long means it.
    """

    def ctl(self, *words, **options):
        return super().ctl(*(() if "--timeout" in words else ("--timeout", f"{80 * SCALE}s")), *words, **options)
