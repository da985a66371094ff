# Every order of the ledger's steps, by model checking.
check-model:
	BUILD=$(BUILD) test/model/drain/check-model
MODELS += check-model
