# Redis refuses each command of each kind of drain, in each manner: as many as fit into four minutes; all of them: make refusals REFUSALS=0.
REFUSALS ?= 240
refusals: all
	BUILD=$(BUILD) $(PYTHON) -B test/e2e/drain/refusals.py --seed $(SEED) --seconds $(REFUSALS)
LONG += refusals
