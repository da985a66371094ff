# Every order of the steps of a job's life, by model checking.
check-model-jobs:
	BUILD=$(BUILD) test/model/jobs/check-model
MODELS += check-model-jobs
