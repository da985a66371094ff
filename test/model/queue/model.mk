# Every order of the steps of a queue's hand-outs, by model checking.
check-model-queue:
	BUILD=$(BUILD) test/model/queue/check-model
MODELS += check-model-queue
