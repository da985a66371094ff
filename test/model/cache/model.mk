# Every order of the steps of the cache's ring, by model checking.
check-model-cache:
	BUILD=$(BUILD) test/model/cache/check-model
MODELS += check-model-cache
