# platoon: build, test, lint, install. Needs GNU make, a C11 compiler, pkg-config and the packages in scripts/lib/packages.
#
#   make                 programs into build/: platoon, platoonctl, libexec/platoon/<type>
#   make check           unit and end-to-end tests        make check-asan   the same under ASan and UBSan
#   make check-tsan      the drain and the store with their threads under TSan
#   make V=1 …          shows the commands it runs
#   make check-long      fuzzers of every decoder, the ledger's model, the Nth call that fails, storms, fail-overs, refused drains, the upgrade from 06119dc
#                        (make fuzz, make check-model, make check-nth, make chaos SECONDS=600, make check-upgrade, make check-systems)
#   make lint            format, warnings, rooms, documents against lists
#   make docs            writes sample, manual pages and completion from the lists and each system's prose
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
# No rule but those below: a built-in one would link build/gen/scripts_x.d.d for the list of dependencies.
MAKEFLAGS += --no-builtin-rules

# msgpack-c renamed its pkg-config file in 6.0 (Debian 13).
MSGPACK := $(shell $(PKG_CONFIG) --exists msgpack-c && echo msgpack-c || echo msgpack)
PACKAGES := libuv nanomsg $(MSGPACK) hiredis libcurl openssl libconfuse sqlite3 libpq jansson libmicrohttpd libgit2 libmariadb
# libei (erlang-dev) has no file for pkg-config, and a folder of its version: the newest, of Debian's or another Erlang's.
EI ?= $(lastword $(sort $(dir $(wildcard $(foreach d,/usr/lib/erlang /usr/local/lib/erlang,$(d)/lib/erl_interface-*/lib/libei.a)))))
ifneq ($(MAKECMDGOALS),clean)
ifeq ($(wildcard $(EI)libei.a),)
$(error missing library libei.a (Debian: erlang-dev): run scripts/lib/setup build, or say where it is, EI=/opt/erlang/lib/erl_interface-5.3/lib/)
endif
# Nor has libwslay in Debian.
ifeq ($(wildcard /usr/include/wslay/wslay.h /usr/local/include/wslay/wslay.h),)
$(error missing library libwslay (Debian: libwslay-dev): run scripts/lib/setup build)
endif
ifneq ($(shell $(PKG_CONFIG) --exists $(PACKAGES) && echo yes),yes)
$(error missing libraries ($(shell $(PKG_CONFIG) --print-errors --exists $(PACKAGES) 2>&1 | head -n 1)): run scripts/lib/setup build)
endif
endif

CFLAGS ?= -O2 -g
WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wwrite-strings \
	-Wimplicit-fallthrough -Wvla -Wformat=2 -Wundef -Werror \
	$(if $(findstring clang,$(CC)),,-Wno-format-truncation)
ALL_CFLAGS := -std=c11 -D_GNU_SOURCE -DPLATOON_VERSION='"$(VERSION)"' -I. -I$(BUILD)/gen $(WARNINGS) -fno-common \
	-fstack-protector-strong $(shell $(PKG_CONFIG) --cflags $(filter-out libmariadb,$(PACKAGES))) -isystem $(EI)../include $(CFLAGS) $(SANITIZE) $(FAULTS)
ALL_LDFLAGS := -Wl,-z,relro,-z,now -Wl,--as-needed $(if $(findstring clang,$(CC)),,-static-libgcc) $(LDFLAGS) $(SANITIZE)

# Which libraries a program may use (ARCHITECTURE, The rooms: heavy ones only where they are needed). Worker types and theirs: workers/<room>/libs.mk.
LIBS_CORE := libuv $(MSGPACK)
LIBS_WORKER := $(LIBS_CORE) nanomsg
LIBS_platoon := $(LIBS_CORE) libconfuse
LIBS_platoonctl := $(LIBS_CORE) libconfuse jansson
TYPES :=
# Programs beside them in libexec that workers run: theirs is a file with a main of its own.
TOOLS :=
include $(sort $(wildcard workers/*/libs.mk workers/*/*/libs.mk))

libs = $(shell $(PKG_CONFIG) --libs $(filter-out ei wslay,$(1))) $(if $(filter ei,$(1)),$(EI)libei.a) $(if $(filter wslay,$(1)),-lwslay) -lm

