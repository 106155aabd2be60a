#!/usr/bin/env bash
# Builds bin/kube-apiserver, for `make test-kubernetes`. The Go module of Kubernetes refers to its parts in folders that
# the module does not have; they are modules of their own, with the same minor version.
set -eu -o pipefail
cd "$(dirname "$0")/../.."

minor=36.0
export GOWORK=off GOFLAGS=-mod=mod CGO_ENABLED=0
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

source=$(cd "$work" && go mod download -json "k8s.io/kubernetes@v1.$minor" | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')
cp -r "$source" "$work/kubernetes"
chmod -R u+w "$work/kubernetes"
parts=$(sed -n 's/^\t\(k8s.io[^ ]*\) => .*/\1/p' "$work/kubernetes/go.mod")
bin=$PWD/bin
cd "$work/kubernetes"
rm -rf go.work go.work.sum vendor
for part in $parts; do go mod edit -dropreplace "$part" -require "$part@v0.$minor"; done
package=k8s.io/component-base/version
go build -trimpath -o "$bin/" \
	-ldflags "-s -w -X $package.gitVersion=v1.$minor -X $package.gitMajor=1 -X $package.gitMinor=${minor%.*}" \
	./cmd/kube-apiserver
