# One Makefile for all rooms; `make help` lists the targets.
#
# Every room is compiled with only its own folder and src/base on the include path, so that front,
# engine and cli cannot grow to depend on each other. Objects go to build/release, and for the unit
# tests, with sanitizers, to build/check; what is made for a room to include, to build/gen.

VERSION     := 0.1.0
PREFIX      ?= /usr
SYSCONFDIR  ?= /etc
LIBEXECDIR  ?= $(PREFIX)/lib/dockwake
UNITDIR     ?= $(PREFIX)/lib/systemd/system
SYSUSERSDIR ?= $(PREFIX)/lib/sysusers.d
TMPFILESDIR ?= $(PREFIX)/lib/tmpfiles.d
MANDIR      ?= $(PREFIX)/share/man
DOCDIR      ?= $(PREFIX)/share/doc/dockwake
DESTDIR     ?=
B           ?= build

CC          ?= cc
PKG_CONFIG  ?= pkg-config
CFLAGS      ?= -O2 -g
HARDENING   ?= -fstack-protector-strong -D_FORTIFY_SOURCE=2 -fPIE
WARNINGS    := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wformat=2 \
               -Wundef -Wwrite-strings -Wvla -Wpointer-arith -Wimplicit-fallthrough
CSTD        := -std=gnu11 -D_GNU_SOURCE -DDOCKWAKE_VERSION='"$(VERSION)"'
SANITIZE    := -O1 -g -fno-omit-frame-pointer -fsanitize=address,undefined \
               -fno-sanitize-recover=all

BASE_SRC    := $(wildcard src/base/*.c)
FRONT_SRC   := $(wildcard src/front/*.c)
ENGINE_SRC  := $(wildcard src/engine/*.c)
CLI_SRC     := $(wildcard src/cli/*.c)
UNIT_SRC    := $(wildcard tests/unit/*/test_*.c)

BASE_PKG    := inih
FRONT_PKG   :=
ENGINE_PKG  := libsystemd libcurl jansson
CLI_PKG     := jansson

PROGRAMS    := $(B)/dockwake-front $(B)/dockwake-engine $(B)/dockwake
UNIT_PY     := $(addprefix tests/unit/engine/,faults.py) \
               $(addprefix tests/unit/front/,serve.py keep.py wake.py route.py pages.py \
               proxy_peers.py tls_peers.py http/compare.py)
UNITS       := $(patsubst tests/unit/%.c,$(B)/check/%,$(UNIT_SRC))
FUZZ        := $(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c))
FUZZ_REPLAYS := $(FUZZ:%=$(B)/check/fuzz/%)

pkg_cflags   = $(if $(1),$(shell $(PKG_CONFIG) --cflags $(1)))
pkg_libs     = $(if $(1),$(shell $(PKG_CONFIG) --libs $(1)))
objects      = $(patsubst src/%.c,$(B)/$(1)/%.o,$(2))

.PHONY: all
all: $(PROGRAMS) ## build the programs into build/

# --- compiling -----------------------------------------------------------------------------------
# $(1): room, $(2): its packages
define room_rules
$(B)/release/$(1)/%.o: src/$(1)/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(CSTD) $$(WARNINGS) $$(CPPFLAGS) $$(HARDENING) $$(CFLAGS) -Isrc/$(1) -Isrc/base -I$(B)/gen/$(1) \
	    $$(call pkg_cflags,$(2)) -MMD -MP -c -o $$@ $$<
$(B)/check/%.o: CHECK_CFLAGS = $$(SANITIZE)
$(B)/check/$(1)/%.o: src/$(1)/%.c
	@mkdir -p $$(@D)
	$$(CC) $$(CSTD) $$(WARNINGS) -Werror $$(SANITIZE) -Isrc/$(1) -Isrc/base -I$(B)/gen/$(1) \
	    $$(call pkg_cflags,$(2)) -MMD -MP -c -o $$@ $$<
