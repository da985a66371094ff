# The one worker with two threads: transfer, while it drains, fails and is killed. (The other programs have nanomsg's thread, whose
# locks the sanitizer does not see, and none of ours.)
TSAN_BUILT += build/tsan/libexec/platoon/transfer build/tsan/test/unit/test_store_sqlite_merge
check-tsan: all build-tsan
	cp $(BUILD)/platoon $(BUILD)/platoonctl build/tsan
	cp -u $(filter-out $(addprefix %/,transfer cache-node cache-backing),$(wildcard $(BUILD)/libexec/platoon/*)) build/tsan/libexec/platoon
	BUILD=build/tsan TSAN_OPTIONS=exitcode=66 scripts/lib/run-tests test_drain test_store_faults test_key_service test_store_sqlite_merge

.PHONY: check-tsan
