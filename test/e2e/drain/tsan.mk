# The one worker with two threads: transfer, while it drains, fails and is killed. (The other programs have nanomsg's thread, whose
# locks the sanitizer does not see, and none of ours.)
check-tsan: all
	$(MAKE) BUILD=build/tsan CFLAGS="-O1 -g -fno-omit-frame-pointer" SANITIZE="-fsanitize=thread" build/tsan/libexec/platoon/transfer build/tsan/test/unit/test_store_sqlite_merge
	cp $(BUILD)/platoon $(BUILD)/platoonctl build/tsan
	cp -u $(filter-out $(addprefix %/,transfer cache-node cache-backing),$(wildcard $(BUILD)/libexec/platoon/*)) build/tsan/libexec/platoon
	BUILD=build/tsan TSAN_OPTIONS=exitcode=66 scripts/lib/run-tests test_drain test_store_faults test_key_service test_store_sqlite_merge

.PHONY: check-tsan
