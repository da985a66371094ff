# Storms over a live cache with a directory as its store: make cache-storms STORMS=20; make chaos blows one too.
chaos: cache-chaos ring-chaos
cache-chaos: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/cache/cache_storm.py --seed $(SEED) --seconds $(SECONDS)

ring-chaos: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/cache/ring_storm.py --seed $(SEED) --seconds $(SECONDS)

cache-storms: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/cache/cache_storm.py --seed $(SEED) --storms $$((($(STORMS) + 1) / 2)) --seconds 20
LONG += cache-storms

# A ring of nodes has the other half of them.
ring-storms: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/cache/ring_storm.py --seed $(SEED) --storms $$((($(STORMS) + 1) / 2)) --seconds 20
LONG += ring-storms

.PHONY: cache-chaos ring-chaos
