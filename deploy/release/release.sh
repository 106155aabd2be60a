#!/usr/bin/env bash
# Builds what a release consists of, in dist/: both programs for Linux on amd64 and arm64, the bill of materials of each
# (CycloneDX), SHA256SUMS, and provenance.json, an in-toto statement that says from which commit and by which Go the
# programs were built. It builds the programs twice, in two folders, and fails unless they are the same bit for bit. It
# also fails if a module was changed after its download, or has a licence that
# deploy/release/licences.txt does not list.
#
# With SIGNING_KEY, the file of an SSH key, it signs provenance.json. deploy/docs/releases.md says how to verify it.
set -eu -o pipefail
cd "$(dirname "$0")/../.."
root=$PWD
export GOWORK=off CGO_ENABLED=0 GOFLAGS=-mod=readonly
version=$(git describe --tags --always)
commit=$(git rev-parse HEAD)
if [ -n "$(git status --porcelain --untracked-files=no)" ]; then
	echo 'Commit your changes first: a release is built from a commit.' >&2
	exit 1
fi

dist=$root/dist
temporary=$(mktemp -d)
trap 'rm -rf "$temporary"' EXIT
rm -rf "$dist"
mkdir "$dist"

# build FOLDER DESTINATION builds both programs for all platforms from the source in a folder.
build() {
	local program platform
	for program in authserver resourceserver; do
		for platform in linux/amd64 linux/arm64; do
			(cd "$1/$program" && GOOS=${platform%/*} GOARCH=${platform#*/} go build -trimpath -buildvcs=false \
				-ldflags "-s -w -X github.com/hallpass-auth/hallpass/shared/program.Version=$version" \
				-o "$2/$program-${platform%/*}-${platform#*/}" "./cmd/$program")
		done
	done
}

for program in authserver resourceserver; do
	(cd $program && echo "$program: $(go mod verify)" && "$root/deploy/release/licences.sh" "./cmd/$program")
done

echo 'Building twice.'
for folder in first second/in/another/folder; do
	mkdir -p "$temporary/$folder"
	git clone --quiet --no-checkout "$root" "$temporary/$folder"
	git -C "$temporary/$folder" checkout --quiet --detach "$commit"
done
mkdir "$temporary/again"
build "$temporary/first" "$dist"
# The second build compiles everything again: the first one's cache would make the comparison say nothing.
GOCACHE=$temporary/cache build "$temporary/second/in/another/folder" "$temporary/again"
diff -r "$dist" "$temporary/again" || { echo 'The builds differ.' >&2; exit 1; }
echo 'Both builds are the same, bit for bit.'

# It reads the version from a clone, because it does not know work trees of git. Without the time and a random number,
# the same commit gives the same digests.
(cd deploy/release && go build -o "$temporary/" tool)
for program in authserver resourceserver; do
	(cd "$temporary/first" && "$temporary/cyclonedx-gomod" app -json -licenses -std -noserial -notimestamp \
		-main "cmd/$program" -output "$dist/$program.cdx.json" $program)
done

cd "$dist"
sha256sum -- * >SHA256SUMS
go run "$root/deploy/release/provenance.go" -version "$version" -commit "$commit" \
	-builder "${BUILDER_ID:-https://github.com/hallpass-auth/hallpass/deploy/release/local}" -- * >"$temporary/provenance"
mv "$temporary/provenance" provenance.json
if [ -n "${SIGNING_KEY:-}" ]; then
	ssh-keygen -q -Y sign -f "$SIGNING_KEY" -n hallpass-release provenance.json
else
	echo 'Not signed: SIGNING_KEY names no key.'
fi
ls -l
