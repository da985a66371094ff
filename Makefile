# platoon: build, test, lint, install. Needs GNU make, a C11 compiler, pkg-config and the packages in scripts/lib/packages.
#
#   make                 programs into build/: platoon, platoonctl, libexec/platoon/<type>
#   make check           unit and end-to-end tests        make check-asan   the same under ASan and UBSan
#   make check-tsan      the drain and the store with their threads under TSan
#   make V=1 …          shows the commands it runs
#   make check-long      fuzzers of every decoder, the ledger's model, the Nth call that fails, storms over a live drain
#                        (make fuzz, make check-model, make check-nth, make chaos SECONDS=600)
#   make lint            format, warnings, layers, documents against lists
#   make install DESTDIR= PREFIX=/usr/local
#
# The layers are archives, so the linker takes from common/ only what a program uses, and a heavy library is linked only
# where its name stands in a LIBS_ line below.

VERSION := 0.1.0
PREFIX ?= /usr/local
BUILD ?= build
CC ?= gcc
AR ?= ar
PKG_CONFIG ?= pkg-config
PYTHON ?= /usr/bin/python3

# msgpack-c renamed its pkg-config file in 6.0 (Debian 13).
MSGPACK := $(shell $(PKG_CONFIG) --exists msgpack-c && echo msgpack-c || echo msgpack)
PACKAGES := libuv nanomsg $(MSGPACK) hiredis libcurl openssl libconfuse sqlite3 libpq jansson libmicrohttpd
ifneq ($(MAKECMDGOALS),clean)
ifneq ($(shell $(PKG_CONFIG) --exists $(PACKAGES) && echo yes),yes)
$(error missing libraries ($(shell $(PKG_CONFIG) --print-errors --exists $(PACKAGES) 2>&1 | head -n 1)): run scripts/lib/setup build)
endif
endif

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings \
	-Wimplicit-fallthrough -Wvla -Wformat=2 -Wundef -Werror \
	$(if $(findstring clang,$(CC)),,-Wno-format-truncation)
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -DPLATOON_VERSION='"$(VERSION)"' -I. -I$(BUILD)/gen $(WARNINGS) -fno-common \
	-fstack-protector-strong $(shell $(PKG_CONFIG) --cflags $(PACKAGES)) $(CFLAGS) $(SANITIZE) $(FAULTS)
ALL_LDFLAGS := -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(findstring clang,$(CC)),,-static-libgcc) $(LDFLAGS) $(SANITIZE)

# Which libraries a program may use (ARCHITECTURE section 2: heavy ones only where they are needed).
LIBS_CORE := libuv $(MSGPACK)
LIBS_WORKER := $(LIBS_CORE) nanomsg
LIBS_platoon := $(LIBS_CORE) libconfuse
LIBS_platoonctl := $(LIBS_CORE) libconfuse jansson
LIBS_command := $(LIBS_WORKER)
LIBS_port := $(LIBS_WORKER) jansson
LIBS_health := $(LIBS_WORKER) libmicrohttpd
LIBS_send := $(LIBS_WORKER) hiredis openssl
LIBS_watcher := $(LIBS_WORKER) hiredis openssl
LIBS_get-set := $(LIBS_WORKER) hiredis openssl
LIBS_get-hash := $(LIBS_WORKER) hiredis openssl
LIBS_transfer := $(LIBS_WORKER) sqlite3 libpq libcurl jansson
LIBS_report := $(LIBS_WORKER) sqlite3 libpq

libs = $(shell $(PKG_CONFIG) --libs $(1)) -lm

# One short line a step; `make V=1` shows whole commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' $(1) $(2))

