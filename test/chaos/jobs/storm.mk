# Storms over jobs: make jobs-storms STORMS=4; make chaos blows one too.
chaos: jobs-chaos
jobs-chaos: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/jobs/jobs_storm.py --seed $(SEED) --seconds $(SECONDS)

jobs-storms: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/jobs/jobs_storm.py --seed $(SEED) --storms $$((($(STORMS) + 4) / 5)) --seconds 20
LONG += jobs-storms

# One in which the primary fails over again and again, by three real Sentinels.
jobs-failover-storm: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/jobs/jobs_failover_storm.py --seed $(SEED)
LONG += jobs-failover-storm

.PHONY: jobs-chaos
