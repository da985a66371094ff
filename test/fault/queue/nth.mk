# The Nth allocation, write and send of a backbone worker, a queue worker and a port that takes fails.
check-nth-queue: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/fault/queue/queue_nth.py
LONG_BESIDE += check-nth-queue