# A unit test of a room sees what the room sees, and is linked with all of it but its main().
$(B)/check/$(1)/test_%: tests/unit/$(1)/test_%.c \
        $$(filter-out %/main.o,$$(call objects,check,$$(wildcard src/$(1)/*.c))) \
        $$(call objects,check,$$(BASE_SRC))
	@mkdir -p $$(@D)
	$$(CC) $$(CSTD) $$(WARNINGS) -Werror $$(SANITIZE) -Isrc/$(1) -Isrc/base -I$(B)/gen/$(1) -Itests/unit \
	    $$(call pkg_cflags,$(2)) -MMD -MP -MF $$@.d -o $$@ $$(filter %.c,$$<) \
	    $$(sort $$(filter %.o,$$^)) \
	    $$(call pkg_libs,$(2)) $$(call pkg_libs,$$(BASE_PKG) cmocka)
endef
$(eval $(call room_rules,base,$(BASE_PKG)))
$(eval $(call room_rules,front,$(FRONT_PKG)))
$(eval $(call room_rules,engine,$(ENGINE_PKG)))
$(eval $(call room_rules,cli,$(CLI_PKG)))

# The waiting page, and the hashes by which browsers know its script and style.
PAGE_HTML   := $(B)/gen/front/page_html.h
$(PAGE_HTML): src/front/page.html src/front/page_embed
	@mkdir -p $(@D)
	src/front/page_embed $< >$@.new
	@mv $@.new $@
$(B)/release/front/page.o $(B)/check/front/page.o: $(PAGE_HTML)

# $(1): program, $(2): room's sources, $(3): packages
define program_rule
$(B)/$(1): $(call objects,release,$(2) $(BASE_SRC))
	$$(CC) $$(CFLAGS) $$(HARDENING) $$(LDFLAGS) -pie -Wl,-z,relro,-z,now -Wl,--as-needed -o $$@ $$^ \
	    $$(call pkg_libs,$(3) $(BASE_PKG))
# The same with sanitizers, for the scenarios that look for what a plain build would hide.
$(B)/check/bin/$(1): $(call objects,check,$(2) $(BASE_SRC))
	@mkdir -p $$(@D)
	$$(CC) $$(SANITIZE) -o $$@ $$^ $$(call pkg_libs,$(3) $(BASE_PKG))
endef
$(eval $(call program_rule,dockwake-front,$(FRONT_SRC),$(FRONT_PKG)))
$(eval $(call program_rule,dockwake-engine,$(ENGINE_SRC),$(ENGINE_PKG)))
$(eval $(call program_rule,dockwake,$(CLI_SRC),$(CLI_PKG)))

-include $(shell find $(B)/release $(B)/check $(B)/fuzz -name '*.d' 2>/dev/null)

# --- tests ---------------------------------------------------------------------------------------
.PHONY: unit
unit: $(UNITS) $(FUZZ_REPLAYS) $(B)/check/bin/dockwake-engine $(B)/check/bin/dockwake-front \
        $(B)/check/front/http/parse_head ## build and run the unit tests with sanitizers
	tests/unit/run $(UNITS) $(FUZZ_REPLAYS) $(UNIT_PY)

# The parsers of what strangers and administrators write. They need nothing else of the front.
FUZZ_SRC    := $(wildcard src/front/http_*.c) src/front/tls_hello.c src/front/proxy_header.c \
               $(BASE_SRC)
FUZZ_OBJ    := $(FUZZ_SRC:src/%.c=$(B)/fuzz/obj/%.o)
FUZZ_FLAGS   = $(CSTD) $(WARNINGS) -Isrc/front -Isrc/base $(call pkg_cflags,$(BASE_PKG))
CLANG       ?= clang
TIME        ?= 600

# What our parsers make of a request, for the comparison with those of others.
$(B)/check/front/http/parse_head: tests/unit/front/http/parse_head.c \
        $(call objects,check,$(FUZZ_SRC))
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) -Werror $(SANITIZE) -Isrc/front -Isrc/base -MMD -MP -MF $@.d -o $@ \
	    $(filter %.c %.o,$^) $(call pkg_libs,$(BASE_PKG))

# The same as it is shipped, for `build/bench/parse_head --bench`.
$(B)/bench/parse_head: tests/unit/front/http/parse_head.c \
        $(call objects,release,$(FUZZ_SRC))
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) $(CFLAGS) -Isrc/front -Isrc/base -o $@ $(filter %.c %.o,$^) \
	    $(call pkg_libs,$(BASE_PKG))

# Without libFuzzer: a target with all of its seeds, as a unit test.
$(B)/check/fuzz/replay.o: tests/fuzz/replay.c tests/fuzz/fuzz.h
	@mkdir -p $(@D)
	$(CC) $(FUZZ_FLAGS) -Werror $(SANITIZE) -c -o $@ $<
$(B)/check/fuzz/%: tests/fuzz/fuzz_%.c $(B)/check/fuzz/replay.o $(call objects,check,$(FUZZ_SRC))
	$(CC) $(FUZZ_FLAGS) -Werror $(SANITIZE) -MMD -MP -MF $@.d -o $@ $(filter %.c %.o,$^) \
	    $(call pkg_libs,$(BASE_PKG))

.PHONY: fuzz-replay
fuzz-replay: $(FUZZ_REPLAYS) ## run the fuzz targets over their seeds
	tests/unit/run $^

# With it: all that is looked at has to be compiled by clang.
$(B)/fuzz/obj/%.o: src/%.c
	@mkdir -p $(@D)
	$(CLANG) $(FUZZ_FLAGS) $(SANITIZE) -O2 -fsanitize=fuzzer-no-link -MMD -MP -c -o $@ $<
.SECONDARY: $(FUZZ_OBJ)
$(B)/fuzz/%: tests/fuzz/fuzz_%.c $(FUZZ_OBJ)
	$(CLANG) $(FUZZ_FLAGS) $(SANITIZE) -O2 -fsanitize=fuzzer -MMD -MP -MF $@.d -o $@ \
	    $(filter %.c %.o,$^) $(call pkg_libs,$(BASE_PKG))

# ONLY="NAME..." runs the targets of these names alone, TIME says for how many seconds each.
FUZZ_CHOSEN  = $(or $(ONLY),$(FUZZ))

.PHONY: fuzz
fuzz: ## look for inputs that break the parsers
	packaging/deps fuzz
	$(MAKE) --no-print-directory $(FUZZ_CHOSEN:%=$(B)/fuzz/%)
	tests/fuzz/run $(TIME) $(B)/fuzz $(FUZZ_CHOSEN)

# The waiting page alone, in a browser: not among the unit tests, as a browser is large.
$(B)/check/page-render: tests/unit/front/page/render.c \
        $(call objects,check,src/front/page.c src/front/text.c src/base/proto.c)
	$(CC) $(CSTD) $(WARNINGS) -Werror $(SANITIZE) -Isrc/front -Isrc/base -o $@ $^

.PHONY: page
page: $(B)/check/page-render ## drive the waiting page in Chromium; SHOTS=FOLDER leaves pictures
	packaging/deps page
	RENDER=$< tests/unit/front/page/page.py

# The program in the containers of the scenarios: static, since nothing else is in its image.
$(B)/sample-app/sample-app: $(wildcard tests/sample-app/*.c) $(wildcard tests/sample-app/*.h)
	@mkdir -p $(@D)
	$(CC) $(CSTD) $(WARNINGS) -Werror -O2 -g -static -pthread -o $@ $(filter %.c,$^)

# Both need root: they boot a machine. ONLY="NAME..." runs the scenarios of these names alone.
.PHONY: check
check: ## unit tests, package and scenarios on a disposable machine
	packaging/deps check
	MAKE='$(MAKE)' tests/machine/check $(ONLY)

.PHONY: demo
demo: ## show a real container wake and sleep on a disposable machine
	packaging/deps demo
	$(MAKE) --no-print-directory --silent deb $(B)/sample-app/sample-app
	tests/machine/run --demo

# No root needed, once the peers are installed. ONLY="MODE..." measures in these modes alone.
.PHONY: bench
bench: ## relay speed beside HAProxy, nginx and systemd-socket-proxyd; ROUNDS and SECONDS count
	packaging/deps bench
	$(MAKE) --no-print-directory --silent $(B)/dockwake-front
	FRONT=$(B)/dockwake-front tests/bench/run $(ONLY)

# --- looking for mistakes ------------------------------------------------------------------------
C_FILES     := $(wildcard src/*/*.c tests/sample-app/*.c tests/unit/*/*.c tests/unit/front/*/*.c \
               tests/fuzz/*.c tests/bench/*.c)
H_FILES     := $(wildcard src/*/*.h tests/sample-app/*.h tests/unit/*.h tests/unit/*/*.h \
               tests/fuzz/*.h)
# clang-tidy gets the flags of the file's room; the fuzz targets are for parsers of the front and base.
TIDY_ROOM    = $(or $(filter base front engine cli,$(subst /, ,$(1))),front)
TIDY_FLAGS   = $(CSTD) $(WARNINGS) -Isrc/base -Itests/unit -I$(dir $(PAGE_HTML)) \
               $(call pkg_cflags,$(BASE_PKG) $(ENGINE_PKG))
TIDY        := $(patsubst %,$(B)/lint/%.tidy,$(C_FILES))
# cppcheck reads no system headers, but has to know what TAILQ_HEAD() and the like stand for.
QUEUE_H      = $(filter %/sys/queue.h,$(shell $(CC) -M -xc -include sys/queue.h /dev/null))
CPPCHECK     = cppcheck --quiet --error-exitcode=1 -j$$(nproc) --std=c11 -D_GNU_SOURCE \
               --inline-suppr --include=$(QUEUE_H) $(patsubst %,-I%,$(wildcard src/*) tests/unit $(dir $(PAGE_HTML)))
# It knows neither the cleanup attribute nor that the struct of a header is used elsewhere, and says so
# when it has not looked at everything.
CPPCHECK    += --suppress=memleak --suppress=unusedStructMember \
               --suppress=normalCheckLevelMaxBranches
# Variables may stand at the head of a function, and whether a pointer could be const is something else
# in each version of cppcheck.
CPP_SRC     := --enable=warning,style,performance,portability --suppress=variableScope \
               --suppress=constParameterPointer --suppress=constVariablePointer \
               --suppress=constParameterCallback
# A unit test that is out of memory may crash, and may say things twice.
CPP_UNIT    := --enable=warning,portability --suppress=nullPointerOutOfMemory \
               --suppress=nullPointerOutOfResources --suppress=ctunullpointerOutOfMemory \
               --suppress=ctunullpointerOutOfResources

$(B)/lint/%.tidy: % $(H_FILES) $(PAGE_HTML) .clang-tidy tests/unit/.clang-tidy
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- $(TIDY_FLAGS) -Isrc/$(call TIDY_ROOM,$<) >$@.out 2>&1 || \
	    { grep -v 'warnings\? .*generated\.$$' $@.out; exit 1; }
	@touch $@

# All three, also when the first one finds something.
.PHONY: lint lint-format lint-cppcheck lint-tidy
lint: ## clang-format, cppcheck and clang-tidy over the C files
	packaging/deps lint
	@$(MAKE) --no-print-directory --keep-going --output-sync -j$$(nproc) \
	    lint-format lint-cppcheck lint-tidy

lint-format:
	@clang-format --dry-run --Werror $(C_FILES) $(H_FILES)
	@echo "clang-format: $(words $(C_FILES) $(H_FILES)) files are clean"

lint-cppcheck: $(PAGE_HTML)
	@$(CPPCHECK) $(CPP_SRC) $(filter-out tests/unit/%,$(C_FILES))
	@$(CPPCHECK) $(CPP_UNIT) $(filter tests/unit/%,$(C_FILES))
	@echo "cppcheck: $(words $(C_FILES)) files are clean"

lint-tidy: $(TIDY)
	@echo "clang-tidy: $(words $(C_FILES)) files are clean"

# --- installing and packaging --------------------------------------------------------------------
INSTALL     ?= install
UNIT_FILES  := $(wildcard units/*.socket units/*.service units/*.timer)
into         = $(DESTDIR)$(1)

.PHONY: install
install: all ## install below DESTDIR; PREFIX and the folders at the Makefile's top count
	$(INSTALL) -d $(call into,$(PREFIX)/bin) $(call into,$(LIBEXECDIR)) $(call into,$(UNITDIR)) \
	    $(call into,$(SYSUSERSDIR)) $(call into,$(TMPFILESDIR)) $(call into,$(DOCDIR)/examples) \
	    $(call into,$(SYSCONFDIR)/dockwake/apps.d)
	$(INSTALL) -m 0755 $(B)/dockwake $(call into,$(PREFIX)/bin)
	$(INSTALL) -m 0755 $(B)/dockwake-front $(B)/dockwake-engine $(call into,$(LIBEXECDIR))
	for unit in $(UNIT_FILES); do \
	    sed -e 's|/usr/lib/dockwake/|$(LIBEXECDIR)/|g' -e 's|/usr/bin/dockwake|$(PREFIX)/bin/dockwake|g' \
	        $$unit >$(B)/unit && \
	    $(INSTALL) -m 0644 $(B)/unit $(call into,$(UNITDIR))/$${unit##*/} || exit 1; \
	done
	rm -f $(B)/unit
	$(INSTALL) -m 0644 units/dockwake.sysusers $(call into,$(SYSUSERSDIR))/dockwake.conf
	$(INSTALL) -m 0644 units/dockwake.tmpfiles $(call into,$(TMPFILESDIR))/dockwake.conf
	# What an administrator has written stays.
	[ -e $(call into,$(SYSCONFDIR)/dockwake/dockwake.conf) ] || \
	    $(INSTALL) -m 0644 etc/dockwake.conf $(call into,$(SYSCONFDIR)/dockwake)
	$(INSTALL) -m 0644 $(wildcard etc/examples/*) $(call into,$(DOCDIR)/examples)
	for section in 1 5 8; do \
	    $(INSTALL) -d $(call into,$(MANDIR)/man$$section) && \
	    $(INSTALL) -m 0644 packaging/man/*.$$section $(call into,$(MANDIR)/man$$section) || exit 1; \
	done

# The package is built in a copy of the tree, in which packaging/deb is debian/. Only dpkg's own
# settings reach it, none of those that this make was called with. What it needs has been looked at by
# packaging/deps; dpkg itself would ask for a C++ compiler too.
DEB_FROM    := Makefile LICENSE README.md src units etc packaging
DEB_TREE    := $(B)/deb/dockwake-$(VERSION)

.PHONY: deb
deb: $(B)/deb/built ## build the Debian package into build/deb/, and run lintian on it
	@ls $(B)/deb/dockwake_*.deb

$(B)/deb/built: $(shell find $(DEB_FROM) -type f)
	packaging/deps deb
	@mkdir -p $(B)/deb
	rm -rf $(B)/deb/*
	mkdir $(DEB_TREE)
	cp -R $(DEB_FROM) $(DEB_TREE)
	cp -R packaging/deb $(DEB_TREE)/debian
	sed -i 's/@VERSION@/$(VERSION)/' $(DEB_TREE)/debian/changelog
	cd $(DEB_TREE) && env -i PATH="$$PATH" HOME="$$HOME" LC_ALL=C.UTF-8 \
	    $${DEB_BUILD_OPTIONS:+DEB_BUILD_OPTIONS="$$DEB_BUILD_OPTIONS"} \
	    dpkg-buildpackage --build=binary --no-sign --no-check-builddeps \
	    >../build.log 2>&1 || { cat ../build.log; exit 1; }
	lintian --allow-root --fail-on error,warning $(B)/deb/dockwake_*.changes
	@touch $@

.PHONY: clean
clean: ## remove build/
	rm -rf $(B)

.PHONY: help
help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12
