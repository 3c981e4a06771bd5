# What a person or a machine does with this tree. Every target works from a clean clone and asks nothing.
.PHONY: run test build bench clean

run: ## Build, start the gateway with an embedded store, send one signed webhook through it
	@scripts/run-demo.sh

test: ## Build once, run the Swift tests and the suites against the real binary
	@scripts/test.sh

build: ## The release binary, .build/release/sluice
	@scripts/setup.sh build
	@swift build -c release --product sluice

bench: build ## Ingest beside the limit probe and the peers, in one run
	@perf/run ingest-steady --no-file

clean:
	@rm -rf .build .venv
