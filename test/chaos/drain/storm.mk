# Storms over a live drain: make chaos SECONDS=600 blows once for ten minutes.
chaos: all $(BUILD)/test/fault/shim.so
	$(PYTHON) test/chaos/drain/storm.py --seed $(SEED) --seconds $(SECONDS)

storms: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/drain/storm.py --seed $(SEED) --storms $(STORMS) --seconds 20
LONG += storms

# One in which the primary fails over again and again, by three real Sentinels.
failover-storm: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/drain/failover_storm.py --seed $(SEED)
LONG += failover-storm

.PHONY: chaos
