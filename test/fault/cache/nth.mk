# The Nth allocation, write, send and fsync of a cache's node, backing worker or manager fails.
check-nth-cache: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/fault/cache/cache_nth.py
	BUILD=$(BUILD) $(PYTHON) test/fault/cache/cache_manager_nth.py
LONG_BESIDE += check-nth-cache
