# The Nth allocation, write and send of a keeper, a collector and a sanjer fails.
check-nth-jobs: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/fault/jobs/jobs_nth.py
LONG_BESIDE += check-nth-jobs
