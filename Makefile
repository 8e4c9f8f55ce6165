# The verbs of the project. Each is one script or one command. Without root test-deps says
# what it would install, and test leaves out by name what needs root.

.PHONY: help run demo test test-deps check docs bench prove image
.DEFAULT_GOAL := help

help: ## Show the verbs
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 18

run: ## Build, watch this machine, print its answer, and serve until Ctrl-C
	@scripts/run

demo: ## Inspect the AKS nodes that come with the project, without any server
	@scripts/demo

test: ## Run every test whose real server is installed
	@scripts/test

test-deps: ## Install the real servers that tests use (Debian, Ubuntu)
	@scripts/test-deps

check: ## Format, lints, docs, crate arrows, purity fence, licences
	@scripts/check

docs: ## Write the generated pages of docs/ anew
	@NODEWARD_REGENERATE=1 cargo test --quiet -p nodeward-tests --test generated

bench: ## Measure time, memory and bytes beside peers, and print the figures
	@scripts/bench

prove: ## Run the full counts: fuzz, version orders, responsibility, kills; write docs/proof.md
	@scripts/prove

image: ## Build the container images of agent and aggregator as OCI archives
	@scripts/image