# One short line a step; `make V=1` shows whole commands.
Q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-4s %s\n' $(1) $(2))

# Where the sources are: a room is a folder (scripts/lib/rooms says what each is for).
sources = $(sort $(shell find $(1) -name '*.c'))
CTL_MAIN := master/ctl/platoonctl.c
CTL_FILES := $(filter-out $(CTL_MAIN),$(call sources,master/ctl))
MASTER_FILES := $(filter-out master/platoon.c $(CTL_MAIN) $(CTL_FILES),$(call sources,master))
SKELETON_MAIN := workers/skeleton/worker_main.c
type_file = $(wildcard workers/*/$(subst -,_,$(1)).c workers/*/*/$(subst -,_,$(1)).c)
TYPE_FILES := $(foreach t,$(TYPES) $(TOOLS),$(call type_file,$(t)))
WORKER_PARTS := $(filter-out $(TYPE_FILES) $(SKELETON_MAIN),$(call sources,workers))

# What is made of the lists of all systems (proto/systems.h) before anything is compiled.
ABSENT := $(BUILD)/gen/proto/absent_lists.h
# The systems that have Lua scripts.
SCRIPTED := $(patsubst proto/%/,%,$(sort $(dir $(wildcard proto/*/*.lua))))
# Those whose scripts are functions of a library too, which everybody may call.
FUNCTIONS := $(filter queue,$(SCRIPTED))

# The build with fault points (make faults) compiles only what has any; everything else it takes as the build beside it, PLAIN, has compiled it. A header
# with fault points would be compiled into others, so none may have any.
PLAIN := $(BUILD)
HAS_FAULTS := $(if $(FAULTS),$(shell grep -rl '^#include "common/fault.h"' --include=*.c common proto master workers))
ifneq ($(if $(FAULTS),$(shell grep -rl '^#include "common/fault.h"' --include=*.h common proto master workers)),)
$(error common/fault.h is included by a header: include it in the .c files that have fault points)
endif
objects = $(patsubst %.c,$(BUILD)/obj/%.o,$(filter $(HAS_FAULTS),$(1))) $(patsubst %.c,$(PLAIN)/obj/%.o,$(filter-out $(HAS_FAULTS),$(1)))
COMMON := $(BUILD)/libcommon.a
PROTO := $(BUILD)/libproto.a
MASTER := $(BUILD)/libmaster.a
CTL := $(BUILD)/libctl.a
WORKER := $(BUILD)/libworker.a

PROGRAMS := $(BUILD)/platoon $(BUILD)/platoonctl $(foreach t,$(TYPES) $(TOOLS),$(BUILD)/libexec/platoon/$(t))

.PHONY: all
all: $(PROGRAMS) $(BUILD)/lists.json $(BUILD)/share/platoon/python/.made

# What workers run in Python, found beside libexec/platoon here as where it is installed.
PYTHON_FILES := $(shell find workers/*/python -name '*.py')
$(BUILD)/share/platoon/python/.made: $(PYTHON_FILES)
	@rm -rf $(@D) && mkdir -p $(@D)
	$(call say,CP,$(@D))
	$(Q)for folder in $(wildcard workers/*/python); do cp -R $$folder/. $(@D) || exit 1; done
	@rm -rf $(@D)/__pycache__ && touch $@

$(COMMON): $(call objects,$(call sources,common))
$(PROTO): $(call objects,$(call sources,proto)) $(patsubst %,$(BUILD)/obj/gen/scripts_%.o,$(SCRIPTED)) \
	$(patsubst %,$(BUILD)/obj/gen/functions_%.o,$(FUNCTIONS))
$(MASTER): $(call objects,$(MASTER_FILES))
$(CTL): $(call objects,$(CTL_FILES))
$(WORKER): $(call objects,$(WORKER_PARTS)) $(BUILD)/obj/gen/web_client.o
$(COMMON) $(PROTO) $(MASTER) $(CTL) $(WORKER):
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR,$@)
	$(Q)$(AR) rcs $@ $^

$(ABSENT): proto/systems.h $(wildcard proto/*/*.h) scripts/lib/absent-lists
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)scripts/lib/absent-lists > $@.tmp && mv $@.tmp $@
$(BUILD)/obj/%.o: %.c Makefile | $(ABSENT)
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# Its headers have a folder of their own, which nobody else is to look into: mysql.h is a common name.
$(BUILD)/obj/workers/jobs/store/job_table.o: ALL_CFLAGS += $(shell $(PKG_CONFIG) --cflags libmariadb)

# The lists as JSON, for all that is not C.
$(BUILD)/lists: $(BUILD)/obj/scripts/lib/lists.o
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^
$(BUILD)/lists.json: $(BUILD)/lists
	$(call say,GEN,$@)
	$(Q)$< > $@.tmp && mv $@.tmp $@

# The Lua scripts of a system become C text (proto/redis/redis_script.h).
$(patsubst %,$(BUILD)/gen/scripts_%.c,$(SCRIPTED)): $(BUILD)/gen/scripts_%.c: $(BUILD)/lists $(wildcard proto/*/*.lua) scripts/lib/embed
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q)$< scripts $* > $@.list && scripts/lib/embed < $@.list > $@.tmp && mv $@.tmp $@
# And the library, as it is installed and as C text.
$(patsubst %,$(BUILD)/gen/functions_%.c,$(FUNCTIONS)): $(BUILD)/gen/functions_%.c: $(BUILD)/lists $(wildcard proto/*/*.lua) scripts/lib/functions
	@mkdir -p $(@D) $(BUILD)/share/redis
	$(call say,GEN,$@)
	$(Q)$< scripts $* > $@.list && scripts/lib/functions $* $(BUILD)/share/redis < $@.list > $@.tmp && mv $@.tmp $@
$(patsubst %,$(BUILD)/obj/gen/scripts_%.o,$(SCRIPTED)) $(patsubst %,$(BUILD)/obj/gen/functions_%.o,$(FUNCTIONS)): $(BUILD)/obj/gen/%.o: $(BUILD)/gen/%.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

# The module that web serves to pages becomes C text (workers/snapshot/web/web_client.h).
$(BUILD)/gen/web_client.c: workers/snapshot/web/client.js
	@mkdir -p $(@D)
	$(call say,GEN,$@)
	$(Q){ echo '#include "workers/snapshot/web/web_client.h"'; echo 'const char web_client_js[] ='; \
		sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^\(.*\)$$/    "\1\\n"/' $<; echo '    ;'; } > $@.tmp && mv $@.tmp $@
$(BUILD)/obj/gen/web_client.o: $(BUILD)/gen/web_client.c
	@mkdir -p $(@D)
	$(call say,CC,$@)
	$(Q)$(CC) $(ALL_CFLAGS) -MMD -MP -c $< -o $@

$(BUILD)/platoon: $(call objects,master/platoon.c) $(MASTER) $(PROTO) $(COMMON)
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

define tool_rule
$(BUILD)/libexec/platoon/$(1): $(call objects,$(call type_file,$(1))) $(WORKER) $(PROTO) $(COMMON)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(call libs,$$(LIBS_$(1)))
endef
$(foreach t,$(TOOLS),$(eval $(call tool_rule,$(t))))

# ---- tests ----

UNIT_FILES := $(sort $(wildcard test/unit/*/test_*.c))
UNIT := $(addprefix $(BUILD)/test/unit/,$(basename $(notdir $(UNIT_FILES))))
# An archive, so that a suite takes along only the fixtures that it uses, and what they use.
UNIT_SUPPORT := $(BUILD)/libunit.a
$(UNIT_SUPPORT): $(call objects,$(filter-out $(UNIT_FILES),$(call sources,test/unit)))
	@rm -f $@
	$(call say,AR,$@)
	$(Q)$(AR) rcs $@ $^
define unit_rule
$(BUILD)/test/unit/$(basename $(notdir $(1))): $(call objects,$(1)) $(UNIT_SUPPORT) $(WORKER) $(CTL) $(MASTER) $(PROTO) $(COMMON)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -o $$@ $$^ $$(call libs,$$(PACKAGES) ei wslay check)
endef
$(foreach f,$(UNIT_FILES),$(eval $(call unit_rule,$(f))))
.SECONDARY:

.PHONY: unit check build-asan check-asan check-asan-unit faults docs lint clean install
unit: $(UNIT)

# Fault points (common/fault.h) exist only in this build; the end-to-end tests that kill workers at named steps use it.
faults: all $(BUILD)/test/fault/shim.so
	$(MAKE) BUILD=$(BUILD)/faults PLAIN=$(BUILD) FAULTS=-DPLATOON_FAULTS SANITIZE="$(SANITIZE)" all

check: all unit faults
	BUILD=$(BUILD) PYTHON=$(PYTHON) scripts/lib/run-tests

ASAN := BUILD=build/asan CFLAGS="-O1 -g -fno-omit-frame-pointer" SANITIZE="-fsanitize=address,undefined"
build-asan:
	$(MAKE) $(ASAN) all unit faults
check-asan:
	BUILD=build/asan UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1 ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=16 \
	$(MAKE) $(ASAN) check

# The same on another release of Debian, in a folder of its own; as root.
DEBIAN ?= trixie
.PHONY: check-debian
check-debian:
	scripts/lib/check-debian $(DEBIAN)

# The unit suites alone, for a quick look.
check-asan-unit:
	$(MAKE) $(ASAN) unit
	BUILD=build/asan scripts/lib/run-tests unit

# ---- long tests: what make check has no time for ----

# Fuzzers of every decoder (libFuzzer, hence clang), SECONDS each; test/fuzz/*/corpus holds what they start from.
SECONDS ?= 25
SEED ?= 1
STORMS ?= 20
FUZZER_FILES := $(sort $(wildcard test/fuzz/*/fuzz_*.c))
FUZZERS := $(addprefix $(BUILD)/test/fuzz/,$(basename $(notdir $(FUZZER_FILES))))
define fuzzer_rule
$(BUILD)/test/fuzz/$(basename $(notdir $(1))): $(call objects,$(1)) $(WORKER) $(MASTER) $(PROTO) $(COMMON)
	@mkdir -p $$(@D)
	$$(call say,LD,$$@)
	$$(Q)$$(CC) $$(ALL_LDFLAGS) -fsanitize=fuzzer -o $$@ $$^ $$(call libs,$$(PACKAGES) ei wslay)
endef
$(foreach f,$(FUZZER_FILES),$(eval $(call fuzzer_rule,$(f))))

.PHONY: fuzz fuzzers build-fuzz check-long
fuzzers: $(FUZZERS)
build-fuzz:
	$(MAKE) CC=clang BUILD=build/fuzz CFLAGS="-O1 -g -fno-omit-frame-pointer" SANITIZE="-fsanitize=address,undefined,fuzzer-no-link" fuzzers
fuzz: build-fuzz
	scripts/lib/run-fuzz build/fuzz/test/fuzz $(SECONDS)

# Calls that fail or take long on order, preloaded (test/fault/plan.py gives the orders).
$(BUILD)/test/fault/shim.so: test/fault/shim.c Makefile
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) -std=c11 -D_GNU_SOURCE $(WARNINGS) -O1 -g -shared -fPIC -o $@ $< -ldl

# What the systems have of their own: targets, added where check-long shall make them (scripts/lib/run-long): to LONG what holds platoon to
# times, to LONG_BESIDE what only computes, and is done beside it at lower priority. Of each, two at a time. Models, which wait for nothing and
# have no deadline, are in a list of their own: .ci/run has had them checked before (make check-long MODELS=).
LONG :=
MODELS :=
LONG_BESIDE := check-systems
# And what check-tsan needs: built in one go, since two makes must not build in one folder at once.
TSAN_BUILT :=
include $(sort $(wildcard test/*/*/*.mk))
build-tsan:
	$(MAKE) BUILD=build/tsan CFLAGS="-O1 -g -fno-omit-frame-pointer" SANITIZE="-fsanitize=thread" $(TSAN_BUILT)
.PHONY: build-tsan

# A system is added to a copy of the tree by its folders, and the drain taken out of another: two whole builds.
check-systems: all
	BUILD=$(BUILD) $(PYTHON) -B -m pytest -q -p no:cacheprovider --tb=short -rfE test/systems/test_systems.py

.PHONY: $(LONG) $(LONG_BESIDE) $(MODELS) check-models
check-models: $(MODELS)
check-long:
	LONG="$(LONG)" LONG_BESIDE="$(LONG_BESIDE) $(MODELS)" scripts/lib/run-long

# What scripts/bench measures beside platoon.
.PHONY: bench bench-cache bench-messages bench-queue bench-snapshots bench-supervision
bench: $(patsubst scripts/bench/%.c,$(BUILD)/bench/%,$(wildcard scripts/bench/ceiling_*.c))
bench-cache: $(patsubst scripts/bench/%.c,$(BUILD)/bench/%,$(wildcard scripts/bench/cache/*.c))
bench-messages: $(BUILD)/bench/messages_worker $(BUILD)/bench/messages_peers
bench-queue: $(BUILD)/bench/queue_consumer
bench-snapshots: $(BUILD)/bench/snapshots_git
bench-supervision: $(BUILD)/bench/supervised $(BUILD)/bench/supervision_floor $(BUILD)/bench/supervision_worker
$(BUILD)/bench/supervision_worker $(BUILD)/bench/queue_consumer: $(BUILD)/bench/%: $(BUILD)/obj/scripts/bench/%.o $(call objects,$(SKELETON_MAIN)) $(WORKER) $(PROTO) $(COMMON)
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
$(BUILD)/bench/snapshots_git: $(BUILD)/obj/scripts/bench/snapshots_git.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,libgit2)
$(BUILD)/bench/cache/puts: $(BUILD)/obj/scripts/bench/cache/puts.o
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,libcurl)
$(BUILD)/bench/cache/%: $(BUILD)/obj/scripts/bench/cache/%.o $(WORKER) $(PROTO) $(COMMON)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^
$(BUILD)/bench/%: $(BUILD)/obj/scripts/bench/%.o $(COMMON)
	@mkdir -p $(@D)
	$(call say,LD,$@)
	$(Q)$(CC) $(ALL_LDFLAGS) -o $@ $^ $(call libs,hiredis sqlite3 libpq)

# What repeats the lists: sample, manual pages, completion. They are kept in the tree; lint says when they are stale.
docs: $(BUILD)/lists.json
	BUILD=$(BUILD) $(PYTHON) scripts/lib/docs

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
	install -m 755 $(foreach t,$(TYPES) $(TOOLS),$(BUILD)/libexec/platoon/$(t)) $(DESTDIR)$(PREFIX)/libexec/platoon
	scripts/lib/install-worker $(BUILD) $(VERSION) "$(DESTDIR)" $(PREFIX) "libuv nanomsg $(MSGPACK)"
	install -d $(DESTDIR)$(PREFIX)/share/platoon/redis
	install -m 644 $(BUILD)/share/redis/*.lua $(DESTDIR)$(PREFIX)/share/platoon/redis
	cd $(BUILD)/share/platoon/python && find . -name '*.py' -exec install -D -m 644 '{}' '$(abspath $(DESTDIR)$(PREFIX))/share/platoon/python/{}' \;
	install -m 644 README.md proto/PROTOCOL.md $(wildcard proto/*/*.md) etc/platoon.conf LICENSE $(DESTDIR)$(PREFIX)/share/doc/platoon
	install -m 644 etc/man/platoonctl.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 etc/man/platoon.conf.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 etc/man/platoon.8 $(DESTDIR)$(PREFIX)/share/man/man8
	sed 's@/usr/local/@$(PREFIX)/@' etc/systemd/platoon.service > $(DESTDIR)$(PREFIX)/lib/systemd/system/platoon.service
	chmod 644 $(DESTDIR)$(PREFIX)/lib/systemd/system/platoon.service
	install -m 644 etc/systemd/platoon.sysusers $(DESTDIR)$(PREFIX)/lib/sysusers.d/platoon.conf
	install -m 644 etc/completion/platoonctl.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/platoonctl

# Nobody makes these but the compiler; make would else try to link gen/scripts_X.d from a script list of that name.
$(BUILD)/obj/%.d: ;
-include $(shell find $(BUILD)/obj -name '*.d' 2>/dev/null)
