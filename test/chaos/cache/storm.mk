# Storms over a live cache with a directory as its store: make cache-storms STORMS=20; make chaos blows one too.
chaos: cache-chaos
cache-chaos: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/cache/cache_storm.py --seed $(SEED) --seconds $(SECONDS)

cache-storms: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/cache/cache_storm.py --seed $(SEED) --storms $(STORMS) --seconds 20
LONG += cache-storms

.PHONY: cache-chaos
