# The gate's handshakes, each a thread of libei's beside the loop. (The other threads of the gate are nanomsg's.)
TSAN_BUILT += build/tsan/test/unit/test_erlang_handshake
check-tsan: check-tsan-erlang
check-tsan-erlang: build-tsan
	BUILD=build/tsan TSAN_OPTIONS=exitcode=66:suppressions=$(CURDIR)/test/unit/erlang/tsan.supp scripts/lib/run-tests test_erlang_handshake

.PHONY: check-tsan-erlang
