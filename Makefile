# jobsched: `make help` lists the targets, CONTRIBUTING.md tells the developer's loop.

# ---- the extension (PGXS) ----
PG_CONFIG ?= $(or $(wildcard /usr/lib/postgresql/15/bin/pg_config),pg_config)
MODULE_big = jobsched
EXTENSION = jobsched
DATA = sql/jobsched--1.0.sql
EXT_COMMON = amqp_frame backoff clock uuid
EXT_SRC = $(wildcard src/extension/*.c) $(wildcard $(EXT_COMMON:%=src/common/%.c))
OBJS = $(EXT_SRC:.c=.o)
PG_CPPFLAGS = -Isrc/common -MMD -MP
PG_CFLAGS = -std=gnu11 -fvisibility=hidden -Wextra -Wno-declaration-after-statement -Wno-missing-field-initializers \
	-Wno-unused-parameter -Wno-sign-compare $(WERROR)
SHLIB_LINK = -lrabbitmq -lcares
EXTRA_CLEAN = $(OBJS:.o=.d) build

PGXS := $(shell $(PG_CONFIG) --pgxs 2>/dev/null)
ifneq ($(wildcard $(PGXS)),)
override with_llvm = no
include $(PGXS)
-include $(OBJS:.o=.d)
else
.DEFAULT_GOAL = all
all install: no-headers
no-headers:
	@echo "No PostgreSQL server headers ($(PG_CONFIG) --pgxs): run make deps, or set PG_CONFIG" >&2; exit 1
clean:
	rm -rf build
.PHONY: no-headers
endif

# ---- the programs: build/release, or build/<sanitizers> with SANITIZE=address,undefined ----
comma = ,
SANITIZE ?=
BUILD = build/$(or $(subst $(comma),-,$(SANITIZE)),release)
COMMON_SRC = $(wildcard src/common/*.c)
WORKER_SRC = $(wildcard src/worker/*.c src/worker/*/*.c)
API_SRC = $(wildcard src/api/*.c src/api/*/*.c)
CLI_SRC = $(wildcard src/cli/*.c)
PROGRAMS = $(if $(WORKER_SRC),$(BUILD)/jobsched-worker) $(if $(API_SRC),$(BUILD)/jobsched-api) $(if $(CLI_SRC),$(BUILD)/jobsched)
PROG_CFLAGS = -std=gnu11 -D_GNU_SOURCE -O2 -g -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -pthread \
	-fstack-protector-strong $(if $(SANITIZE),-O1 -fsanitize=$(SANITIZE) -fno-omit-frame-pointer -fno-sanitize-recover=undefined,-D_FORTIFY_SOURCE=2) \
	-Isrc/common $(shell pkg-config --cflags libpq jansson libcurl librabbitmq libevent zlib libcrypto libxml-2.0 libidn2 2>/dev/null) $(WERROR)
WORKER_LIBS = $(shell pkg-config --libs libpq jansson libcurl librabbitmq libxml-2.0 libidn2) -lmicrohttpd -ls3 -lm -lcrypto
API_LIBS = $(shell pkg-config --libs libpq jansson libcurl libevent zlib libcrypto) -lm
CLI_LIBS = $(shell pkg-config --libs libpq)
PREFIX ?= /usr/local

# What jobsched-api shows browsers is part of it: our pages, and libraries from npm (src/api/vendor).
VENDOR = build/vendor
PAGES = src/api/web/index.html src/api/web/docs.html
WEB = /=src/api/web/index.html /docs=src/api/web/docs.html \
	$(foreach file,$(filter-out $(PAGES),$(wildcard src/api/web/*)),/web/$(notdir $(file))=$(file)) \
	$(foreach file,swagger-ui.css swagger-ui-bundle.js swagger-ui-bundle.js.LICENSE.txt,/docs/$(file)=$(VENDOR)/swagger-ui-dist/$(file)) \
	$(foreach file,uPlot.iife.min.js uPlot.min.css,/web/vendor/$(file)=$(VENDOR)/uplot/$(file))

$(VENDOR)/fetched: src/api/vendor
	src/api/vendor $(VENDOR)
	@touch $@

build/web_files.c: src/api/embed Makefile $(wildcard src/api/web/*) $(VENDOR)/fetched
	src/api/embed build/web $(WEB) >$@.new
	mv $@.new $@

programs: $(PROGRAMS)

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(PROG_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/src/api/openapi.o: src/api/openapi.json

$(BUILD)/libcommon.a: $(COMMON_SRC:%.c=$(BUILD)/%.o)
	rm -f $@
	$(AR) rcs $@ $^

$(BUILD)/jobsched-worker: $(WORKER_SRC:%.c=$(BUILD)/%.o) $(BUILD)/libcommon.a
	$(CC) $(PROG_CFLAGS) -rdynamic -Wl,-z,now -o $@ $^ $(WORKER_LIBS)

$(BUILD)/jobsched-api: $(API_SRC:%.c=$(BUILD)/%.o) $(BUILD)/build/web_files.o $(BUILD)/libcommon.a
	$(CC) $(PROG_CFLAGS) -o $@ $^ $(API_LIBS)

$(BUILD)/jobsched: $(CLI_SRC:%.c=$(BUILD)/%.o) $(BUILD)/libcommon.a
	$(CC) $(PROG_CFLAGS) -o $@ $^ $(CLI_LIBS)

-include $(patsubst %.c,$(BUILD)/%.d,$(COMMON_SRC) $(WORKER_SRC) $(API_SRC) $(CLI_SRC))

all: programs
install: install-programs
install-programs: programs
	install -d '$(DESTDIR)$(PREFIX)/bin' '$(DESTDIR)$(PREFIX)/include'
	$(if $(PROGRAMS),install -C -m 755 $(PROGRAMS) '$(DESTDIR)$(PREFIX)/bin')
	install -d '$(DESTDIR)$(PREFIX)/lib/systemd/system'
	for unit in $(notdir $(wildcard share/systemd/*.service)); do sed 's|/usr/local/bin/|$(PREFIX)/bin/|' share/systemd/$$unit \
		>'$(DESTDIR)$(PREFIX)/lib/systemd/system/'$$unit || exit; done
	install -d '$(DESTDIR)$(PREFIX)/share/doc/jobsched'
	for name in swagger-ui-dist uplot; do cat $(VENDOR)/$$name/LICENSE >'$(DESTDIR)$(PREFIX)/share/doc/jobsched/LICENSE.'$$name || exit; done
	install -d '$(DESTDIR)$(PREFIX)/share/man/man1' '$(DESTDIR)$(PREFIX)/share/bash-completion/completions'
	$(if $(wildcard docs/jobsched.1),install -m 644 docs/jobsched.1 '$(DESTDIR)$(PREFIX)/share/man/man1')
	$(if $(wildcard share/bash-completion/jobsched),install -m 644 share/bash-completion/jobsched '$(DESTDIR)$(PREFIX)/share/bash-completion/completions')
	$(if $(wildcard src/worker/jobsched_task.h),install -m 644 src/worker/jobsched_task.h '$(DESTDIR)$(PREFIX)/include')

# ---- the private stack in .run, tests, checks ----
STACK = src/cli/stack
chosen = $(if $(SUITES),$(filter $(1),$(SUITES)),$(1))
# With a -j of your own, that one holds.
parallel = $(if $(filter -j% --jobserver%,$(MAKEFLAGS)),,-j$(shell nproc))

deps:
	@$(STACK)/deps

# A second make, because this one was read before deps had brought PostgreSQL's makefiles.
private: deps
	@echo 'make: building (make all shows the commands)'
	@$(MAKE) --no-print-directory -s $(parallel) all
	@pg_config=$$($(STACK)/stack tree) && $(MAKE) --no-print-directory -s install DESTDIR= PG_CONFIG=$$pg_config PREFIX=$${pg_config%/lib/*}

start run: private
	@$(STACK)/stack $@
stop status:
	@$(STACK)/stack $@
test: private
	$(if $(call chosen,tap),@echo 'make: building with sanitizers'; $(MAKE) --no-print-directory -s $(parallel) SANITIZE=address$(comma)undefined programs)
	$(if $(call chosen,tap),@test/promtool $(VENDOR))
	-$(if $(call chosen,tap),@test/web/install)
	$(if $(call chosen,unit),@echo 'make: building the unit tests'; $(MAKE) --no-print-directory -s $(parallel) -C test/unit all)
	@$(STACK)/test $(SUITES)
bench: private
	@$(STACK)/test -x test/bench/run $(ARGS) $(BENCH)
chaos: private
	@$(STACK)/test -x test/chaos/run && TAP=060 $(STACK)/test tap && test/model/mutants
lint: deps
	@$(STACK)/lint
format:
	clang-format -i $(wildcard src/*/*.[ch] src/*/*/*.[ch] test/*/*.[ch])

help:
	@sed -n '/^#:/s/^#: *//p' Makefile
#: make            build the extension and the programs jobsched-worker, jobsched-api and jobsched
#: make install    install them (PG_CONFIG, PREFIX, DESTDIR are respected)
#: make deps       install the Debian packages that building, running and testing need
#: make run        start the private stack in .run, then show one job from submission to result
#: make start      start what is down (RESET=1: drop data made by another extension script)
#: make stop       stop it;  make status: what runs
#: make test       all tests (SUITES="unit regress isolation tap model" chooses, TAP="050 060" among the TAP files)
#: make bench      measure (BENCH="drain burst" and more: test/bench/run, ARGS="-r 5");  make chaos: workers killed and frozen, faults, the model with guards taken out
#: make lint       compilers with warnings as errors, clang-tidy, cppcheck, shellcheck
#: make format     clang-format over all C
#: make clean      remove what was built (make stop first; the data are in .run, or where .run/data points)

.PHONY: all install clean programs install-programs deps private start run stop status test bench chaos lint format help
