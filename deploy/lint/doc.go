// Package lint has no code: its module names the linters that `make lint` runs.
//
// It exists apart from the workspace so that their many dependencies do not choose the
// versions of ours.
package lint
