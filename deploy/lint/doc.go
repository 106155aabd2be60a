// Package lint has no code: its module names the linters that `make lint` runs. It is outside
// the workspace, so that the dependencies of the linters do not affect the versions of ours.
package lint
