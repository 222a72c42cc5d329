# Postern. `make help` lists what can be made.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

# RabbitMQ 4 in a folder of its own (make broker-4). Tests run on it too where it is there.
BROKER_4 := $(or $(POSTERN_RABBITMQ_HOME_4),$(wildcard $(CURDIR)/.broker-4))
# Tests that start a broker, by the folders they are in.
BROKER_TESTS := broker-config/ simulators/ stack/ webserver/test/broker e2e/
VITEST := node_modules/.bin/vitest run

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@echo
	@echo '  The README has the first session, docs/operations.md every setting.'

## To use

.PHONY: setup
setup: ## Install what is missing: npm packages, RabbitMQ; build
	@scripts/setup.sh

.PHONY: run
run: ## Start broker, gateway and a simulated device; Ctrl-C ends all of it
	@scripts/setup.sh
	@exec node stack/dist/main.js

.PHONY: broker-4
broker-4: ## Get RabbitMQ 4 into .broker-4, without touching the system
	@scripts/broker-4.sh

## To develop

.PHONY: test
test: ## Run every test against real parts, on RabbitMQ 4 too where it is there
	@scripts/setup.sh test
	@$(VITEST)
ifneq ($(BROKER_4),)
	@echo 'Once more on RabbitMQ 4 ($(BROKER_4)), all that starts a broker.'
	@POSTERN_RABBITMQ_HOME='$(BROKER_4)' $(VITEST) $(BROKER_TESTS)
endif

.PHONY: check
check: ## Check types, lint, format, import directions, the CI workflow
	@scripts/setup.sh build
	@npm run --silent check

.PHONY: test-e2e
test-e2e: ## Run the end-to-end tests alone (POSTERN_RABBITMQ_HOME picks the broker)
	@scripts/setup.sh test
	@$(VITEST) --project e2e

.PHONY: test-mongodb
test-mongodb: ## Run the store's and the end-to-end tests on MongoDB: MONGODB_URL, else a test server
	@scripts/setup.sh test
	@scripts/test-mongodb.sh

.PHONY: bench
bench: ## Measure: latency, throughput, peers, growth (10 minutes)
	@scripts/setup.sh
	@node bench/dist/main.js

.PHONY: bench-quick
bench-quick: ## A minute of it, to see that no call is lost or crossed
	@scripts/setup.sh
	@node bench/dist/main.js --quick --results none

.PHONY: bench-fleet
bench-fleet: ## Hold 5,000 devices for 15 minutes under 500 calls/s (RabbitMQ 4)
	@scripts/setup.sh
	@node bench/dist/main.js --fleet --results bench/results/fleet

.PHONY: firmware
firmware: ## Build the FT900 firmware
	@$(MAKE) -C firmware-ft900 firmware

.PHONY: firmware-test
firmware-test: ## Test the firmware: units, fuzzers, size, and end to end on the simulator
	@$(MAKE) -C firmware-ft900 test

.PHONY: clean
clean: ## Remove what the build made
	@node_modules/.bin/tsc -b --clean
	@rm -rf */dist coverage

.PHONY: distclean
distclean: clean ## Remove npm packages and fetched tools too; .postern, your data, stays
	@rm -rf node_modules */node_modules .tools .broker-4
