# The Nth allocation, write, send and fsync of a cache's node or backing worker fails.
check-nth-cache: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/fault/cache/cache_nth.py
LONG_BESIDE += check-nth-cache
