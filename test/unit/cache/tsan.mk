# The log of a cache node, whose syncing is a thread's; a directory as a store, whose work is done by several, and the
# write-behind in front of it; then both workers under a platoon. What is killed at each step forks behind threads, which
# the sanitizer takes when it is told. (Nothing that is built with it is ever overwritten by what is not.)
TSAN_CACHE := test_cache_log_sync test_cache_log_clean test_cache_log_kill test_cache_behind_file $(basename $(notdir $(wildcard test/unit/cache/test_backing_file*.c)))
TSAN_WORKERS := build/tsan/libexec/platoon/cache-node build/tsan/libexec/platoon/cache-backing
check-tsan: check-tsan-cache
TSAN_BUILT += $(addprefix build/tsan/test/unit/,$(TSAN_CACHE)) $(TSAN_WORKERS)
check-tsan-cache: all build-tsan
	BUILD=build/tsan TSAN_OPTIONS=exitcode=66:die_after_fork=0 scripts/lib/run-tests $(TSAN_CACHE)
	cp $(BUILD)/platoon $(BUILD)/platoonctl build/tsan
	cp -u $(filter-out $(addprefix %/,transfer cache-node cache-backing),$(wildcard $(BUILD)/libexec/platoon/*)) build/tsan/libexec/platoon
	BUILD=build/tsan TSAN_OPTIONS=exitcode=66:suppressions=$(CURDIR)/test/unit/cache/tsan.supp scripts/lib/run-tests test_cache_store

.PHONY: check-tsan-cache
