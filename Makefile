# SPDX-License-Identifier: MIT
# GNU make. `make help` lists the targets and the variables.

LUA ?= lua5.4
CLANG ?= clang
PKG_CONFIG ?= pkg-config
VERSION := 0.1.0
UNAME := $(shell uname -s)

# ---- Flavour: one build folder per interpreter and kind of build ----
LUA_NAME := $(notdir $(LUA))
LUA_ABI := $(if $(findstring luajit,$(LUA_NAME)),5.1,$(or $(patsubst lua%,%,$(filter lua5.%,$(LUA_NAME))),5.4))
SAN_ON := $(filter 1,$(SAN))
ifneq (,$(and $(SAN_ON),$(findstring clang,$(CC))))
$(error SAN=1 needs gcc: the sanitizer runtime that is preloaded is gcc's)
endif
FLAVOUR ?= $(LUA_NAME)$(if $(SAN_ON),-san)
BUILD ?= build/$(FLAVOUR)

# ---- Libraries ----
LUA_PCS := $(if $(findstring luajit,$(LUA_NAME)),luajit,$(LUA_NAME) lua$(LUA_ABI) lua-$(LUA_ABI) lua$(subst .,,$(LUA_ABI)) lua)
find_pc = $(firstword $(foreach pc,$(1),$(shell $(PKG_CONFIG) --exists $(pc) 2>/dev/null && echo $(pc))))
LUA_CFLAGS ?= $(shell $(PKG_CONFIG) --cflags $(call find_pc,$(LUA_PCS)) 2>/dev/null)
UV_CFLAGS ?= $(shell $(PKG_CONFIG) --cflags libuv 2>/dev/null)
UV_LIBS ?= $(or $(shell $(PKG_CONFIG) --libs libuv 2>/dev/null),-luv)
LUA_CFLAGS := $(LUA_CFLAGS)
# Only for programs that embed Lua: the module itself is never linked against it.
LUA_LIBS ?= $(shell $(PKG_CONFIG) --libs $(call find_pc,$(LUA_PCS)) 2>/dev/null)
UV_CFLAGS := $(UV_CFLAGS)
UV_LIBS := $(UV_LIBS)

# ---- Flags: the user's CFLAGS and LDFLAGS come last ----
WERROR ?= $(if $(filter true,$(CI)),1)
WARNINGS := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings -Wconversion
LANGUAGE := -std=c11 $(if $(filter Linux,$(UNAME)),-D_GNU_SOURCE) -Icsrc $(UV_CFLAGS) $(LUA_CFLAGS)
SAN_FLAGS := -fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined
AW_CFLAGS = $(LANGUAGE) -fPIC -fno-plt -fvisibility=hidden -O2 -g $(WARNINGS) $(if $(filter 1,$(WERROR)),-Werror) \
  $(if $(SAN_ON),$(SAN_FLAGS)) $(CFLAGS)
comma := ,
MODULE_LDFLAGS := $(if $(filter Darwin,$(UNAME)),-bundle -undefined dynamic_lookup,-shared -Wl$(comma)-z$(comma)nodelete -Wl$(comma)-Bsymbolic)
AW_LDFLAGS = $(if $(SAN_ON),$(SAN_FLAGS)) $(UV_LIBS) -pthread $(LDFLAGS)

# ---- Sources: whatever is in the folders ----
CORE_SRCS := $(wildcard csrc/core/*.c csrc/reactor/*.c csrc/writers/*.c)
LUA_SRCS := $(wildcard csrc/lua/*.c)
CORE_OBJS := $(CORE_SRCS:%.c=$(BUILD)/obj/%.o)
LUA_OBJS := $(LUA_SRCS:%.c=$(BUILD)/obj/%.o)
# Modules (*_module.c) are built by the specs, as their users would.
SPEC_PROGS := $(patsubst spec/c/%.c,$(BUILD)/spec/%,$(filter-out %_module.c,$(wildcard spec/c/*.c)))
BENCH_PROGS := $(patsubst spec/bench/%.c,$(BUILD)/bench/%,$(wildcard spec/bench/*.c))
FUZZ_PROGS := $(patsubst spec/fuzz/%.c,$(BUILD)/fuzz/%,$(wildcard spec/fuzz/*.c))
MODULE := $(BUILD)/asyncwrite/core.so
ARCHIVE := $(BUILD)/libasyncwrite.a

# ---- Running Lua on this tree ----
# Under the sanitizers LD_PRELOAD is for this one process: unpreload.so takes it out of the environment again, so
# that tools started by a spec stay as they are. SPEC_LUA is how a spec starts another Lua with the module.
SAN_LIB = $(shell $(CC) -print-file-name=libasan.so)
SAN_PRELOAD = $(if $(SAN_ON),LD_PRELOAD=$(SAN_LIB):$(CURDIR)/$(BUILD)/unpreload.so)
SAN_ENV = $(if $(SAN_ON),ASAN_OPTIONS="detect_leaks=1:strict_string_checks=1:$$ASAN_OPTIONS" \
  UBSAN_OPTIONS="print_stacktrace=1:$$UBSAN_OPTIONS")
RUN_LUA = LUA_PATH='lua/?.lua;lua/?/init.lua;spec/?.lua;;' LUA_CPATH='$(BUILD)/?.so;;' SPEC_BUILD='$(BUILD)' \
  SPEC_LUA="$(if $(SAN_ON),env $(SAN_PRELOAD) )$(LUA)" $(SAN_ENV) $(if $(SAN_ON),env $(SAN_PRELOAD)) $(WRAP) $(LUA)
# Lua 5.4 prefers these names to the ones above.
unexport LUA_PATH_5_4 LUA_CPATH_5_4
# Where nginx is, for users too.
export PATH := $(PATH):/usr/sbin:/sbin

.DELETE_ON_ERROR:
.PHONY: run-nginx all help hosts deps deps-hosts deps-lint deps-bench deps-fuzz test check specs run bench soak fuzz lint format clean FORCE \
  lint-luacheck lint-lua51 lint-shape lint-format lint-clang lint-cppcheck \
  install install-lua install-dev uninstall uninstall-lua uninstall-dev
MAKEFLAGS += --no-builtin-rules
SUBMAKE = +@$(MAKE) --no-print-directory

all: $(MODULE) $(ARCHIVE) $(if $(SAN_ON),$(BUILD)/unpreload.so)

help:
	@echo 'targets:   all test|check run run-nginx bench soak fuzz lint format clean install uninstall deps deps-lint'
	@echo 'variables: LUA=lua5.4|luajit SAN=1 WERROR=1 CC CFLAGS LDFLAGS BUILD WRAP="valgrind -q" DESTDIR prefix'
	@echo '           SPECS="tcp -p test_P1" SPEC_SEED=1 HOSTS=no (test), SOAK_SEEDS=1000 (soak), FILE=... (run), BENCH=... (bench), FUZZ_TIME=60 (fuzz)'

# ---- Build ----
define build_c
@mkdir -p $(@D)
@echo '  CC    $<'
@$(CC) $(AW_CFLAGS) -MMD -MP -c -o $@ $<
endef

# A stamp is rewritten only when what it records changed: other flags rebuild all, another list of files links again.
define stamp
@mkdir -p $(@D)
@printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || { $(2) printf '%s\n' '$(subst ','\'',$(1))' >$@; }
endef
check_headers = printf '\#include <uv.h>\n\#include <lua.h>\n' | $(CC) $(AW_CFLAGS) -E - >/dev/null 2>&1 || \
  { echo 'asyncwrite: no $(CC), or uv.h or lua.h of $(LUA) not found: try `make deps`' >&2; exit 1; };

$(BUILD)/flags: FORCE
	$(call stamp,$(CC) $(AW_CFLAGS),$(check_headers))
$(BUILD)/objects: FORCE
	$(call stamp,$(CORE_OBJS) $(LUA_OBJS) $(AW_LDFLAGS))

$(BUILD)/obj/%.o: %.c $(BUILD)/flags
	$(build_c)

$(MODULE): $(CORE_OBJS) $(LUA_OBJS) $(BUILD)/objects
	@mkdir -p $(@D)
	@echo '  LINK  $@'
	@$(CC) $(MODULE_LDFLAGS) -o $@ $(CORE_OBJS) $(LUA_OBJS) $(AW_LDFLAGS)

$(ARCHIVE): $(CORE_OBJS) $(BUILD)/objects
	@echo '  AR    $@'
	@rm -f $@
	@$(AR) rcs $@ $(CORE_OBJS)

define link_program
@mkdir -p $(@D)
@echo '  LINK  $@'
@$(CC) -o $@ $< $(ARCHIVE) $(if $(findstring embed,$(@F)),-Wl$(comma)-E $(LUA_LIBS)) $(AW_LDFLAGS)
endef

$(BUILD)/spec/%: $(BUILD)/obj/spec/c/%.o $(ARCHIVE)
	$(link_program)
$(BUILD)/bench/%: $(BUILD)/obj/spec/bench/%.o $(ARCHIVE)
	$(link_program)
.SECONDARY: $(SPEC_PROGS:$(BUILD)/spec/%=$(BUILD)/obj/spec/c/%.o) $(BENCH_PROGS:$(BUILD)/bench/%=$(BUILD)/obj/spec/bench/%.o)

$(BUILD)/unpreload.so: spec/support/unpreload.c
	@mkdir -p $(@D)
	@$(CC) $(LANGUAGE) $(WARNINGS) -O2 -fPIC -shared -o $@ $<

-include $(wildcard $(BUILD)/obj/*/*/*.d)

# ---- What the targets need from outside ----
DEPS = @CC='$(CC)' LUA='$(LUA)' LUA_PCS='$(LUA_PCS)' PKG_CONFIG='$(PKG_CONFIG)' CLANG='$(CLANG)' sh spec/support/deps.sh
BUILD_NEEDS := cc pkg-config libuv lua-headers lua
deps:
	$(DEPS) $(BUILD_NEEDS) luaunit
# The hosts that the tests run in: what cannot be had is told and skipped. LuaJIT first, so that the others take this one.
deps-hosts:
	$(DEPS) --try luajit luajit-headers luv cqueues nginx-lua nvim curl
deps-lint:
	$(DEPS) $(BUILD_NEEDS) clang clang-format cppcheck luacheck lua5.1
deps-bench:
	$(DEPS) $(BUILD_NEEDS)
deps-fuzz:
	$(DEPS) $(BUILD_NEEDS) clang libfuzzer

# ---- Run: each first fetches what is missing, then starts again, because pkg-config may answer only now ----
test: deps $(if $(filter no,$(HOSTS)),,deps-hosts)
	$(if $(filter no,$(HOSTS)),,$(SUBMAKE) hosts)
	+@MAKE='$(MAKE)' LUA='$(LUA)' SAN='$(SAN)' SPECS='$(SPECS)' HOSTS='$(HOSTS)' sh spec/support/test.sh
check: test

# The flavour inside nginx and Neovim, where there is a LuaJIT.
HOSTS_BUILD := build/luajit
hosts:
	+@if luajit -v >/dev/null 2>&1 && $(PKG_CONFIG) --exists luajit; then \
	  $(MAKE) --no-print-directory all LUA=luajit SAN= BUILD=$(HOSTS_BUILD); \
	else echo 'hosts: skipped: no luajit, or no headers of it: nginx and Neovim are not tested'; fi

specs: all $(SPEC_PROGS)
	@$(RUN_LUA) spec/run.lua $(SPECS)

run: deps
	$(SUBMAKE) all
	@$(RUN_LUA) spec/examples/pour.lua "$(FILE)"

run-nginx:
	@CC='$(CC)' LUA=luajit LUA_PCS=luajit PKG_CONFIG='$(PKG_CONFIG)' CLANG='$(CLANG)' sh spec/support/deps.sh $(BUILD_NEEDS) nginx-lua curl
	$(SUBMAKE) all LUA=luajit SAN= BUILD=$(HOSTS_BUILD)
	@sh spec/examples/run_nginx.sh

bench: deps-bench
	$(SUBMAKE) all bench-programs
ifneq ($(BENCH),nginx)
	@$(RUN_LUA) spec/bench/run.lua $(filter-out nginx,$(BENCH))
endif
ifneq (,$(if $(BENCH),$(filter nginx,$(BENCH)),all))
	$(SUBMAKE) hosts
	@$(RUN_LUA) spec/bench/nginx.lua
endif

.PHONY: bench-programs fuzz-programs
bench-programs: $(BENCH_PROGS)

soak: deps-bench
	$(SUBMAKE) all
	@$(RUN_LUA) spec/soak/chaos.lua
	@$(RUN_LUA) spec/soak/run.lua $(SOAK)

# ---- Fuzz: each spec/fuzz/NAME.c is a libFuzzer target; its corpus grows under build/, seeds lie in spec/fuzz/NAME/ ----
# FUZZ_TIME seconds are for all of them together. Memory runs out when a target wants it to: hence --wrap.
FUZZ_TIME ?= 60
FUZZ_FLAGS := -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
  -Wl,--wrap=malloc,--wrap=calloc,--wrap=realloc

fuzz: deps-fuzz
	$(if $(FUZZ_PROGS),,@echo 'no fuzz targets in spec/fuzz')
	$(SUBMAKE) fuzz-programs
	@for prog in $(FUZZ_PROGS); do \
	  name=$$(basename $$prog); seeds=; test ! -d spec/fuzz/$$name || seeds=spec/fuzz/$$name; \
	  mkdir -p $$prog.corpus && echo "fuzz: $$name" && \
	  each=$$(($(FUZZ_TIME) / $(words $(FUZZ_PROGS)))) && test "$$each" -gt 0 || each=1; \
	  $$prog -max_total_time=$$each -artifact_prefix=$$prog. $$prog.corpus $$seeds || exit 1; \
	done

fuzz-programs: $(FUZZ_PROGS)
$(BUILD)/fuzz/%: spec/fuzz/%.c $(CORE_SRCS) $(wildcard csrc/*.h csrc/*/*.h spec/fuzz/*.h)
	@mkdir -p $(@D)
	@echo '  FUZZ  $@'
	@$(CLANG) $(LANGUAGE) -O1 -g $(FUZZ_FLAGS) -o $@ $< $(CORE_SRCS) $(UV_LIBS) -pthread

# ---- Style ----
C_ALL = $(wildcard csrc/*.c csrc/*/*.c spec/*/*.c)
H_ALL = $(wildcard csrc/*.h csrc/*/*.h spec/*/*.h)
LUA_DIRS = $(wildcard lua spec)

lint: deps-lint
	+@$(MAKE) --no-print-directory -k lint-luacheck lint-lua51 lint-shape lint-format lint-clang lint-cppcheck && echo 'lint: clean'
lint-luacheck:
	@echo '  luacheck'
	@luacheck -q --no-color $(LUA_DIRS) $(wildcard rockspec/*.rockspec)
lint-lua51:
	@echo '  Lua 5.1 syntax'
	@find $(LUA_DIRS) -name '*.lua' ! -name 'lua54_*' -exec luac5.1 -p -- {} +
lint-shape:
	@echo '  includes and sizes'
	@$(LUA) spec/support/lint.lua $(C_ALL) $(H_ALL)
lint-format:
	@echo '  clang-format'
	@clang-format --dry-run -Werror $(C_ALL) $(H_ALL)
lint-clang:
	@echo '  clang -fsyntax-only'
	@$(CLANG) $(LANGUAGE) $(WARNINGS) -Werror -fsyntax-only $(C_ALL)
lint-cppcheck:
	@echo '  cppcheck'
	@cppcheck -q --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 -Icsrc $(wildcard csrc/*/*.c)

format: deps-lint
	@clang-format -i $(C_ALL) $(H_ALL)

# ---- Install ----
prefix ?= /usr/local
includedir ?= $(prefix)/include
libdir ?= $(prefix)/lib
INST_LUADIR ?= $(prefix)/share/lua/$(LUA_ABI)
INST_LIBDIR ?= $(prefix)/lib/lua/$(LUA_ABI)
INST_BINDIR ?= $(prefix)/bin
INSTALL ?= install
LUA_FILES = $(shell cd lua && find asyncwrite -name '*.lua')
HEADERS = $(notdir $(wildcard csrc/asyncwrite.h csrc/asyncwrite_wrappers.h csrc/asyncwrite_lua.h))
to = '$(DESTDIR)$(1)'

# Below prefix they are named by it, so that pkg-config --define-prefix finds a tree that was moved.
below_prefix = $(patsubst $(prefix)/%,$${prefix}/%,$(1))
define PC_FILE
prefix=$(prefix)
includedir=$(call below_prefix,$(includedir))
libdir=$(call below_prefix,$(libdir))

Name: asyncwrite
Description: AsyncWrite writers and readers in C, woken by libuv
Version: $(VERSION)
Requires: libuv
Cflags: -I$${includedir}
Libs: -L$${libdir} -lasyncwrite -pthread
endef
define AWCAT
#!/usr/bin/env $(LUA_NAME)
os.exit(require("asyncwrite.awcat").main(arg), true)
endef
export PC_FILE AWCAT

install: install-lua install-dev

install-lua: $(MODULE)
	@for f in $(LUA_FILES); do \
	  $(INSTALL) -d "$$(dirname $(call to,$(INST_LUADIR))/$$f)" && \
	  $(INSTALL) -m 644 lua/$$f $(call to,$(INST_LUADIR))/$$f || exit 1; \
	done
	@$(INSTALL) -d $(call to,$(INST_LIBDIR)/asyncwrite) $(call to,$(INST_BINDIR))
	@$(INSTALL) -m 755 $(MODULE) $(call to,$(INST_LIBDIR)/asyncwrite/core.so)
	@printf '%s\n' "$$AWCAT" >$(call to,$(INST_BINDIR)/awcat)
	@chmod 755 $(call to,$(INST_BINDIR)/awcat)

install-dev: $(ARCHIVE)
	@$(INSTALL) -d $(call to,$(includedir)) $(call to,$(libdir)/pkgconfig)
	@$(INSTALL) -m 644 $(HEADERS:%=csrc/%) $(call to,$(includedir))
	@$(INSTALL) -m 644 $(ARCHIVE) $(call to,$(libdir)/libasyncwrite.a)
	@printf '%s\n' "$$PC_FILE" >$(call to,$(libdir)/pkgconfig/asyncwrite.pc)
	@chmod 644 $(call to,$(libdir)/pkgconfig/asyncwrite.pc)

uninstall: uninstall-lua uninstall-dev

uninstall-lua:
	@for f in $(LUA_FILES); do rm -f $(call to,$(INST_LUADIR))/$$f; done
	@rm -f $(call to,$(INST_LIBDIR)/asyncwrite/core.so) $(call to,$(INST_BINDIR)/awcat)
	@for d in $(call to,$(INST_LUADIR)/asyncwrite) $(call to,$(INST_LIBDIR)/asyncwrite); do \
	  test ! -d "$$d" || find "$$d" -depth -type d -exec rmdir {} + 2>/dev/null || true; \
	done

uninstall-dev:
	@rm -f $(HEADERS:%=$(call to,$(includedir))/%) $(call to,$(libdir)/libasyncwrite.a)
	@rm -f $(call to,$(libdir)/pkgconfig/asyncwrite.pc)

clean:
	rm -rf build
