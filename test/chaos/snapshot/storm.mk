# A storm over a pipeline of snapshots: make snapshot-storms STORMS=4; make chaos blows one too.
chaos: snapshot-chaos
snapshot-chaos: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/snapshot/snapshot_storm.py --seed $(SEED) --seconds $(SECONDS)

snapshot-storms: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/snapshot/snapshot_storm.py --seed $(SEED) --storms $$((($(STORMS) + 4) / 5)) --seconds 20
LONG += snapshot-storms

.PHONY: snapshot-chaos