# The types that are programs of ours, in the order of proto/worker_types.h.
TYPES := $(filter-out custom,$(shell sed -n 's/^ *X.[A-Z_]*, "\([a-z-]*\)", [A-Z]*, .*/\1/p' proto/worker_types.h))
# Where the sources are: a room is a folder.
sources = $(sort $(shell find $(1) -name '*.c'))
CTL_MAIN := master/ctl/platoonctl.c
CTL_FILES := $(filter-out $(CTL_MAIN),$(call sources,master/ctl))
MASTER_FILES := $(filter-out master/platoon.c $(CTL_MAIN) $(CTL_FILES),$(call sources,master))
SKELETON_MAIN := workers/skeleton/worker_main.c
type_file = $(wildcard workers/*/$(subst -,_,$(1)).c)
TYPE_FILES := $(foreach t,$(TYPES),$(call type_file,$(t)))
WORKER_PARTS := $(filter-out $(TYPE_FILES) $(SKELETON_MAIN),$(call sources,workers))

objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(1))
COMMON := $(BUILD)/libcommon.a
PROTO := $(BUILD)/libproto.a
MASTER := $(BUILD)/libmaster.a
CTL := $(BUILD)/libctl.a
WORKER := $(BUILD)/libworker.a

PROGRAMS := $(BUILD)/platoon $(BUILD)/platoonctl $(foreach t,$(TYPES),$(BUILD)/libexec/platoon/$(t))

.PHONY: all
all: $(PROGRAMS)

$(COMMON): $(call objects,$(call sources,common))
$(PROTO): $(call objects,$(call sources,proto)) $(BUILD)/obj/gen/ledger_scripts.o
$(MASTER): $(call objects,$(MASTER_FILES))
$(CTL): $(call objects,$(CTL_FILES))
$(WORKER): $(call objects,$(WORKER_PARTS))
$(COMMON) $(PROTO) $(MASTER) $(CTL) $(WORKER):
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)$(AR) rcs $@ $^

$(BUILD)/obj/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# The Lua scripts become C text; lib.lua stands in front of each (proto/drain/ledger.h).
LUA := $(filter-out proto/drain/lib.lua,$(wildcard proto/drain/*.lua))
$(BUILD)/gen/ledger_scripts.c: proto/drain/lib.lua $(LUA) scripts/lib/embed
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)scripts/lib/embed proto/drain/lib.lua $(LUA) > $@.tmp && mv $@.tmp $@
$(BUILD)/obj/gen/ledger_scripts.o: $(BUILD)/gen/ledger_scripts.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/platoon: $(BUILD)/obj/master/platoon.o $(MASTER) $(PROTO) $(COMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(LIBS_platoon))
$(BUILD)/platoonctl: $(call objects,$(CTL_MAIN)) $(CTL) $(MASTER) $(PROTO) $(COMMON)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(LIBS_platoonctl))

# A worker program: its own file, the skeleton, and what it uses of its prefix.
define worker_rule
$(BUILD)/libexec/platoon/$(1): $(call objects,$(call type_file,$(1)) $(SKELETON_MAIN)) $(WORKER) $(PROTO) $(COMMON)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(call libs,$$(LIBS_$(1)))
endef
$(foreach t,$(TYPES),$(eval $(call worker_rule,$(t))))

# ---- tests ----

UNIT_FILES := $(sort $(wildcard test/unit/*/test_*.c))
UNIT := $(addprefix $(BUILD)/test/unit/,$(basename $(notdir $(UNIT_FILES))))
UNIT_SUPPORT := $(call objects,$(filter-out $(UNIT_FILES),$(call sources,test/unit)))
define unit_rule
$(BUILD)/test/unit/$(basename $(notdir $(1))): $(call objects,$(1)) $(UNIT_SUPPORT) $(WORKER) $(CTL) $(MASTER) $(PROTO) $(COMMON)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(call libs,$$(PACKAGES) check)
endef
$(foreach f,$(UNIT_FILES),$(eval $(call unit_rule,$(f))))
.SECONDARY:

.PHONY: unit check check-asan check-tsan check-asan-unit faults lint clean install
unit: $(UNIT)

# Fault points (common/fault.h) exist only in this build; the end-to-end tests that kill workers at named steps use it.
faults:
	$(MAKE) BUILD=$(BUILD)/faults FAULTS=-DPLATOON_FAULTS SANITIZE="$(SANITIZE)" all

check: all unit faults
	BUILD=$(BUILD) PYTHON=$(PYTHON) scripts/lib/run-tests

check-asan:
	BUILD=build/asan UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=16 \
	$(MAKE) BUILD=build/asan CFLAGS="-O1 -g -fno-omit-frame-pointer" SANITIZE="-fsanitize=address,undefined" check

