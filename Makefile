# What there is to do with this workspace; `make help` lists it. Each of these first installs what is
# missing (Debian, Ubuntu) or names it (elsewhere).

CARGO ?= cargo
TARGET := $(or $(CARGO_TARGET_DIR),target)
SHOT ?= $(TARGET)/demo/screenshot.png
REPORT ?= $(TARGET)/demo/report.json

# What `make flatpak` can use again, of all working copies.
KEPT ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tine-flatpak

# Read by scripts from the environment, so that any name of a folder survives.
export DIR SHOT REPORT TARGET KEPT
# Where rustup puts cargo, for shells that have not heard of it yet.
export PATH := $(PATH):$(HOME)/.cargo/bin

.DEFAULT_GOAL := help
.PHONY: help demo test driven avif lint bench fuzz soak flatpak

help: ## list what there is
	@sed -n 's/^\([a-z]*\):.*## /  make \1|/p' Makefile | awk -F '|' '{ printf "%-15s%s\n", $$1, $$2 }'
	@echo
	@echo '  make demo DIR=folder SHOT=file.png REPORT=file.json'
	@echo '               DIR: pictures to show; SHOT, REPORT: where there is no display, what is left'
	@echo '  make bench BENCH=name     that one only'
	@echo '  make flatpak KEPT=folder  where what another run can use is kept'

demo: ## show pictures; without a display, on one of its own, with a summary and a screenshot
	@tools/packages build $(if $(DISPLAY)$(WAYLAND_DISPLAY),,headless)
	@tools/rust
	$(CARGO) build --release --package tine-viewer --bins
	@tools/demo

test: ## run all tests; no display is needed
	@tools/packages build headless test
	@tools/rust
	$(CARGO) test --workspace

driven: ## press keys and click in the viewer, on displays of its own
	@tools/packages build headless test
	@tools/rust
	$(CARGO) test --package tine-viewer --test driven --test features --test wayland --test pages

avif: ## test the viewer built with what decodes AVIF
	@tools/packages build
	@tools/rust
	$(CARGO) test --package tine-viewer --features avif --test avif --test film --test worker

lint: ## check format and run clippy
	@tools/packages build
	@tools/rust rustfmt clippy
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings

bench: ## run the benchmarks, or BENCH=name
	@tools/packages build headless
	@tools/packages bench || echo 'Peers that are missing are left out.'
ifneq ($(filter viewer,$(or $(BENCH),viewer)),)
	@tools/packages viewer || echo 'Peers that are missing are left out.'
endif
	@tools/rust
	$(CARGO) bench --workspace --bench '$(or $(BENCH),*)'

flatpak: ## build the viewer as a flatpak and run it; without a display, test it
	@tools/packages build headless flatpak
	@tools/rust
	@$(MAKE) --no-print-directory -C demo-app/data check
	@mkdir -p "$$KEPT"
ifeq ($(DISPLAY)$(WAYLAND_DISPLAY),)
	$(CARGO) build --package tine-viewer --bin tine-pictures
	@flock --close "$$KEPT/lock" sh -e -c 'flatpak/build "$$KEPT"; \
		flatpak/test "$$KEPT" "$$TARGET/debug/tine-pictures" "$$TARGET/flatpak"'
else
	@flock --close "$$KEPT/lock" flatpak/build "$$KEPT"
	@flatpak/build --run "$$KEPT" "$${DIR:-$$(xdg-user-dir PICTURES)}"
endif

# What libFuzzer's runtime counts with; no sanitizer, as the code is safe Rust. Stable compilers have it.
COUNTED := -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
	-Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
	-Cllvm-args=-sanitizer-coverage-trace-compares -Ccodegen-units=1

fuzz: ## feed what reads messages with garbage, for 30 seconds each, or AT=wire or AT=rpc
	@tools/packages build
	@tools/rust
	@mkdir -p $(TARGET)/fuzz/found/wire $(TARGET)/fuzz/found/rpc
	for at in $(or $(AT),wire rpc); do \
		RUSTFLAGS='$(COUNTED)' $(CARGO) run --release --manifest-path fuzz/Cargo.toml \
			--target-dir $(TARGET)/fuzz --target host-tuple --bin $$at -- \
			-artifact_prefix=$(TARGET)/fuzz/ \
			$(or $(FUZZ),-max_total_time=30 $(TARGET)/fuzz/found/$$at fuzz/corpus/$$at) || exit 1; \
	done

soak: ## have 100,000 jobs done while workers and templates are killed, or JOBS=number
	@tools/packages build
	@tools/rust
	TINE_SOAK=$(or $(JOBS),100000) RUST_BACKTRACE=0 $(CARGO) test --package tine-tests --test soak
