# One build profile for all of it: what `make demo` built, `make test` uses.
CARGO = cargo

.PHONY: help build demo test bench check install

help:
	@echo 'make demo      the example on three throw-away SSH hosts in one process; needs no root, leaves nothing behind'
	@echo 'make test      installs what the tests need (as root on Debian; otherwise says what is skipped) and runs them all'
	@echo 'make build     target/debug/distribute'
	@echo 'make bench     many throw-away hosts: how long a setup, a change, an audit and a deploy of nothing take'
	@echo 'make check     clippy, formatting, shellcheck'
	@echo 'make install   the release build, into ~/.cargo/bin'

build:
	$(CARGO) build --locked

demo:
	@$(CARGO) build --locked --quiet --bin distribute --example demo
	@$(CARGO) run --locked --quiet --example demo

test:
	@sh tests/install.sh
	$(CARGO) test --locked

bench:
	@$(CARGO) build --locked --quiet --bin distribute --example bench
	@$(CARGO) run --locked --quiet --example bench

check:
	$(CARGO) clippy --all-targets --locked -- -D warnings
	$(CARGO) clippy --all-targets --locked --no-default-features -- -D warnings
	$(CARGO) fmt --check
	shellcheck -s sh src/remote/program.sh
	shellcheck tests/install.sh .ci/run

install:
	$(CARGO) install --path . --locked
