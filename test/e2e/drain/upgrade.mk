# `platoonctl upgrade` from revision 06119dc, which is built from git's history, and from this build to itself, with a drain under load.
check-upgrade: all
	BUILD=$(BUILD) $(PYTHON) -B test/golden/upgrade_from.py
LONG_BESIDE += check-upgrade
