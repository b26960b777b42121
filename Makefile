# The front door; Meson and ninja do the work.  `make help` lists what can be asked.

# Folders of the builds.  Each can be removed at any time.
BUILD        ?= build
BUILD_TEST   ?= build-test
BUILD_TSAN   ?= build-tsan
BUILD_CLANG  ?= build-clang
BUILD_FUZZ   ?= build-fuzz
BUILD_COVER  ?= build-coverage

# make run LISTEN=127.0.0.1 listens on that address alone.
LISTEN       ?=
RUN_DIR      ?= run
CONF         ?= examples/first.conf
FUZZ_SECONDS ?= 60
JOBS         ?= $(shell nproc 2>/dev/null || echo 2)
# make soak: how often.
KILLS        ?= 1000
# make test TESTS="--suite system" or TESTS=uri_test narrows it.
TESTS        ?=
PREFIX       ?= /usr/local
DESTDIR      ?=

# As meson.build has it for the tests; here for `make soak` and `make fuzz`.
export ASAN_OPTIONS  = abort_on_error=0:detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1
export UBSAN_OPTIONS = halt_on_error=1:print_stacktrace=1
export TSAN_OPTIONS  = halt_on_error=1:second_deadlock_stack=1

MESON = meson
NINJA = ninja -j$(JOBS)
MTEST = $(MESON) test --no-rebuild --print-errorlogs --num-processes $(JOBS)

.PHONY: help all run console screenshots demo quick test test-tsan test-clang fuzz soak coverage bench bench-quick profile install deb clean deps deps-test deps-bench format

help:
	@echo "make run         build herald and start it with $(CONF); everything it keeps is under ./$(RUN_DIR)/"
	@echo "                 (LISTEN=127.0.0.1: not for others on the network)"
	@echo "make console     build the page on GET / again, when npm was missing before"
	@echo "make demo        a guided tour through the six stories of examples/"
	@echo "make quick       tests that take less than two minutes"
	@echo "make test        all tests, under AddressSanitizer and UBSan (TESTS='--suite system' narrows it)"
	@echo "make test-tsan   the short tests under ThreadSanitizer"
	@echo "make test-clang  build with clang without a warning, unit tests"
	@echo "make fuzz        libFuzzer on every parser, FUZZ_SECONDS=$(FUZZ_SECONDS) each"
	@echo "make soak        the daemon killed at KILLS=$(KILLS) random moments under load, every acknowledgement compared (SEED=N: that run again)"
	@echo "make coverage    which lines the tests reach, $(BUILD_COVER)/report/index.html"
	@echo "make bench       CPU time, latency, memory and restarts beside the bare socket loop and Kamailio, into bench/RESULTS.md (15 minutes)"
	@echo "make bench-quick fewer rows of it, into $(BUILD)/bench-quick.md (3 minutes)"
	@echo "make profile     instructions per operation, by function, into bench/PROFILE.md (needs valgrind)"
	@echo "make install     programs, manual pages, service and examples under $(PREFIX) (DESTDIR=, PREFIX=)"
	@echo "make deb         a Debian package, $(BUILD)/herald_VERSION_ARCHITECTURE.deb"
	@echo "make format      clang-format on every source"
	@echo "make clean       remove the builds; what ./$(RUN_DIR)/ holds stays"

deps:
	@tools/deps.sh build

deps-test:
	@tools/deps.sh test

# What cannot be had leaves rows out.
deps-bench:
	-@tools/deps.sh bench

# --- run ---------------------------------------------------------------------------------------

$(BUILD)/build.ninja: | deps
	@$(MESON) setup --optimization=2 --debug -Db_ndebug=false -Dwerror=false -Dtests=false --prefix=$(PREFIX) $(BUILD) >$(BUILD).log 2>&1 \
	    || { cat $(BUILD).log >&2; exit 1; }
	@mv $(BUILD).log $(BUILD)/setup.log

# What was built without the console has it when npm is there meanwhile.
all: deps $(BUILD)/build.ninja
	@if [ -e $(BUILD)/console/missing ] && command -v npm >/dev/null 2>&1; then rm -f $(BUILD)/console/console_files.c; fi
	@$(NINJA) -C $(BUILD) --quiet
	@ln -sf src/herald/herald $(BUILD)/herald
	@ln -sf src/heraldd/heraldd $(BUILD)/heraldd

run: all
	@LISTEN="$(LISTEN)" exec $(BUILD)/heraldd -c $(CONF) --run-dir $(RUN_DIR) --tool $(BUILD)/herald

# Tries again when it was built without.
console: all
	@if [ -e $(BUILD)/console/missing ]; then cat $(BUILD)/console/missing >&2; exit 1; fi
	@echo "heraldd serves its console on GET /"