# The one worker with two threads: transfer, while it drains, fails and is killed. (The other programs have nanomsg's thread, whose
# locks the sanitizer does not see, and none of ours.)
check-tsan: all
	$(MAKE) BUILD=build/tsan CFLAGS="-O1 -g -fno-omit-frame-pointer" SANITIZE="-fsanitize=thread" build/tsan/libexec/platoon/transfer build/tsan/test/unit/test_store_sqlite_merge
	cp $(BUILD)/platoon $(BUILD)/platoonctl build/tsan
	cp -u $(filter-out %/transfer,$(wildcard $(BUILD)/libexec/platoon/*)) build/tsan/libexec/platoon
	BUILD=build/tsan TSAN_OPTIONS=exitcode=66 scripts/lib/run-tests test_drain test_store_faults test_key_service test_store_sqlite_merge

# The unit suites alone, for a quick look.
check-asan-unit:
	$(MAKE) BUILD=build/asan CFLAGS="-O1 -g -fno-omit-frame-pointer" SANITIZE="-fsanitize=address,undefined" unit
	BUILD=build/asan scripts/lib/run-tests unit

# ---- long tests: what make check has no time for ----

# Fuzzers of every decoder (libFuzzer, hence clang), SECONDS each; test/fuzz/*/corpus holds what they start from.
SECONDS ?= 60
SEED ?= 1
STORMS ?= 30
FUZZER_FILES := $(sort $(wildcard test/fuzz/*/fuzz_*.c))
FUZZERS := $(addprefix $(BUILD)/test/fuzz/,$(basename $(notdir $(FUZZER_FILES))))
define fuzzer_rule
$(BUILD)/test/fuzz/$(basename $(notdir $(1))): $(call objects,$(1)) $(WORKER) $(MASTER) $(PROTO) $(COMMON)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -fsanitize=fuzzer -o $$@ $$^ $$(call libs,$$(PACKAGES))
endef
$(foreach f,$(FUZZER_FILES),$(eval $(call fuzzer_rule,$(f))))

.PHONY: fuzz fuzzers chaos check-model check-nth storms check-long
fuzzers: $(FUZZERS)
fuzz:
	$(MAKE) CC=clang BUILD=build/fuzz CFLAGS="-O1 -g -fno-omit-frame-pointer" SANITIZE="-fsanitize=address,undefined,fuzzer-no-link" fuzzers
	scripts/lib/run-fuzz build/fuzz/test/fuzz $(SECONDS)

# Storms over a live drain: make chaos SECONDS=600 blows once for ten minutes.
chaos: all $(BUILD)/test/fault/shim.so
	$(PYTHON) test/chaos/drain/storm.py --seed $(SEED) --seconds $(SECONDS)

# The Nth allocation, write, send and fsync fails, for every N of one drain.
$(BUILD)/test/fault/shim.so: test/fault/shim.c Makefile
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) -O1 -g -shared -fPIC -o $@ $< -ldl
check-nth: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/fault/drain/nth.py

# Every order of the ledger's steps, by model checking.
check-model:
	BUILD=$(BUILD) test/model/drain/check-model

storms: all $(BUILD)/test/fault/shim.so
	BUILD=$(BUILD) $(PYTHON) test/chaos/drain/storm.py --seed $(SEED) --storms $(STORMS) --seconds 20

# With -k one failure does not hide the others.
check-long: fuzz check-model check-nth storms

# What scripts/bench measures beside platoon.
.PHONY: bench bench-messages bench-supervision
bench: $(patsubst scripts/bench/%.c,$(BUILD)/bench/%,$(wildcard scripts/bench/ceiling_*.c))
bench-messages: $(BUILD)/bench/messages_worker $(BUILD)/bench/messages_peers
bench-supervision: $(BUILD)/bench/supervised $(BUILD)/bench/supervision_floor $(BUILD)/bench/supervision_worker
$(BUILD)/bench/supervision_worker: $(call objects,scripts/bench/supervision_worker.c $(SKELETON_MAIN)) $(WORKER) $(PROTO) $(COMMON)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(LIBS_WORKER))
$(BUILD)/bench/supervised $(BUILD)/bench/supervision_floor: $(BUILD)/bench/%: $(BUILD)/obj/scripts/bench/%.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^
$(BUILD)/bench/messages_worker: $(call objects,scripts/bench/messages_worker.c $(SKELETON_MAIN)) $(WORKER) $(PROTO) $(COMMON)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,$(LIBS_WORKER))
$(BUILD)/bench/messages_peers: $(call objects,scripts/bench/messages_peers.c)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,nanomsg libzmq)
$(BUILD)/bench/%: $(BUILD)/obj/scripts/bench/%.o $(COMMON)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,hiredis sqlite3 libpq)

lint: all
	BUILD=$(BUILD) scripts/lib/lint

clean:
	rm -rf build

# ---- install ----

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/libexec/platoon $(DESTDIR)$(PREFIX)/share/doc/platoon \
		$(DESTDIR)$(PREFIX)/share/man/man1 $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8 \
		$(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/lib/systemd/system \
		$(DESTDIR)$(PREFIX)/lib/sysusers.d
	install -m 755 $(BUILD)/platoon $(BUILD)/platoonctl $(DESTDIR)$(PREFIX)/bin
	install -m 755 $(foreach t,$(TYPES),$(BUILD)/libexec/platoon/$(t)) $(DESTDIR)$(PREFIX)/libexec/platoon
	scripts/lib/install-worker $(BUILD) $(VERSION) "$(DESTDIR)" $(PREFIX) "libuv nanomsg $(MSGPACK)"
	install -m 644 README.md proto/PROTOCOL.md etc/platoon.conf LICENSE $(DESTDIR)$(PREFIX)/share/doc/platoon
	install -m 644 etc/man/platoonctl.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 etc/man/platoon.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 etc/man/platoon.8 $(DESTDIR)$(PREFIX)/share/man/man8
	sed 's@/usr/local/@$(PREFIX)/@' etc/systemd/platoon.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/platoon.service
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/platoon.service
	install -m 644 etc/systemd/platoon.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/platoon.conf
	install -m 644 etc/completion/platoonctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/platoonctl

-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
