# Storms over two backbones with live queues: make queue-storms STORMS=4; make chaos blows one too.
chaos: queue-chaos
queue-chaos: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/queue/queue_storm.py --seed $(SEED) --seconds $(SECONDS)

queue-storms: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/queue/queue_storm.py --seed $(SEED) --storms $$((($(STORMS) + 4) / 5)) --seconds 20
LONG += queue-storms

# One in which the primary fails over again and again, by three real Sentinels.
queue-failover-storm: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/queue/queue_failover_storm.py --seed $(SEED)
LONG += queue-failover-storm

.PHONY: queue-chaos