# The pictures of doc/console.md.
screenshots: all deps-test
	@mkdir -p doc/console
	@SCREENSHOTS=$(CURDIR)/doc/console SETTLE_S=20 HERALD=$(CURDIR)/$(BUILD)/src/herald/herald HERALDD=$(CURDIR)/$(BUILD)/src/heraldd/heraldd \
	    python3 test/system/console_test.py draws

demo: all
	@HERALD=$(CURDIR)/$(BUILD)/src/herald/herald HERALDD=$(CURDIR)/$(BUILD)/src/heraldd/heraldd tools/demo.sh

# --- tests -------------------------------------------------------------------------------------

SANITIZE = -Db_lundef=false

$(BUILD_TEST)/build.ninja: | deps-test
	@$(MESON) setup $(SANITIZE) -Db_sanitize=address,undefined $(BUILD_TEST)

$(BUILD_TSAN)/build.ninja: | deps-test
	@$(MESON) setup $(SANITIZE) -Db_sanitize=thread -Dc_args=-Wno-maybe-uninitialized $(BUILD_TSAN)

$(BUILD_CLANG)/build.ninja: | deps-test
	@CC=clang $(MESON) setup $(SANITIZE) -Db_sanitize=address,undefined $(BUILD_CLANG)

$(BUILD_FUZZ)/build.ninja: | deps-test
	@CC=clang $(MESON) setup $(SANITIZE) -Dfuzz=true -Dtests=false -Db_sanitize=address,undefined $(BUILD_FUZZ)

$(BUILD_COVER)/build.ninja: | deps-test
	@$(MESON) setup --optimization=0 --debug -Db_coverage=true $(BUILD_COVER)

quick: deps-test $(BUILD_TEST)/build.ninja
	@$(NINJA) -C $(BUILD_TEST)
	@$(MTEST) -C $(BUILD_TEST) --suite quick $(TESTS)

test: deps-test $(BUILD_TEST)/build.ninja
	@$(NINJA) -C $(BUILD_TEST)
	@$(MTEST) -C $(BUILD_TEST) $(TESTS)

test-tsan: deps-test $(BUILD_TSAN)/build.ninja
	@$(NINJA) -C $(BUILD_TSAN)
	@$(MTEST) -C $(BUILD_TSAN) --suite unit --suite tsan $(TESTS)

test-clang: deps-test $(BUILD_CLANG)/build.ninja
	@$(NINJA) -C $(BUILD_CLANG)
	@$(MTEST) -C $(BUILD_CLANG) --suite unit --suite fuzz $(TESTS)

fuzz: deps-test $(BUILD_FUZZ)/build.ninja
	@$(NINJA) -C $(BUILD_FUZZ)
	@tools/fuzz.sh $(BUILD_FUZZ) $(FUZZ_SECONDS) $(JOBS)

soak: deps-test $(BUILD_TEST)/build.ninja
	@$(NINJA) -C $(BUILD_TEST) src/heraldd/heraldd src/herald/herald
	@HERALDD=$(BUILD_TEST)/src/heraldd/heraldd HERALD=$(BUILD_TEST)/src/herald/herald KILLS=$(KILLS) \
	    python3 test/system/restart_test.py each_of_many_kills

coverage: deps-test $(BUILD_COVER)/build.ninja
	@$(NINJA) -C $(BUILD_COVER)
	@$(MTEST) -C $(BUILD_COVER) $(TESTS)
	@tools/coverage.sh $(BUILD_COVER)

format:
	@tools/format.sh fix

# --- figures -----------------------------------------------------------------------------------

bench: all deps-bench
	@$(NINJA) -C $(BUILD) --quiet bench/load bench/wire bench/disk bench/parse bench/connections
	@bench/run.py --build $(BUILD) --out bench/RESULTS.md --plots bench/plots --command "make bench"

bench-quick: all deps-bench
	@$(NINJA) -C $(BUILD) --quiet bench/load bench/wire bench/disk bench/parse bench/connections
	@bench/run.py --build $(BUILD) --quick --rounds 1 --minutes 2.6 --out $(BUILD)/bench-quick.md --command "make bench-quick"

profile: all deps-bench
	@$(NINJA) -C $(BUILD) --quiet bench/load
	@bench/profile.py $(BUILD) bench/PROFILE.md

# --- the rest ----------------------------------------------------------------------------------

install: all
	@$(MESON) configure $(BUILD) --prefix=$(PREFIX)
	@$(NINJA) -C $(BUILD) --quiet
	@DESTDIR="$(DESTDIR)" $(MESON) install -C $(BUILD) --no-rebuild

deb: all
	@packaging/deb.sh $(BUILD) $(BUILD)

clean:
	rm -rf $(BUILD) $(BUILD_TEST) $(BUILD_TSAN) $(BUILD_CLANG) $(BUILD_FUZZ) $(BUILD_COVER)
