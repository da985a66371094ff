# The Nth allocation, write, send and fsync fails, for every N of one drain.
check-nth: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/fault/drain/nth.py
LONG_BESIDE += check-nth
