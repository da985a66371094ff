#!/usr/bin/python3
"""refusals.py [--seed N] [--seconds 120] [--only WORD]: whole drains, each of which Redis refuses one command (refusal_sweep.py).

All cases in an order that the seed chooses, BATCH side by side, until the seconds are over; 0: all of them, some five minutes. --only: those
with this word (a command, acl, rename, before, mid, take, keep).
"""
import argparse
import pathlib
import random
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1])]
from refusal_sweep import all_cases, sweep  # noqa: E402

BATCH = 24


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    cases = [case for case in all_cases() if not options.only or options.only in case]
    random.Random(options.seed).shuffle(cases)
    end, done, failed = time.monotonic() + options.seconds, 0, 0
    while done < len(cases) and (not options.seconds or time.monotonic() < end):
        some = cases[done:done + BATCH]
        done += len(some)
        try:
            sweep(some)
        except BaseException as error:  # pytest's fail() is none of Exception
            if isinstance(error, KeyboardInterrupt):
                raise
            failed += 1
            print(f"FAILED {error}", flush=True)
    print(f"refusals: seed {options.seed}: {done} of {len(cases)} cases, {failed} batches failed")
    return 1 if failed or not done else 0


if __name__ == "__main__":
    sys.exit(main())
